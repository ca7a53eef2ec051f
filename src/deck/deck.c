/* Opening a deck, its frames, and what is known of it. */
#include "deck/deck_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"
#include "region/region.h"

#include <stdarg.h>
#include <string.h>

#define BUDGET_BYTES_DEFAULT RP_MIB(512)
#define PARK_MS_DEFAULT 2000
#define DECK_BYTES ((size_t)rp_align_up(sizeof(rp_deck), RP_PAGE_BYTES))

/* ---- opening and closing ---- */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    rp_os_error_line(format, arguments);
    va_end(arguments);
}

/* In the handler of the thread that wrote. */
static void on_intruder(void *context, const rp_os_intruder *who)
{
    (void)context;
    say("write during a commit: thread %llu (%s) wrote to %p, from %#llx in its code: it waits, "
        "and "
        "the write belongs to the next frame: let the thread rest at a frame's end",
        (unsigned long long)who->thread, who->name, who->address, (unsigned long long)who->pc);
}

static rp_status open_parts(rp_deck *deck, const rp_deck_desc *desc)
{
    size_t budget_bytes = desc->budget_bytes ? desc->budget_bytes : BUDGET_BYTES_DEFAULT;
    rp_status status = rp_grow_init(&deck->entries, (size_t)RP_PAGE_LIMIT * sizeof(rp_page_slot));
    if (status == RP_OK) {
        status = rp_log_create(budget_bytes, &deck->log);
    }
    if (status == RP_OK) {
        status = rp_world_open(rp_log_fd(deck->log), desc->tracking, &deck->world);
    }
    if (status == RP_OK && deck->twice.wanted) {
        status = deck_twice_open(deck);
    }
    if (status == RP_OK && desc->check_threads) {
        rp_world_check_threads(deck->world, on_intruder, NULL);
    }
    if (status == RP_OK) {
        deck->heap = rp_heap_create(&(rp_heap_desc){.name = "deck"});
        status = deck->heap ? RP_OK : rp_error_last()->status;
    }
    return status;
}

static rp_status make_deck(rp_deck **deck)
{
    *deck = rp_os_vm_reserve(DECK_BYTES);
    if (!*deck) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(*deck, DECK_BYTES);
    if (status != RP_OK) {
        rp_os_vm_release(*deck, DECK_BYTES);
    }
    return status;
}

static rp_status check_desc(const rp_deck_desc *desc)
{
    if (desc->input_bytes > DECK_INPUT_BYTES_MAX) {
        return rp_fail(RP_E_ARGUMENT,
                       "deck: an input of %zu bytes: a frame's input has at most %d: put "
                       "larger data into files or into the state",
                       desc->input_bytes, DECK_INPUT_BYTES_MAX);
    }
    if ((unsigned)desc->tracking > RP_TRACKING_MPROTECT) {
        return rp_fail(RP_E_ARGUMENT, "deck: tracking %d: there is no such: see rp_tracking",
                       (int)desc->tracking);
    }
    return RP_OK;
}

rp_status rp_deck_open(const rp_deck_desc *desc, rp_deck **deck)
{
    static const rp_deck_desc defaults;
    *deck = NULL;
    desc = desc ? desc : &defaults;
    rp_status status = check_desc(desc);
    if (status == RP_OK) {
        status = rp_region_create(&(rp_region_desc){.reserve_bytes = desc->reserve_bytes});
    }
    if (status != RP_OK) {
        return status;
    }
    rp_deck *made;
    status = make_deck(&made);
    if (status != RP_OK) {
        rp_region_destroy();
        return status;
    }
    made->input_capacity =
        (uint32_t)(desc->input_bytes ? desc->input_bytes : DECK_INPUT_BYTES_DEFAULT);
    made->next_range_page = RP_PAGE_EXTRA;
    made->workers.park_ms = desc->park_ms ? desc->park_ms : PARK_MS_DEFAULT;
    made->twice.wanted = desc->synctest;
    status = open_parts(made, desc);
    if (status != RP_OK) {
        rp_deck_close(made);
        return status;
    }
    *deck = made;
    return RP_OK;
}

