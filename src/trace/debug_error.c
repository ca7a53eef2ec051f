/* What happens when an error is found: told to the callback, or written to standard error; then the
 * program goes on or ends, as the policy says.
 */
#include "trace/tracked.h"

#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES = 4096 };

/* One a process: a function of the host's, which no restore may change. */
static struct debug_handler {
    bool (*function)(const rp_debug_error *error, void *context);
    void *context;
} handler;

void rp_debug_on_error(bool (*function)(const rp_debug_error *error, void *context), void *context)
{
    handler = (struct debug_handler){function, context};
}

void rp_debug_policy_set(rp_debug_policy policy)
{
    debug_choices *choices = rp_debug_choices_get();
    if (choices) {
        __atomic_store_n(&choices->policy, (uint32_t)policy, __ATOMIC_RELAXED);
    }
}

rp_debug_policy rp_debug_policy_get(void)
{
    const debug_choices *choices = rp_debug_choices_if_any();
    return choices ? (rp_debug_policy)__atomic_load_n(&choices->policy, __ATOMIC_RELAXED)
                   : RP_DEBUG_REPORT;
}

void rp_debug_say(const char *text, size_t length)
{
    if (write(STDERR_FILENO, text, length) < 0) {
        /* nowhere to say it */
    }
}

static void tell(const debug_finding *finding)
{
    char text[TEXT_BYTES];
    const tracked_record *record = finding->slot ? finding->slot->record : NULL;
    rp_debug_describe(finding, text, sizeof text);
    const rp_debug_error error = {
        .kind = finding->kind,
        .address = finding->address,
        .offset_bytes = record ? finding->address - record->start : 0,
        .block = record ? record->start : NULL,
        .size_bytes = record ? record->said.size_bytes : 0,
        .serial = record ? record->said.serial : 0,
        .allocator_name = finding->allocator ? finding->allocator->name : "",
        .text = text,
    };
    if (!handler.function || !handler.function(&error, handler.context)) {
        rp_debug_say(text, strlen(text));
    }
}

static rp_allocator *owner_of(const tracked_slot *slot)
{
    return rp_allocator_by_id(zone_of(slot->record), slot->head->owner);
}

void rp_debug_damaged(const tracked_slot *slot, const debug_damage *damage, const void *caller)
{
    if (__atomic_exchange_n(&slot->record->reported, 1, __ATOMIC_RELAXED)) {
        return;
    }
    const debug_finding finding = {
        .kind = damage->kind,
        .address = damage->first,
        .span_bytes = damage->span_bytes,
        .slot = slot,
        .allocator = owner_of(slot),
        .caller = caller,
    };
    tracked_store *store = rp_tracked_store(zone_of(slot->record));
    __atomic_add_fetch(&store->error_count, 1, __ATOMIC_RELAXED);
    tell(&finding);
    if (rp_debug_policy_get() == RP_DEBUG_ABORT) {
        rp_region_die("debug: the memory of heap %s is damaged: see the report above: the policy "
                      "is to end here",
                      finding.allocator ? finding.allocator->name : "-");
    }
}

/* ---- misuse ---- */

static const char *what_of(rp_misuse_kind kind)
{
    switch (kind) {
    case RP_MISUSE_FOREIGN:
        return "foreign memory";
    case RP_MISUSE_INSIDE:
        return "inside a block";
    case RP_MISUSE_NO_BLOCK:
        return "memory that was never handed out";
    case RP_MISUSE_WRONG_ALLOCATOR:
        return "it belongs to another allocator";
    case RP_MISUSE_OVERWRITTEN:
        return "bookkeeping was written over";
    default:
        return NULL;
    }
}

static rp_debug_error_kind kind_of(rp_misuse_kind kind)
{
    switch (kind) {
    case RP_MISUSE_DOUBLE_FREE:
        return RP_DEBUG_DOUBLE_FREE;
    case RP_MISUSE_WRITTEN_AFTER_FREE:
        return RP_DEBUG_WRITE_AFTER_FREE;
    case RP_MISUSE_WRONG_SIZE:
        return RP_DEBUG_WRONG_SIZE;
    default:
        return RP_DEBUG_BAD_FREE;
    }
}

/* The block at the address, or the one that was there. */
static bool slot_at(const void *address, tracked_slot *slot)
{
    rp_unit *head = rp_region_unit_head(address);
    if (head && head->kind == RP_BLOCK_TRACKED) {
        return rp_tracked_look(head, address, slot) && state_of(slot->record) != TRACKED_FRESH;
    }
    const tracked_record *gone =
        !head && rp_region_contains(address) ? rp_tracked_gone(address) : NULL;
    if (gone) {
        *slot = (tracked_slot){.record = (tracked_record *)(uintptr_t)gone};
    }
    return gone != NULL;
}

void rp_debug_explain(rp_misuse_kind kind, const rp_allocator *allocator, const void *address,
                      const void *caller)
{
    tracked_slot slot;
    bool known = slot_at(address, &slot);
    if (!known && !rp_tracked_store(RP_ZONE_WORLD) && !rp_tracked_store(RP_ZONE_KEEP)) {
        return; /* nothing is tracked: the line that follows says all that is known */
    }
    const debug_finding finding = {
        .kind = kind_of(kind),
        .address = address,
        .slot = known ? &slot : NULL,
        .allocator = allocator,
        .what = what_of(kind),
        .caller = caller,
    };
    tell(&finding);
}

/* ---- faults ---- */

bool rp_debug_explain_fault(const void *address, int is_write, const void *pc, char *text,
                            size_t capacity)
{
    static const char *const kinds[] = {"", "a read", "a write"};
    tracked_slot slot;
    rp_unit *head = rp_region_unit_head(address);
    bool ours = rp_region_is_guard(address) && head && head->kind == RP_BLOCK_TRACKED &&
                rp_tracked_look(head, address, &slot);
    if (!ours) {
        return false;
    }
    const uint8_t *at = address;
    const debug_finding finding = {
        .kind = rp_tracked_sealed(&slot)   ? RP_DEBUG_ACCESS_AFTER_FREE
                : at >= slot.record->start ? RP_DEBUG_GUARD_AFTER
                                           : RP_DEBUG_GUARD_BEFORE,
        .address = at,
        .slot = &slot,
        .allocator = owner_of(&slot),
        .what = is_write < 0 ? NULL : kinds[is_write ? 2 : 1],
        .caller = pc,
        .in_signal = true,
    };
    rp_debug_describe(&finding, text, capacity);
    return true;
}
