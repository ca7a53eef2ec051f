/* The log under a runner that lies: entries that name any page and any slot, between seeks and
 * hashes. Refused entries change nothing, and the log's invariants hold after each step. Entry
 * point for libFuzzer and for plain drivers that call it with mutated files.
 */
#include "history/log.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 64, ENTRIES_MAX = 24, RUNS_MAX = 8, BUDGET_BYTES = 256 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct reader {
    const uint8_t *data;
    size_t left;
} reader;

typedef struct play {
    reader input;
    rp_log *log;
    uint64_t frame;
    rp_slot_run runs[RUNS_MAX];
    size_t run_count;
} play;

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static uint32_t take(reader *from, size_t width)
{
    uint32_t value = 0;
    size_t length = from->left < width ? from->left : width;
    memcpy(&value, from->data, length);
    from->data += length;
    from->left -= length;
    return value;
}

static void offer(play *p)
{
    uint32_t want = take(&p->input, 1);
    if (rp_log_slots_offer(p->log, want, p->runs, RUNS_MAX, &p->run_count) != RP_OK) {
        p->run_count = 0;
    }
}

/* The next offered slot, or anything. */
static uint32_t choose_slot(play *p)
{
    uint32_t way = take(&p->input, 1);
    if (way == 255) {
        return take(&p->input, 4);
    }
    if (way < 32 || p->run_count == 0) {
        return way < 32 ? RP_SLOT_ZERO : way;
    }
    rp_slot_run *run = &p->runs[way % p->run_count];
    if (run->count && way < 224) {
        run->count--;
        return run->first++;
    }
    return run->first;
}

static uint32_t choose_page(play *p)
{
    uint32_t way = take(&p->input, 1);
    return way == 255 ? take(&p->input, 4) : way % 48 + (way & 128 ? RP_PAGE_EXTRA : 0);
}

static void commit(play *p)
{
    rp_page_slot entries[ENTRIES_MAX];
    size_t count = take(&p->input, 1) % (ENTRIES_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        entries[i].page = choose_page(p);
        entries[i].slot = choose_slot(p);
    }
    uint64_t first = rp_log_first(p->log), last = rp_log_last(p->log);
    uint64_t position = rp_log_position(p->log);
    rp_record_desc desc = {.frame = p->frame + 1, .build = 1, .input = &count, .input_bytes = 4};
    if (rp_log_commit(p->log, &desc, entries, count) != RP_OK) {
        require(first == rp_log_first(p->log) && last == rp_log_last(p->log) &&
                position == rp_log_position(p->log));
        return;
    }
    p->frame++;
    p->run_count = 0;
    for (size_t i = 0; i < count; i++) {
        require(rp_log_slot_of(p->log, entries[i].page) == entries[i].slot);
    }
}

static void seek(play *p)
{
    uint64_t first = rp_log_first(p->log), last = rp_log_last(p->log);
    uint64_t index = first + take(&p->input, 1) % 20;
    const rp_page_slot *entries;
    size_t count;
    rp_record record;
    bool kept = rp_log_record(p->log, index, &record) && record.kept;
    rp_status status = rp_log_seek(p->log, index, &entries, &count);
    require((status == RP_OK) == (kept && index <= last && first <= last));
    if (status == RP_OK) {
        require(rp_log_position(p->log) == index && rp_log_record(p->log, index, &record));
        p->frame = record.frame;
        for (size_t i = 0; i < count; i++) {
            require(rp_log_slot_of(p->log, entries[i].page) == entries[i].slot);
        }
    }
}

static void hash(play *p)
{
    uint64_t first = rp_log_first(p->log), last = rp_log_last(p->log), here, there;
    uint32_t page;
    if (last < first || rp_log_hash(p->log, first, &here) != RP_OK ||
        rp_log_hash(p->log, last, &there) != RP_OK) {
        return;
    }
    require(rp_log_first_difference(p->log, first, last, &page) || here == there);
}

static void step(play *p)
{
    switch (take(&p->input, 1) % 8) {
    case 0:
    case 1:
    case 2:
        offer(p);
        commit(p);
        break;
    case 3:
        commit(p);
        break;
    case 4:
        seek(p);
        break;
    case 5:
        hash(p);
        break;
    case 6:
        rp_log_slots_reset(p->log);
        p->run_count = 0;
        break;
    default:
        offer(p);
    }
    require(rp_log_check(p->log));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    play p = {.input = {data, size}};
    const rp_log_desc desc = {.budget_bytes = BUDGET_BYTES, .pack_inline = true};
    if (rp_log_create_with(&desc, &p.log) != RP_OK) {
        abort();
    }
    for (int i = 0; i < STEPS_MAX && p.input.left; i++) {
        step(&p);
    }
    rp_log_destroy(p.log);
    return 0;
}
