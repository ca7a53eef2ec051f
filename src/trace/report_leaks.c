/* Leaks: at the program's end, and at a scope's. */
#include "base/bits.h"
#include "trace/reach.h"

#include <setjmp.h>
#include <string.h>

/* Blocks that are alike in all that the report says of them. */
typedef struct leak_group {
    report_block first;
    uint64_t count, bytes;
} leak_group;

static int by_place(const void *a, const void *b)
{
    const report_block *one = a, *other = b;
    int order = report_order(one->state, other->state);
    order = order ? order : report_order(one->zone, other->zone);
    order = order ? order : report_order(one->scope, other->scope);
    order = order ? order : report_order(one->site, other->site);
    order = order ? order : report_order(one->stack, other->stack);
    return order ? order : report_order(one->start, other->start);
}

static bool same_place(const report_block *a, const report_block *b)
{
    return a->state == b->state && a->zone == b->zone && a->scope == b->scope &&
           a->site == b->site && a->stack == b->stack;
}

/* What nothing points to first, the largest first. */
static int by_weight(const void *a, const void *b)
{
    const leak_group *one = a, *other = b;
    int order = report_order(one->first.state, other->first.state);
    order = order ? order : report_order(other->bytes, one->bytes);
    return order ? order : report_order(one->first.start, other->first.start);
}

/* Only tracked blocks that live: of the others nothing could be said. */
static void group(report_array *blocks, report_array *groups)
{
    report_array_sort(blocks, by_place);
    for (size_t i = 0; i < blocks->count; i++) {
        const report_block *block = report_array_at(blocks, i);
        if (!block->record || !block->live) {
            continue;
        }
        leak_group *last = groups->count ? report_array_at(groups, groups->count - 1) : NULL;
        if (!last || !same_place(&last->first, block)) {
            last = report_array_add(groups, sizeof *last);
            if (!last) {
                return;
            }
            last->first = *block;
        }
        last->count++;
        last->bytes += block->size_bytes;
    }
    report_array_sort(groups, by_weight);
}

/* ---- showing ---- */

static const char *const state_keys[REACH_STATES] = {"unreachable", "indirect", "reachable",
                                                     "live"};
static const char *const state_texts[REACH_STATES] = {
    "nothing points to them", "only unreachable blocks point to them", "still reachable", "live"};

static void group_json(report_out *out, const report_symbols *symbols, const leak_group *leak)
{
    const report_block *first = &leak->first;
    report_open(out, NULL, '{');
    report_string(out, "state", state_keys[first->state]);
    report_string(out, "zone", first->zone == RP_ZONE_WORLD ? "world" : "keep");
    report_scope_member(out, first->zone, first->scope);
    report_site_member(out, first->zone, first->site);
    report_string(out, "allocator", first->allocator ? first->allocator->name : "");
    report_number(out, "count", leak->count);
    report_number(out, "bytes", leak->bytes);
    report_number(out, "first_serial", first->record->serial);
    report_number(out, "first_frame", first->record->frame);
    report_stack(out, symbols, first->zone, first->stack);
    report_close(out, '}');
}

static void group_text(report_out *out, const report_symbols *symbols, const leak_group *leak)
{
    const report_block *first = &leak->first;
    char path[1024];
    rp_trace_scope_path(first->zone, first->scope, path, sizeof path);
    char name[RP_TRACE_SITE_BYTES];
    const char *site = rp_trace_site_name(first->zone, first->site, name, sizeof name);
    report_text(out, "  %llu block%s, ", (unsigned long long)leak->count,
                leak->count == 1 ? "" : "s");
    report_bytes(out, 0, leak->bytes);
    report_text(out, ", %s: in scope %s, at %s, of [%s], first made in frame %u as block %llu\n",
                state_texts[first->state], path, *site ? site : "(site not known)",
                first->allocator ? first->allocator->name : "-", first->record->frame,
                (unsigned long long)first->record->serial);
    report_stack(out, symbols, first->zone, first->stack);
}

static void groups_show(report_out *out, const report_array *groups)
{
    report_symbols symbols = {0};
    for (size_t i = 0; i < groups->count; i++) {
        const leak_group *leak = report_array_at(groups, i);
        report_symbols_add(&symbols, leak->first.zone, leak->first.stack);
    }
    report_symbols_resolve(&symbols);
    for (size_t i = 0; i < groups->count; i++) {
        const leak_group *leak = report_array_at(groups, i);
        (out->json ? group_json : group_text)(out, &symbols, leak);
    }
    report_symbols_drop(&symbols);
}

typedef struct leak_sums {
    uint64_t count[REACH_STATES], bytes[REACH_STATES];
} leak_sums;

static leak_sums sums_of(const report_array *groups)
{
    leak_sums sums = {0};
    for (size_t i = 0; i < groups->count; i++) {
        const leak_group *leak = report_array_at(groups, i);
        sums.count[leak->first.state] += leak->count;
        sums.bytes[leak->first.state] += leak->bytes;
    }
    return sums;
}

/* ---- at the program's end ---- */

