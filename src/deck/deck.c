/* The deck: frames committed to the log, restored from it, and repeated.
 *
 * It owns the region, the log and the world's side of history. A frame that cannot be committed is
 * taken back, so that log and world always say the same; where even that fails the deck is broken
 * and says so from then on.
 */
#include <reprise/deck.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "deck/loop.h"
#include "history/storage.h"
#include "history/world.h"
#include "os/os.h"
#include "region/region.h"

#include <string.h>

enum { INPUT_BYTES_DEFAULT = 1024, INPUT_BYTES_MAX = 65536, BUILD = 1 };
#define BUDGET_BYTES_DEFAULT RP_MIB(512)

struct rp_deck {
    rp_log *log;
    rp_world *world;
    rp_heap *heap;
    rp_loop_store loop;
    uint64_t loop_pass;
    uint64_t frame; /* the state that the world holds, between frames */
    uint64_t frame_start_ns;
    rp_status broken;      /* the world is not what the log says; RP_OK: all is well */
    char broken_text[256]; /* why */
    bool started, in_frame, sought;
    uint32_t next_range_page;
    rp_grow entries; /* rp_page_slot: what the commit under way wrote */
    size_t entry_count;
    uint32_t input_capacity, input_bytes;
    uint8_t input[INPUT_BYTES_MAX]; /* of the frame under way */
};

#define DECK_BYTES ((size_t)rp_align_up(sizeof(rp_deck), RP_PAGE_BYTES))

/* ---- opening and closing ---- */

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
    if (desc->input_bytes > INPUT_BYTES_MAX) {
        return rp_fail(RP_E_ARGUMENT,
                       "deck: an input of %zu bytes: a frame's input has at most %d: put "
                       "larger data into files or into the state",
                       desc->input_bytes, INPUT_BYTES_MAX);
    }
    if ((unsigned)desc->tracking > RP_TRACKING_COMPARE) {
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
    made->input_capacity = (uint32_t)(desc->input_bytes ? desc->input_bytes : INPUT_BYTES_DEFAULT);
    made->next_range_page = RP_PAGE_EXTRA;
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
    rp_loop_clear(&deck->loop);
    rp_world_close(deck->world);
    rp_log_destroy(deck->log);
    rp_grow_finish(&deck->entries);
    rp_os_vm_release(deck, DECK_BYTES);
    rp_region_destroy();
}

rp_heap *rp_deck_heap(rp_deck *deck)
{
    return deck->heap;
}

rp_status rp_range(rp_deck *deck, void *start, size_t size_bytes, rp_zone zone, const char *name)
{
    name = name ? name : "unnamed";
    if (deck->started) {
        return rp_fail(RP_E_ARGUMENT, "range '%s': the first frame has begun: declare it before",
                       name);
    }
    if (zone != RP_ZONE_WORLD) {
        return rp_fail(RP_E_ARGUMENT, "range '%s': only state is declared: leave out what is kept",
                       name);
    }
    if (!start || !size_bytes) {
        return rp_fail(RP_E_ARGUMENT, "range '%s': it has no bytes: give its start and size", name);
    }
    rp_status status =
        rp_world_range_add(deck->world, start, size_bytes, deck->next_range_page, name);
    if (status == RP_OK) {
        deck->next_range_page += rp_world_range_pages(start, size_bytes);
    }
    return status;
}

/* ---- committing ---- */

/* With the error record saying why. */
static rp_status break_deck(rp_deck *deck, rp_status status)
{
    deck->broken = status;
    rp_text_copy(deck->broken_text, sizeof deck->broken_text, rp_error_last()->text);
    return status;
}

static rp_status check_whole(const rp_deck *deck, const char *what)
{
    if (deck->broken == RP_OK) {
        return RP_OK;
    }
    return rp_fail(deck->broken,
                   "%s: the state was lost by an earlier failure (%s): close the deck", what,
                   deck->broken_text);
}

static bool offer_slots(void *context, uint32_t want, rp_slot_run *run)
{
    rp_deck *deck = context;
    size_t count;
    return rp_log_slots_offer(deck->log, want, run, 1, &count) == RP_OK && count == 1;
}

static rp_page_slot *entries_of(const rp_deck *deck)
{
    return (rp_page_slot *)(void *)deck->entries.data;
}

static bool take_entries(void *context, const rp_page_slot *entries, size_t count)
{
    rp_deck *deck = context;
    if (rp_grow_need(&deck->entries, (deck->entry_count + count) * sizeof *entries) != RP_OK) {
        return false;
    }
    memcpy(entries_of(deck) + deck->entry_count, entries, count * sizeof *entries);
    deck->entry_count += count;
    return true;
}

static rp_status apply(rp_deck *deck, const rp_page_slot *entries, size_t count)
{
    size_t skipped;
    rp_status status = rp_world_apply_begin(deck->world);
    if (status == RP_OK) {
        status = rp_world_apply(deck->world, entries, count);
    }
    if (status == RP_OK) {
        status = rp_world_apply_end(deck->world, &skipped);
    }
    return status;
}

