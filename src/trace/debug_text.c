/* The report of one error: what kind, how far off, which block, made and freed and touched where,
 * its neighbours, and the bytes. On the caller's stack, without a lock, without an allocation: the
 * heap may be damaged.
 */
#include "base/text.h"
#include "trace/tracked.h"

enum { LINE_BYTES = 256, PATH_BYTES = 256, STACK_SHOWN = 12 };

static const char *headline_of(rp_debug_error_kind kind)
{
    switch (kind) {
    case RP_DEBUG_OVERRUN:
        return "overrun: bytes behind a block were written";
    case RP_DEBUG_UNDERRUN:
        return "underrun: bytes before a block were written";
    case RP_DEBUG_WRITE_AFTER_FREE:
        return "use after free: a block was written after it was freed";
    case RP_DEBUG_ACCESS_AFTER_FREE:
        return "use after free: a freed block was touched";
    case RP_DEBUG_GUARD_AFTER:
        return "overrun: the guard page behind a block was touched";
    case RP_DEBUG_GUARD_BEFORE:
        return "underrun: the guard page before a block was touched";
    case RP_DEBUG_DOUBLE_FREE:
        return "double free: a block was freed that was freed before";
    case RP_DEBUG_BAD_FREE:
        return "bad free: no live block starts there";
    case RP_DEBUG_WRONG_SIZE:
        return "wrong size: a block was freed with a size that is not its own";
    }
    return "unknown";
}

/* ---- places ---- */

static void add_distance(rp_text_buffer *text, const debug_finding *finding)
{
    const uint8_t *start = finding->slot->record->start, *at = finding->address;
    uint64_t size_bytes = finding->slot->record->said.size_bytes;
    if (at < start) {
        rp_text_add(text, "%llu bytes before the block", (unsigned long long)(start - at));
    } else if ((uint64_t)(at - start) >= size_bytes) {
        rp_text_add(text, "%llu bytes behind the block's end",
                    (unsigned long long)((uint64_t)(at - start) - size_bytes));
    } else {
        rp_text_add(text, "%llu bytes into the block", (unsigned long long)(at - start));
    }
}

static void add_where(rp_text_buffer *text, const debug_finding *finding)
{
    rp_text_add(text, "reprise: %s\n  at       %p", headline_of(finding->kind),
                (const void *)finding->address);
    if (finding->slot) {
        rp_text_add(text, ", ");
        add_distance(text, finding);
    }
    if (finding->kind == RP_DEBUG_WRONG_SIZE) {
        rp_text_add(text, "; the size given is %zu", finding->span_bytes);
    } else if (finding->span_bytes) {
        rp_text_add(text, "; %zu bytes from there on are damaged", finding->span_bytes);
    }
    rp_text_add(text, "%s%s\n", finding->what ? "; " : "", finding->what ? finding->what : "");
}

static const char *state_text(const tracked_record *record)
{
    switch (state_of(record)) {
    case TRACKED_LIVE:
        return "live";
    case TRACKED_RESTING:
        return "freed, in quarantine";
    case TRACKED_DEAD:
        return "freed";
    default:
        return "being freed or resized";
    }
}

/* A call without a text is in the stack below, if anywhere. */
static bool is_text(const char *site)
{
    return *site && *site != '{';
}

static void add_block(rp_text_buffer *text, const char *title, const tracked_record *record)
{
    const rp_trace_record *said = &record->said;
    rp_zone zone = zone_of(record);
    const char *site = rp_trace_site_text(zone, said->site);
    rp_text_add(text, "  %-8s %p, %llu bytes, %s, block %llu, frame %u, %s\n", title,
                (void *)record->start, (unsigned long long)said->size_bytes,
                is_text(site) ? site : "site unknown", (unsigned long long)said->serial,
                said->frame, state_text(record));
}

static void add_owner(rp_text_buffer *text, const debug_finding *finding)
{
    const tracked_record *record = finding->slot->record;
    char path[PATH_BYTES], modes[128];
    rp_trace_scope_path(zone_of(record), record->said.scope, path, sizeof path);
    rp_text_add(text, "  of       heap %s, scope %s, modes %s\n",
                finding->allocator ? finding->allocator->name : "-", path,
                rp_debug_modes_text(record->said.modes, modes, sizeof modes));
}

/* ---- stacks ---- */

static void add_address(rp_text_buffer *text, const void *address, bool in_signal)
{
    char line[LINE_BYTES];
    rp_trace_symbolise(address, in_signal, line, sizeof line);
    rp_text_add(text, "    %s\n", line);
}