void rp_deck_close(rp_deck *deck)
{
    if (!deck) {
        return;
    }
    RP_ASSERT(!deck_workers_any(deck));
    rp_loop_clear(&deck->loop);
    deck_twice_close(deck);
    deck_module_close(deck);
    rp_world_close(deck->world);
    rp_log_destroy(deck->log);
    rp_grow_finish(&deck->entries);
    rp_os_vm_release(deck, DECK_BYTES);
    rp_region_destroy();
}

rp_allocator *rp_deck_heap(rp_deck *deck)
{
    return deck->heap;
}

/* ---- frames ---- */

rp_status deck_start(rp_deck *deck)
{
    rp_status status =
        deck_commit(deck, &(rp_record_desc){.frame = 0, .build = deck_build_number(deck)});
    deck->started = status == RP_OK;
    return status;
}

static rp_moment moment_of(rp_deck *deck, const void *input, size_t input_bytes)
{
    bool whole = deck->broken == RP_OK;
    if (whole && rp_loop_is_set(&deck->loop) && deck_loop_begin(deck) == RP_OK) {
        deck_loop_input(deck);
        return RP_MOMENT_REPLAY;
    }
    if (whole && deck->twice.pending && deck_twice_begin(deck) == RP_OK) {
        return RP_MOMENT_AGAIN;
    }
    if (input_bytes) {
        memcpy(deck->input, input, input_bytes);
    }
    deck->input_bytes = (uint32_t)input_bytes;
    return deck->rolling           ? RP_MOMENT_AGAIN
           : deck->module.reloaded ? RP_MOMENT_RELOADED
           : deck->sought          ? RP_MOMENT_SOUGHT
                                   : RP_MOMENT_LIVE;
}

rp_moment deck_frame_begin(rp_deck *deck, const void *input, size_t input_bytes)
{
    RP_ASSERT(!deck->in_frame && input_bytes <= deck->input_capacity && (input || !input_bytes));
    deck->in_frame = true;
    (void)deck_make_whole(deck, "frame"); /* a failure is reported by the frame's end */
    if (deck->broken == RP_OK && !deck->started) {
        (void)deck_start(deck); /* a failure breaks the deck, which the frame's end reports */
    }
    rp_moment moment = moment_of(deck, input, input_bytes);
    if (deck->module.count > 1) {
        rp_os_denied_renew();
    }
    rp_region_tick((uint32_t)deck->frame);
    deck_workers_go(deck);
    deck->frame_start_ns = rp_os_monotonic_ns();
    return moment;
}

/* What the program is to take in place of what it passed. */
static void give_input(const rp_deck *deck, void *input, size_t input_bytes)
{
    if (input_bytes) {
        size_t kept = rp_min_size(deck->input_bytes, input_bytes);
        memcpy(input, deck->input, kept);
        memset((uint8_t *)input + kept, 0, input_bytes - kept);
    }
}

rp_moment rp_frame_begin(rp_deck *deck, void *input, size_t input_bytes)
{
    rp_moment moment = deck_frame_begin(deck, input, input_bytes);
    if (moment == RP_MOMENT_REPLAY || moment == RP_MOMENT_AGAIN) {
        give_input(deck, input, input_bytes);
    }
    return moment;
}

rp_status rp_frame_end(rp_deck *deck, rp_frame_info *info)
{
    RP_ASSERT(deck->in_frame);
    rp_status status = deck_workers_stop(deck);
    if (status != RP_OK) {
        return status;
    }
    deck->in_frame = false;
    uint64_t start_ns = rp_os_monotonic_ns(), diverged = 0;
    status = deck_check_whole(deck, "frame");
    if (status == RP_OK) {
        status = deck_commit(deck, &(rp_record_desc){.frame = deck->frame + 1,
                                                     .build = deck_build_number(deck),
                                                     .step_ns = start_ns - deck->frame_start_ns,
                                                     .input = deck->input,
                                                     .input_bytes = deck->input_bytes});
    }
    if (status != RP_OK) {
        return status;
    }
    deck->frame++;
    deck->sought = deck->module.reloaded = false;
    uint64_t commit_ns = rp_os_monotonic_ns() - start_ns;
    if (rp_loop_is_set(&deck->loop)) {
        status = deck_loop_check(deck, &diverged);
    } else if (deck->twice.wanted) {
        status = deck_twice_check(deck, &diverged);
    }
    if (info) {
        *info = (rp_frame_info){.frame = deck->frame,
                                .page_count = deck->entry_count,
                                .bytes = deck->entry_count * RP_PAGE_BYTES,
                                .commit_ns = commit_ns,
                                .diverged = diverged};
    }
    return status;
}