static void leaks_json(report_out *out, const report_array *groups, const leak_sums *sums,
                       bool whole)
{
    report_open(out, NULL, '{');
    for (int i = 0; i < REACH_NOT_ASKED; i++) {
        report_open(out, state_keys[i], '{');
        report_number(out, "count", sums->count[i]);
        report_number(out, "bytes", sums->bytes[i]);
        report_close(out, '}');
    }
    report_number(out, "whole", whole);
    report_open(out, "groups", '[');
    groups_show(out, groups);
    report_close(out, ']');
    report_close(out, '}');
    report_end(out);
}

static void leaks_text(report_out *out, const report_array *groups, const leak_sums *sums,
                       bool whole)
{
    report_text(out, "reprise: leaks: ");
    report_bytes(out, 0, sums->bytes[REACH_NO]);
    report_text(out, " in %llu blocks that nothing points to, ",
                (unsigned long long)sums->count[REACH_NO]);
    report_bytes(out, 0, sums->bytes[REACH_INDIRECT]);
    report_text(out, " in %llu that only those hold; ",
                (unsigned long long)sums->count[REACH_INDIRECT]);
    report_bytes(out, 0, sums->bytes[REACH_YES]);
    report_text(out, " in %llu blocks live and are reachable\n",
                (unsigned long long)sums->count[REACH_YES]);
    if (!whole) {
        report_text(out, "  (the keep zone is full: not every pointer could be followed)\n");
    }
    groups_show(out, groups);
}

/* `out` null: on standard error, and only where something leaked. */
static __attribute__((noinline)) size_t report_leaks(report_out *out, const void *stack_from)
{
    report_array blocks = {0}, groups = {0};
    report_out errors = report_begin(RP_REPORT_TEXT, NULL, NULL);
    if (rp_region_is_open()) {
        report_blocks_gather(&blocks, RP_ZONE_WORLD);
        report_blocks_gather(&blocks, RP_ZONE_KEEP);
    }
    bool whole = rp_reach_mark(&blocks, stack_from);
    group(&blocks, &groups);
    leak_sums sums = sums_of(&groups);
    size_t leaked = (size_t)(sums.count[REACH_NO] + sums.count[REACH_INDIRECT]);
    if (out || leaked) {
        out = out ? out : &errors;
        (out->json ? leaks_json : leaks_text)(out, &groups, &sums, whole);
    }
    report_array_drop(&groups);
    report_array_drop(&blocks);
    return leaked;
}

/* A pointer that the caller has in a register alone is in this frame then. */
static __attribute__((noinline)) size_t with_registers(report_out *out)
{
    jmp_buf registers;
    memset(&registers, 0, sizeof registers);
    (void)setjmp(registers);
    size_t count = report_leaks(out, &registers);
    __asm__ volatile("" : : "r"(&registers) : "memory"); /* the frame lives until here */
    return count;
}

size_t rp_report_leaks(rp_report_format format, rp_report_writer *writer, void *context)
{
    report_out out = report_begin(format, writer, context);
    return with_registers(&out);
}

size_t rp_report_leaks_if_any(void)
{
    return with_registers(NULL);
}

/* ---- at a scope's end ---- */

typedef struct scope_leaks {
    report_array blocks;
    const rp_trace_tables *tables;
    uint32_t scope;
    uint64_t since;
} scope_leaks;

static int add_left(const rp_trace_block *block, void *context)
{
    scope_leaks *leaks = context;
    const rp_trace_record *record = block->record;
    if (!block->live || record->serial <= leaks->since ||
        !rp_trace_scope_within(leaks->tables, record->scope, leaks->scope)) {
        return 0;
    }
    report_block *added = report_array_add(&leaks->blocks, sizeof *added);
    if (added) {
        *added = report_block_of(RP_ZONE_WORLD, block);
        added->state = REACH_NOT_ASKED;
    }
    return !added;
}

static void scope_leaks_show(scope_leaks *leaks)
{
    report_array groups = {0};
    char path[1024];
    report_out out = report_begin(RP_REPORT_TEXT, NULL, NULL);
    group(&leaks->blocks, &groups);
    leak_sums sums = sums_of(&groups);
    rp_trace_scope_path(RP_ZONE_WORLD, leaks->scope, path, sizeof path);
    report_text(&out, "reprise: scope %s ended and %llu blocks (", path,
                (unsigned long long)sums.count[REACH_NOT_ASKED]);
    report_bytes(&out, 0, sums.bytes[REACH_NOT_ASKED]);
    report_text(&out, ") of it live still: release them, or end it with rp_scope_end\n");
    groups_show(&out, &groups);
    report_array_drop(&groups);
}

size_t rp_scope_end_released(rp_scope scope)
{
    scope_leaks leaks = {
        .scope = scope.id, .since = scope.since, .tables = rp_trace_tables_if_any(RP_ZONE_WORLD)};
    rp_scope_end(scope);
    if (!leaks.tables || !rp_debug_ops_get() || scope.id == scope.outer) {
        return 0;
    }
    rp_trace_walk(RP_ZONE_WORLD, NULL, add_left, &leaks);
    size_t count = leaks.blocks.count;
    if (count) {
        scope_leaks_show(&leaks);
    }
    report_array_drop(&leaks.blocks);
    return count;
}

void rp_scope_leave_released_(rp_scope *scope)
{
    size_t count = rp_scope_end_released(*scope);
    if (count) {
        rp_region_die("a scope that must release all left %zu block%s: the report above says which",
                      count, count == 1 ? "" : "s");
    }
}