static void add_line(void *context, size_t index, const char *line)
{
    (void)index;
    rp_text_add(context, "    %s\n", line);
}

/* By the host's symboliser, which may take its time, but not in a signal handler. */
static void add_addresses(rp_text_buffer *text, const char *title, const debug_finding *finding,
                          const uintptr_t *addresses, size_t count)
{
    rp_symboliser *host = finding->in_signal ? NULL : rp_symboliser_get();
    rp_text_add(text, "  %s\n", title);
    if (host) {
        host(addresses, count, add_line, text);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        add_address(text, (const void *)addresses[i], finding->in_signal);
    }
}

static void add_stack(rp_text_buffer *text, const char *title, const debug_finding *finding,
                      uint32_t stack)
{
    const void *kept[STACK_SHOWN];
    uintptr_t addresses[STACK_SHOWN];
    size_t have = rp_trace_stack_get(zone_of(finding->slot->record), stack, kept, STACK_SHOWN);
    size_t count = rp_min_size(have, STACK_SHOWN);
    for (size_t i = 0; i < count; i++) {
        addresses[i] = (uintptr_t)kept[i];
    }
    if (count) {
        add_addresses(text, title, finding, addresses, count);
    }
}

static void add_here(rp_text_buffer *text, const debug_finding *finding)
{
    uintptr_t addresses[STACK_SHOWN] = {(uintptr_t)finding->caller};
    if (!finding->caller) {
        return;
    }
    size_t walked =
        finding->in_signal ? 1 : rp_trace_stack_walk(finding->caller, addresses, STACK_SHOWN);
    size_t count = rp_max_size(rp_min_size(walked, STACK_SHOWN), 1);
    add_addresses(text, finding->in_signal ? "touched at" : "found at", finding, addresses, count);
}

/* ---- neighbours ---- */

static void add_neighbour(rp_text_buffer *text, const char *title, const tracked_slot *slot,
                          const uint8_t *address)
{
    tracked_slot other;
    bool inside = rp_region_unit_head(address) == slot->head;
    if (inside && rp_tracked_look(slot->head, address, &other) && other.record != slot->record &&
        state_of(other.record) != TRACKED_FRESH) {
        add_block(text, title, other.record);
    }
}

static void add_neighbours(rp_text_buffer *text, const tracked_slot *slot)
{
    if (slot->head && slot->head->size_class != SINGLE_CLASS) {
        add_neighbour(text, "before", slot, slot->start - 1);
        add_neighbour(text, "behind", slot, slot->start + slot->size_bytes);
    }
}

/* ---- bytes ---- */

static void add_row(rp_text_buffer *text, const debug_finding *finding, const uint8_t *row)
{
    const uint8_t *end = finding->address + finding->span_bytes;
    rp_text_add(text, "  %p ", (const void *)row);
    for (const uint8_t *at = row; at < row + 16; at++) {
        bool bad = at >= finding->address && at < end && rp_marks_byte_damaged(at, finding->kind);
        rp_text_add(text, bad ? "[%02x]" : " %02x ", *at);
    }
    rp_text_add(text, "\n");
}

/* A row of context on both sides of the damage, as far as it lies in the slot. */
static void add_bytes(rp_text_buffer *text, const debug_finding *finding)
{
    enum { ROW_BYTES = 16, ROWS_MOST = 6 };
    const tracked_slot *slot = finding->slot;
    const uint8_t *end = slot->start + slot->size_bytes;
    const uint8_t *row =
        (const uint8_t *)rp_align_down((uintptr_t)finding->address, ROW_BYTES) - ROW_BYTES;
    rp_text_add(text, "  bytes, the damaged ones in brackets\n");
    for (int i = 0; i < ROWS_MOST; i++, row += ROW_BYTES) {
        if (row >= slot->start && row + ROW_BYTES <= end &&
            row < finding->address + finding->span_bytes + ROW_BYTES) {
            add_row(text, finding, row);
        }
    }
}

void rp_debug_describe(const debug_finding *finding, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    const tracked_slot *slot = finding->slot;
    add_where(&buffer, finding);
    if (!slot) {
        add_here(&buffer, finding);
        return;
    }
    add_block(&buffer, "block", slot->record);
    add_owner(&buffer, finding);
    if (finding->span_bytes && finding->kind != RP_DEBUG_WRONG_SIZE) {
        add_bytes(&buffer, finding);
    }
    add_neighbours(&buffer, slot);
    add_here(&buffer, finding);
    add_stack(&buffer, "made at", finding, slot->record->said.made_stack);
    add_stack(&buffer, "freed at", finding, slot->record->said.freed_stack);
}