/* ---- between frames ---- */

enum { AHEAD_PAGES = 2048, AHEAD_STEP = 64 };

/* Fresh memory of the log's file, in small steps, as a page of it costs some 5 us. */
static void make_room(rp_deck *deck, uint64_t end_ns)
{
    uint32_t most = (uint32_t)rp_min_size(deck->entry_count * 2, RP_PAGE_LIMIT / 4);
    most = most > AHEAD_PAGES ? most : AHEAD_PAGES;
    for (uint32_t ahead = AHEAD_STEP; ahead <= most && rp_os_monotonic_ns() < end_ns;
         ahead += AHEAD_STEP) {
        rp_log_prepare(deck->log, ahead);
    }
}

void rp_deck_idle(rp_deck *deck, uint64_t budget_ns)
{
    RP_ASSERT(!deck->in_frame);
    if (deck->broken != RP_OK || !deck->started) {
        return;
    }
    uint64_t begin_ns = rp_os_monotonic_ns(), end_ns;
    if (__builtin_add_overflow(begin_ns, budget_ns, &end_ns)) {
        end_ns = UINT64_MAX;
    }
    rp_os_lock_take(&deck->workers.world_lock);
    rp_log_tend(deck->log);
    make_room(deck, begin_ns + (end_ns - begin_ns) / 2);
    uint64_t now_ns = rp_os_monotonic_ns();
    if (now_ns < end_ns) {
        rp_world_tend(deck->world, end_ns - now_ns);
    }
    rp_os_lock_drop(&deck->workers.world_lock);
    deck->idle_ns += rp_os_monotonic_ns() - begin_ns;
}

/* ---- what is known ---- */

rp_status rp_state_hash(rp_deck *deck, uint64_t frame, uint64_t *hash)
{
    uint64_t index;
    rp_status status = deck_find_frame(deck, "state hash", frame, &index);
    return status == RP_OK ? rp_log_hash(deck->log, index, hash) : status;
}

void rp_deck_status_get(const rp_deck *deck, rp_deck_status *status)
{
    rp_log_stats stats;
    rp_log_stats_get(deck->log, &stats);
    rp_world_stats world;
    rp_world_stats_get(deck->world, &world);
    *status = (rp_deck_status){
        .frame = deck->frame,
        .oldest_frame = stats.oldest_frame,
        .newest_frame = stats.newest_frame,
        /* What is free, and what packing works in, goes back between frames. */
        .history_bytes =
            stats.history_bytes - stats.room_bytes - stats.warm_bytes - stats.working_bytes,
        .budget_bytes = stats.budget_bytes,
        .world_bytes = stats.world_bytes,
        .loop_from = deck->loop.from,
        .loop_to = deck->loop.to,
        .loop_pass = rp_loop_is_set(&deck->loop) ? deck->loop_pass : 0,
        .lost = deck->broken != RP_OK,
        .raw_bytes = stats.raw_bytes,
        .packed_bytes = stats.packed_bytes,
        .sought_bytes = stats.sought_bytes,
        .thinned_count = stats.thinned_count,
        .hot_pages = world.hot_count,
        .split_chunks = world.split_count,
        .collapsed_chunks = world.collapse_count,
        .idle_ns = deck->idle_ns,
        .tracking = rp_world_tracking(deck->world),
        .every_frame_from = stats.every_frame_from,
    };
}

void rp_will_write(rp_deck *deck, const void *start, size_t size_bytes)
{
    rp_world_will_write(deck->world, start, size_bytes);
}
