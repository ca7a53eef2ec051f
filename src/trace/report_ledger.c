/* The ledger: the process's resident memory by what it is used for.
 *
 * Every resident page of the region counts in exactly one line, so the region's lines add up to
 * what the kernel says of its pages; what is outside comes from the kernel's own list of mappings.
 */
#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"
#include "trace/report_units.h"

#include <string.h>

typedef struct ledger_line {
    const char *key, *text;
} ledger_line;

/* Resident bytes of a zone. */
enum {
    LINE_LIVE,
    LINE_SLACK,
    LINE_CACHED,
    LINE_QUARANTINE,
    LINE_WITHIN,
    LINE_RECORDS,
    LINE_RETAINED,
    LINE_AHEAD,
    LINE_MAP,
    LINE_COUNT
};

static const ledger_line lines[LINE_COUNT] = {
    {"live", "blocks that live"},
    {"slack", "what size classes and pages add to tracked blocks"},
    {"cached", "free blocks in threads' caches"},
    {"quarantine", "freed blocks at rest"},
    {"within", "free or unusable within slabs, pages and pools"},
    {"tables", "tables, records, bookkeeping, and this report's scratch"},
    {"retained", "free runs that were not given back yet"},
    {"ahead", "past the last unit: huge pages hold more than was asked for"},
    {"map", "the zone's header and unit map"},
};

typedef struct zone_ledger {
    uint64_t resident[LINE_COUNT];
    uint64_t untouched_bytes; /* of live blocks: asked for and never written to */
} zone_ledger;

/* ---- figures ---- */

/* As much of it as is resident at all; the rest was never touched. */
static uint64_t take_part(zone_ledger *ledger, int line, uint64_t bytes, uint64_t *left)
{
    uint64_t taken = rp_min_size(bytes, *left);
    ledger->resident[line] += taken;
    *left -= taken;
    return taken;
}

static void count_unit(zone_ledger *ledger, const report_unit *unit)
{
    uint64_t resident = rp_os_vm_resident((void *)unit->start, unit->size_bytes);
    if (report_unit_is_free(unit)) {
        ledger->resident[LINE_RETAINED] += resident;
        return;
    }
    if (!report_unit_is_held(unit)) {
        ledger->resident[LINE_RECORDS] += resident;
        return;
    }
    uint64_t left = resident;
    uint64_t live = take_part(ledger, LINE_LIVE, unit->live_bytes, &left);
    take_part(ledger, LINE_QUARANTINE, unit->resting_bytes, &left);
    take_part(ledger, LINE_CACHED, unit->cached_bytes, &left);
    take_part(ledger, LINE_SLACK, unit->slack_bytes, &left);
    ledger->resident[LINE_WITHIN] += left;
    ledger->untouched_bytes += unit->live_bytes - live;
}

static uint64_t span_resident(const rp_region_span *span)
{
    return span->size_bytes ? rp_os_vm_resident(span->start, span->size_bytes) : 0;
}

static uint64_t sum_of(const zone_ledger *ledger)
{
    uint64_t sum = 0;
    for (int i = 0; i < LINE_COUNT; i++) {
        sum += ledger->resident[i];
    }
    return sum;
}

static void take_zone(zone_ledger *ledger, rp_zone zone)
{
    report_units all;
    rp_region_span spans[RP_REGION_SPANS];
    *ledger = (zone_ledger){0};
    report_units_gather(&all, zone);
    for (size_t i = 0; i < all.units.count; i++) {
        count_unit(ledger, report_array_at(&all.units, i));
    }
    rp_region_committed(zone, spans);
    uint64_t units = span_resident(&spans[1]), counted = sum_of(ledger);
    ledger->resident[LINE_AHEAD] = units - rp_min_size(units, counted);
    ledger->resident[LINE_MAP] = span_resident(&spans[0]);
    report_units_drop(&all);
}

/* ---- showing ---- */

static void zone_json(report_out *out, rp_zone zone, const zone_ledger *ledger)
{
    report_open(out, zone == RP_ZONE_WORLD ? "world" : "keep", '{');
    for (int i = 0; i < LINE_COUNT; i++) {
        report_number(out, lines[i].key, ledger->resident[i]);
    }
    report_number(out, "sum", sum_of(ledger));
    report_number(out, "live_never_touched", ledger->untouched_bytes);
    report_close(out, '}');
}

static void line_text(report_out *out, uint64_t bytes, const char *text)
{
    report_text(out, "  ");
    report_bytes(out, 10, bytes);
    report_text(out, "  %s\n", text);
}

