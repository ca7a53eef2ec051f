/* Counting blocks: live, peak, total, by frame. */
#include "trace/tables.h"

void rp_tally_raise(uint64_t *peak, uint64_t value)
{
    uint64_t was = __atomic_load_n(peak, __ATOMIC_RELAXED);
    while (was < value && !__atomic_compare_exchange_n(peak, &was, value, true, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
    }
}

/* The first block of a frame keeps how many there were before it. Threads that meet there may count
 * a few of them to the wrong frame. */
static void begin_frame(rp_tally *tally, uint64_t frame, uint64_t made_before)
{
    uint64_t was = __atomic_load_n(&tally->frame, __ATOMIC_RELAXED);
    if (was != frame && __atomic_compare_exchange_n(&tally->frame, &was, frame, false,
                                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        uint64_t start = __atomic_exchange_n(&tally->frame_start, made_before, __ATOMIC_RELAXED);
        uint64_t last = was + 1 == frame && made_before > start ? made_before - start : 0;
        __atomic_store_n(&tally->last_count, last, __ATOMIC_RELAXED);
    }
}

void rp_tally_alloc(rp_tally *tally, uint64_t frame, size_t size_bytes)
{
    uint64_t before = __atomic_fetch_add(&tally->made_count, 1, __ATOMIC_RELAXED);
    uint64_t bytes = __atomic_add_fetch(&tally->made_bytes, size_bytes, __ATOMIC_RELAXED);
    rp_tally_raise(&tally->peak_bytes,
                   bytes - __atomic_load_n(&tally->freed_bytes, __ATOMIC_RELAXED));
    begin_frame(tally, frame, before);
}

void rp_tally_free(rp_tally *tally, size_t size_bytes)
{
    __atomic_add_fetch(&tally->freed_count, 1, __ATOMIC_RELEASE);
    __atomic_add_fetch(&tally->freed_bytes, size_bytes, __ATOMIC_RELEASE);
}

/* What was freed is read first, so that it is never more than what was made. */
rp_tally_figures rp_tally_get(const rp_tally *tally, uint64_t frame)
{
    uint64_t freed_count = __atomic_load_n(&tally->freed_count, __ATOMIC_ACQUIRE);
    uint64_t freed_bytes = __atomic_load_n(&tally->freed_bytes, __ATOMIC_ACQUIRE);
    uint64_t made_count = __atomic_load_n(&tally->made_count, __ATOMIC_ACQUIRE);
    uint64_t made_bytes = __atomic_load_n(&tally->made_bytes, __ATOMIC_ACQUIRE);
    uint64_t last_frame = __atomic_load_n(&tally->frame, __ATOMIC_RELAXED);
    uint64_t start = __atomic_load_n(&tally->frame_start, __ATOMIC_RELAXED);
    uint64_t last_count = __atomic_load_n(&tally->last_count, __ATOMIC_RELAXED);
    return (rp_tally_figures){
        .live_count = made_count - freed_count,
        .live_bytes = made_bytes - freed_bytes,
        .peak_bytes = __atomic_load_n(&tally->peak_bytes, __ATOMIC_RELAXED),
        .total_count = made_count,
        .total_bytes = made_bytes,
        .last_frame_count = last_frame == frame       ? last_count
                            : last_frame + 1 == frame ? made_count - start
                                                      : 0,
    };
}

void rp_tally_figures_add(rp_tally_figures *sum, const rp_tally_figures *more)
{
    sum->live_count += more->live_count;
    sum->live_bytes += more->live_bytes;
    sum->total_count += more->total_count;
    sum->total_bytes += more->total_bytes;
    sum->last_frame_count += more->last_frame_count;
}