/* The world believes to be where the log refused to go: the same pages get back what the log has.
 */
static rp_status take_back_collected(rp_deck *deck)
{
    rp_page_slot *entries = entries_of(deck);
    for (size_t i = 0; i < deck->entry_count; i++) {
        entries[i].slot = rp_log_slot_of(deck->log, entries[i].page);
    }
    return apply(deck, entries, deck->entry_count);
}

/* Undoes a frame that cannot be kept; the error record goes on to say why it cannot. */
static rp_status take_back(rp_deck *deck, rp_status why, bool collected)
{
    char text[sizeof rp_error_last()->text];
    size_t page_count;
    uint32_t first_page;
    memcpy(text, rp_error_last()->text, sizeof text);
    rp_status status = RP_E_MEMORY; /* frame 0 has nothing to go back to */
    if (deck->started) {
        status = collected ? take_back_collected(deck)
                           : rp_world_revert(deck->world, &page_count, &first_page);
    }
    rp_log_slots_reset(deck->log);
    rp_fail(why, "frame %llu was taken back: %s", (unsigned long long)deck->frame + deck->started,
            text);
    return status == RP_OK ? why : break_deck(deck, why);
}

static rp_status commit(rp_deck *deck, const rp_record_desc *desc)
{
    deck->entry_count = 0;
    rp_status status = rp_world_collect(deck->world, offer_slots, take_entries, deck);
    if (status != RP_OK) {
        return take_back(deck, status, false);
    }
    status = rp_log_commit(deck->log, desc, entries_of(deck), deck->entry_count);
    return status == RP_OK ? RP_OK : take_back(deck, status, true);
}

/* The state before the first frame becomes frame 0. */
static rp_status start(rp_deck *deck)
{
    rp_status status = commit(deck, &(rp_record_desc){.frame = 0, .build = BUILD});
    deck->started = status == RP_OK;
    return status;
}

/* ---- restoring ---- */

static rp_status find_frame(const rp_deck *deck, const char *what, uint64_t frame, uint64_t *index)
{
    rp_log_stats stats;
    if (rp_log_find_frame(deck->log, frame, index)) {
        return RP_OK;
    }
    if (!deck->started) {
        return rp_fail(RP_E_RANGE, "%s: no frame was made yet: begin and end one first", what);
    }
    rp_log_stats_get(deck->log, &stats);
    return rp_fail(RP_E_RANGE, "%s: frame %llu is not kept: choose one of %llu to %llu", what,
                   (unsigned long long)frame, (unsigned long long)stats.oldest_frame,
                   (unsigned long long)stats.newest_frame);
}

static rp_status restore(rp_deck *deck, const char *what, uint64_t frame)
{
    const rp_page_slot *entries;
    size_t count;
    uint64_t index;
    rp_status status = check_whole(deck, what);
    if (status == RP_OK) {
        status = find_frame(deck, what, frame, &index);
    }
    if (status == RP_OK) {
        status = rp_log_seek(deck->log, index, &entries, &count);
    }
    if (status != RP_OK) {
        return status;
    }
    status = apply(deck, entries, count);
    if (status != RP_OK) {
        return break_deck(deck, status);
    }
    deck->frame = frame;
    deck->sought = true;
    return RP_OK;
}

rp_status rp_seek(rp_deck *deck, uint64_t frame)
{
    RP_ASSERT(!deck->in_frame);
    rp_status status = restore(deck, "seek", frame);
    if (status == RP_OK && (frame < deck->loop.from || frame > deck->loop.to)) {
        rp_loop_clear(&deck->loop);
    }
    return status;
}

/* ---- looping ---- */

/* The recording is the first pass: what a later one is compared with. */
static rp_status note_recorded(const rp_deck *deck, rp_loop_store *loop)
{
    rp_status status = RP_OK;
    for (uint64_t frame = loop->from + 1; frame <= loop->to && status == RP_OK; frame++) {
        uint64_t index, hash;
        status = find_frame(deck, "loop", frame, &index);
        if (status == RP_OK) {
            status = rp_log_hash(deck->log, index, &hash);
        }
        if (status == RP_OK) {
            rp_loop_hash_note(loop, frame, BUILD, hash);
        }
    }
    return status;
}

rp_status rp_loop(rp_deck *deck, uint64_t from, uint64_t to)
{
    RP_ASSERT(!deck->in_frame);
    if (to == 0) {
        rp_loop_clear(&deck->loop);
        return RP_OK;
    }
    rp_loop_store made = {0};
    rp_status status = check_whole(deck, "loop");
    if (status == RP_OK) {
        status = rp_loop_set(&made, deck->log, from, to);
    }
    if (status == RP_OK) {
        status = note_recorded(deck, &made);
    }
    if (status == RP_OK) {
        status = restore(deck, "loop", from);
    }
    if (status != RP_OK) {
        rp_loop_clear(&made);
        return status;
    }
    rp_loop_clear(&deck->loop);
    deck->loop = made;
    deck->loop_pass = 1;
    return RP_OK;
}

