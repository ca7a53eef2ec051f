/* Counting blocks: live, peak, total, by frame. */
#include "trace/tables.h"

static uint64_t add(uint64_t *word, uint64_t by)
{
    return __atomic_add_fetch(word, by, __ATOMIC_RELAXED);
}

static void raise_to(uint64_t *peak, uint64_t value)
{
    uint64_t was = __atomic_load_n(peak, __ATOMIC_RELAXED);
    while (was < value && !__atomic_compare_exchange_n(peak, &was, value, true, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
    }
}

/* Threads that meet at a frame's turn may lose a few of its count. */
static void count_frame(rp_tally *tally, uint64_t frame)
{
    uint64_t was = __atomic_load_n(&tally->frame, __ATOMIC_RELAXED);
    if (was != frame && __atomic_compare_exchange_n(&tally->frame, &was, frame, false,
                                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        uint32_t count = __atomic_exchange_n(&tally->frame_count, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&tally->last_count, was + 1 == frame ? count : 0, __ATOMIC_RELAXED);
    }
    __atomic_add_fetch(&tally->frame_count, 1, __ATOMIC_RELAXED);
}

void rp_tally_alloc(rp_tally *tally, uint64_t frame, size_t size_bytes)
{
    add(&tally->live_count, 1);
    add(&tally->total_count, 1);
    add(&tally->total_bytes, size_bytes);
    raise_to(&tally->peak_bytes, add(&tally->live_bytes, size_bytes));
    count_frame(tally, frame);
}

void rp_tally_free(rp_tally *tally, size_t size_bytes)
{
    __atomic_sub_fetch(&tally->live_count, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&tally->live_bytes, size_bytes, __ATOMIC_RELAXED);
}

rp_tally rp_tally_get(const rp_tally *tally)
{
    rp_tally now;
    __atomic_load(&tally->live_count, &now.live_count, __ATOMIC_RELAXED);
    __atomic_load(&tally->live_bytes, &now.live_bytes, __ATOMIC_RELAXED);
    __atomic_load(&tally->peak_bytes, &now.peak_bytes, __ATOMIC_RELAXED);
    __atomic_load(&tally->total_count, &now.total_count, __ATOMIC_RELAXED);
    __atomic_load(&tally->total_bytes, &now.total_bytes, __ATOMIC_RELAXED);
    __atomic_load(&tally->frame, &now.frame, __ATOMIC_RELAXED);
    __atomic_load(&tally->frame_count, &now.frame_count, __ATOMIC_RELAXED);
    __atomic_load(&tally->last_count, &now.last_count, __ATOMIC_RELAXED);
    return now;
}

uint64_t rp_tally_rate(const rp_tally *tally, uint64_t frame)
{
    uint64_t of = __atomic_load_n(&tally->frame, __ATOMIC_RELAXED);
    if (of == frame) {
        return __atomic_load_n(&tally->last_count, __ATOMIC_RELAXED);
    }
    return of + 1 == frame ? __atomic_load_n(&tally->frame_count, __ATOMIC_RELAXED) : 0;
}