static void zone_text(report_out *out, rp_zone zone, const zone_ledger *ledger)
{
    report_text(out, "%s zone, resident: ", zone == RP_ZONE_WORLD ? "world" : "keep");
    report_bytes(out, 0, sum_of(ledger));
    report_text(out, "\n");
    for (int i = 0; i < LINE_COUNT; i++) {
        line_text(out, ledger->resident[i], lines[i].text);
    }
    if (ledger->untouched_bytes) {
        line_text(out, ledger->untouched_bytes,
                  "more in live blocks that nobody ever wrote to: not resident, not in the sum");
    }
}

static const struct {
    const char *key, *text;
    size_t offset;
} others[] = {
    {"files", "programs, libraries and mapped files", offsetof(rp_os_memory, file_bytes)},
    {"brk_heap", "the brk heap", offsetof(rp_os_memory, heap_bytes)},
    {"first_stack", "the first thread's stack", offsetof(rp_os_memory, stack_bytes)},
    {"anonymous", "other memory: threads' stacks, other allocators, the log",
     offsetof(rp_os_memory, anonymous_bytes)},
};

static uint64_t other_bytes(const rp_os_memory *memory, size_t index)
{
    return *(const uint64_t *)(const void *)((const char *)memory + others[index].offset);
}

/* Signed, as either may be the larger. */
static void difference_text(report_out *out, uint64_t system_bytes, uint64_t ours_bytes)
{
    bool more = system_bytes >= ours_bytes;
    report_text(out, "difference: %s", more ? "" : "-");
    report_bytes(out, 0, more ? system_bytes - ours_bytes : ours_bytes - system_bytes);
    report_text(out, more ? ": touched in the region while this report was made\n"
                          : ": pages of the region that were only read, for which the system "
                            "shares one page of zeros\n");
}

static void ledger_text(report_out *out, const zone_ledger zones[2], const rp_os_memory *memory)
{
    report_text(out, "resident memory of the process: ");
    report_bytes(out, 0, memory->resident_bytes);
    report_text(out, "\n");
    zone_text(out, RP_ZONE_WORLD, &zones[0]);
    zone_text(out, RP_ZONE_KEEP, &zones[1]);
    report_text(out, "not ours, resident\n");
    for (size_t i = 0; i < RP_COUNT_OF(others); i++) {
        line_text(out, other_bytes(memory, i), others[i].text);
    }
    difference_text(out, memory->inside_bytes, sum_of(&zones[0]) + sum_of(&zones[1]));
    report_text(out, "beside it, in the kernel: ");
    report_bytes(out, 0, memory->page_table_bytes);
    report_text(out, " of page tables\n");
    report_text(out, "The slack of untracked blocks counts as live: nobody keeps the sizes that "
                     "were asked for.\n");
}

static void ledger_json(report_out *out, const zone_ledger zones[2], const rp_os_memory *memory)
{
    report_open(out, NULL, '{');
    report_number(out, "resident_bytes", memory->resident_bytes);
    zone_json(out, RP_ZONE_WORLD, &zones[0]);
    zone_json(out, RP_ZONE_KEEP, &zones[1]);
    report_open(out, "not_ours", '{');
    for (size_t i = 0; i < RP_COUNT_OF(others); i++) {
        report_number(out, others[i].key, other_bytes(memory, i));
    }
    report_close(out, '}');
    report_number(out, "region_by_system_bytes", memory->inside_bytes);
    report_number(out, "region_by_ledger_bytes", sum_of(&zones[0]) + sum_of(&zones[1]));
    report_number(out, "page_table_bytes", memory->page_table_bytes);
    report_close(out, '}');
    report_end(out);
}

static void failed(report_out *out)
{
    if (!out->json) {
        report_text(out, "%s\n", rp_error_last()->text);
        return;
    }
    report_open(out, NULL, '{');
    report_string(out, "error", rp_error_last()->text);
    report_close(out, '}');
    report_end(out);
}

void rp_report_ledger(rp_report_format format, rp_report_writer *writer, void *context)
{
    report_out out = report_begin(format, writer, context);
    zone_ledger zones[2] = {{{0}, 0}};
    rp_os_memory memory;
    bool open = rp_region_is_open();
    if (open) {
        take_zone(&zones[0], RP_ZONE_WORLD);
        take_zone(&zones[1], RP_ZONE_KEEP);
    }
    const void *start = open ? (const void *)RP_REGION_BASE : NULL;
    size_t size_bytes = open ? (size_t)(rp_region_extent.end - RP_REGION_BASE) : 0;
    if (rp_os_memory_get(start, size_bytes, &memory) != RP_OK) {
        failed(&out);
        return;
    }
    (out.json ? ledger_json : ledger_text)(&out, zones, &memory);
}