static rp_status begin_pass(rp_deck *deck)
{
    if (deck->frame < deck->loop.to) {
        return RP_OK;
    }
    rp_status status = restore(deck, "loop", deck->loop.from);
    deck->loop_pass += status == RP_OK;
    return status == RP_OK || deck->broken != RP_OK ? status : break_deck(deck, status);
}

/* Overwrites the caller's buffer: what it has beyond the logged bytes becomes zero. */
static void take_logged_input(rp_deck *deck, void *input, size_t input_bytes)
{
    uint32_t bytes;
    const void *logged = rp_loop_input_bytes(&deck->loop, deck->frame + 1, &bytes);
    if (bytes) {
        memcpy(deck->input, logged, bytes);
    }
    deck->input_bytes = bytes;
    if (input_bytes) {
        size_t kept = rp_min_size(bytes, input_bytes);
        memcpy(input, deck->input, kept);
        memset((uint8_t *)input + kept, 0, input_bytes - kept);
    }
}

/* After the commit of a frame of a loop: whether it went as it was recorded, and whether the loop
 * can go on, since a commit may evict the frame that it begins with. */
static rp_status check_loop(rp_deck *deck, uint64_t *diverged)
{
    uint64_t hash, index;
    rp_status status = rp_log_hash(deck->log, rp_log_position(deck->log), &hash);
    if (status == RP_OK) {
        *diverged = rp_loop_hash_note(&deck->loop, deck->frame, BUILD, hash).diverged;
    }
    if (status == RP_OK && !rp_log_find_frame(deck->log, deck->loop.from, &index)) {
        status = rp_fail(RP_E_BUDGET,
                         "loop: frame %llu, where it begins, is no longer kept: it ends here: "
                         "open the deck with a larger budget",
                         (unsigned long long)deck->loop.from);
        rp_loop_clear(&deck->loop);
    }
    return status;
}

/* ---- frames ---- */

rp_moment rp_frame_begin(rp_deck *deck, void *input, size_t input_bytes)
{
    RP_ASSERT(!deck->in_frame && input_bytes <= deck->input_capacity && (input || !input_bytes));
    deck->in_frame = true;
    if (deck->broken == RP_OK && !deck->started) {
        (void)start(deck); /* a failure breaks the deck, which the frame's end reports */
    }
    deck->frame_start_ns = rp_os_monotonic_ns();
    if (deck->broken == RP_OK && rp_loop_is_set(&deck->loop) && begin_pass(deck) == RP_OK) {
        take_logged_input(deck, input, input_bytes);
        return RP_MOMENT_REPLAY;
    }
    if (input_bytes) {
        memcpy(deck->input, input, input_bytes);
    }
    deck->input_bytes = (uint32_t)input_bytes;
    return deck->sought ? RP_MOMENT_SOUGHT : RP_MOMENT_LIVE;
}

rp_status rp_frame_end(rp_deck *deck, rp_frame_info *info)
{
    RP_ASSERT(deck->in_frame);
    deck->in_frame = false;
    uint64_t start_ns = rp_os_monotonic_ns(), diverged = 0;
    rp_status status = check_whole(deck, "frame");
    if (status == RP_OK) {
        status = commit(deck, &(rp_record_desc){.frame = deck->frame + 1,
                                                .build = BUILD,
                                                .step_ns = start_ns - deck->frame_start_ns,
                                                .input = deck->input,
                                                .input_bytes = deck->input_bytes});
    }
    if (status != RP_OK) {
        return status;
    }
    deck->frame++;
    deck->sought = false;
    uint64_t commit_ns = rp_os_monotonic_ns() - start_ns;
    if (rp_loop_is_set(&deck->loop)) {
        status = check_loop(deck, &diverged);
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

/* ---- what is known ---- */

rp_status rp_state_hash(rp_deck *deck, uint64_t frame, uint64_t *hash)
{
    uint64_t index;
    rp_status status = find_frame(deck, "state hash", frame, &index);
    return status == RP_OK ? rp_log_hash(deck->log, index, hash) : status;
}

void rp_deck_status_get(const rp_deck *deck, rp_deck_status *status)
{
    rp_log_stats stats;
    rp_log_stats_get(deck->log, &stats);
    *status = (rp_deck_status){
        .frame = deck->frame,
        .oldest_frame = stats.oldest_frame,
        .newest_frame = stats.newest_frame,
        .history_bytes = stats.history_bytes,
        .budget_bytes = stats.budget_bytes,
        .world_bytes = stats.world_bytes,
        .loop_from = deck->loop.from,
        .loop_to = deck->loop.to,
        .loop_pass = rp_loop_is_set(&deck->loop) ? deck->loop_pass : 0,
        .tracking = rp_world_tracking(deck->world),
    };
}
