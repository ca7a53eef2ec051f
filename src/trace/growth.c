/* Growth between two moments: what every scope and site had live then, kept in the keep zone.
 *
 * A seek may bring a world whose ids mean other scopes and sites, so a mark knows them by a hash of
 * their texts; an allocator by that of its name and id.
 */
#include "base/bits.h"
#include "base/error.h"
#include "region/region.h"
#include "trace/report.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { MARKS_MOST = 64 };

typedef struct growth_entry {
    uint64_t hash;
    uint64_t live_bytes, live_count;
    uint32_t scope, site; /* ids at the mark's moment; of an allocator: 0 and its id */
    uint32_t zone, is_allocator;
} growth_entry;

typedef struct growth_mark {
    report_array entries; /* by hash */
    uint64_t serials[2];  /* of the youngest block of each zone */
    uint64_t frame;
    uint32_t number; /* 0: not in use */
} growth_mark;

/* In the keep zone. */
typedef struct growth_list {
    rp_os_lock lock;
    uint32_t last_number;
    growth_mark marks[MARKS_MOST];
} growth_list;

static growth_list *list_of(void)
{
    rp_trace_tables *tables = rp_trace_tables_of(RP_ZONE_KEEP);
    if (!tables) {
        return NULL;
    }
    rp_os_lock_take(&tables->lock);
    if (!tables->growth_marks) {
        growth_list *made = rp_region_block_alloc(RP_ZONE_KEEP, sizeof *made, RP_BLOCK_PAGES, 0, 0);
        tables->growth_marks = made ? memset(made, 0, sizeof *made) : NULL;
    }
    rp_os_lock_drop(&tables->lock);
    return tables->growth_marks;
}

/* ---- taking stock ---- */

static uint64_t place_hash(rp_zone zone, uint32_t scope, uint32_t site)
{
    char path[1024];
    rp_trace_scope_path(zone, scope, path, sizeof path);
    const char *text = rp_trace_site_text(zone, site);
    uint64_t seed = XXH3_64bits_withSeed(path, strlen(path), zone);
    return XXH3_64bits_withSeed(text, strlen(text), seed);
}

static int add_allocator(rp_allocator *allocator, void *context)
{
    rp_alloc_stats stats;
    rp_stats_get(allocator, &stats);
    growth_entry *added = report_array_add(context, sizeof *added);
    if (added) {
        uint64_t seed = ((uint64_t)allocator->zone << 32 | allocator->id) + 2;
        *added = (growth_entry){
            .hash = XXH3_64bits_withSeed(allocator->name, strlen(allocator->name), seed),
            .live_bytes = stats.live_bytes,
            .live_count = stats.live_count,
            .site = allocator->id,
            .zone = allocator->zone,
            .is_allocator = 1,
        };
    }
    return !added;
}

static void add_places(report_array *entries, rp_zone zone)
{
    const rp_trace_tables *tables = rp_trace_tables_if_any(zone);
    const rp_intern *counters = tables ? tables->counters : NULL;
    size_t bytes;
    for (uint32_t id = 0; counters && (id = rp_intern_next(counters, id));) {
        const uint32_t *key = rp_intern_key(counters, id, &bytes);
        rp_tally_figures tally = rp_tally_get(rp_intern_payload(counters, id), rp_trace_frame());
        growth_entry *added = report_array_add(entries, sizeof *added);
        if (!added) {
            return;
        }
        *added = (growth_entry){
            .hash = place_hash(zone, key[0], key[1]),
            .live_bytes = tally.live_bytes,
            .live_count = tally.live_count,
            .scope = key[0],
            .site = key[1],
            .zone = (uint32_t)zone,
        };
    }
}

static int by_hash(const void *a, const void *b)
{
    const growth_entry *one = a, *other = b;
    return report_order(one->hash, other->hash);
}

static void take_stock(growth_mark *mark)
{
    for (rp_zone zone = RP_ZONE_WORLD; zone <= RP_ZONE_KEEP; zone++) {
        add_places(&mark->entries, zone);
        rp_allocator_walk(zone, add_allocator, &mark->entries);
        mark->serials[zone] = rp_trace_serial(zone);
    }
    mark->frame = rp_trace_frame();
    report_array_sort(&mark->entries, by_hash);
}

static const growth_entry *entry_of(const growth_mark *mark, uint64_t hash)
{
    size_t low = 0, high = mark->entries.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const growth_entry *at = report_array_at(&mark->entries, middle);
        if (at->hash == hash) {
            return at;
        }
        low = at->hash < hash ? middle + 1 : low;
        high = at->hash < hash ? high : middle;
    }
    return NULL;
}

/* ---- marks ---- */

static growth_mark *mark_with(growth_list *list, uint32_t number)
{
    for (int i = 0; list && i < MARKS_MOST; i++) {
        if (list->marks[i].number == number) {
            return &list->marks[i];
        }
    }
    return NULL;
}

uint32_t rp_growth_mark(void)
{
    growth_mark made = {.number = 0};
    growth_list *list = list_of();
    if (!list) {
        rp_fail(RP_E_MEMORY, "growth: no mark: the keep zone is full, or the region is not open: "
                             "open it first");
        return 0;
    }
    take_stock(&made);
    rp_os_lock_take(&list->lock);
    growth_mark *free_one = made.entries.full ? NULL : mark_with(list, 0);
    if (free_one) {
        made.number = ++list->last_number;
        *free_one = made;
    }
    rp_os_lock_drop(&list->lock);
    if (!free_one) {
        report_array_drop(&made.entries);
        rp_fail(RP_E_MEMORY, "growth: no mark: there are %d, or the keep zone is full: drop some",
                MARKS_MOST);
    }
    return made.number;
}

void rp_growth_drop(uint32_t number)
{
    growth_list *list = number ? list_of() : NULL;
    if (list) {
        rp_os_lock_take(&list->lock);
        growth_mark *mark = mark_with(list, number);
        if (mark) {
            report_array_drop(&mark->entries);
            *mark = (growth_mark){.number = 0};
        }
        rp_os_lock_drop(&list->lock);
    }
}

/* ---- the report ---- */

typedef struct growth_row {
    growth_entry now;
    uint64_t from_bytes, to_bytes;
    uint64_t still_bytes;                            /* grown between the two and there now */
    uint64_t made_between_bytes, made_between_count; /* blocks of that time that live now */
} growth_row;

/* What grew, and how much of it is left when what was there before counts as still there first. */
static bool row_of(const growth_entry *now, const growth_mark *from, const growth_mark *to,
                   growth_row *row)
{
    const growth_entry *a = entry_of(from, now->hash), *b = entry_of(to, now->hash);
    *row = (growth_row){
        .now = *now, .from_bytes = a ? a->live_bytes : 0, .to_bytes = b ? b->live_bytes : 0};
    uint64_t left = rp_min_size(row->to_bytes, now->live_bytes);
    row->still_bytes = left > row->from_bytes ? left - row->from_bytes : 0;
    return row->still_bytes > 0;
}

static int by_still(const void *a, const void *b)
{
    const growth_row *one = a, *other = b;
    int order = report_order(one->now.is_allocator, other->now.is_allocator);
    order = order ? order : report_order(other->still_bytes, one->still_bytes);
    return order ? order : report_order(one->now.hash, other->now.hash);
}

typedef struct between {
    report_array *rows;
    rp_zone zone;
    uint64_t after, until;
} between;

static int count_between(const rp_trace_block *block, void *context)
{
    const between *time = context;
    const rp_trace_record *record = block->record;
    if (!block->live || record->serial <= time->after || record->serial > time->until) {
        return 0;
    }
    for (size_t i = 0; i < time->rows->count; i++) {
        growth_row *row = report_array_at(time->rows, i);
        if (!row->now.is_allocator && row->now.zone == (uint32_t)time->zone &&
            row->now.scope == record->scope && row->now.site == record->site) {
            row->made_between_bytes += record->size_bytes;
            row->made_between_count++;
        }
    }
    return 0;
}

static void gather_rows(report_array *rows, const growth_mark *from, const growth_mark *to)
{
    growth_mark now = {.number = 0};
    take_stock(&now);
    for (size_t i = 0; i < now.entries.count; i++) {
        growth_row row, *added;
        if (row_of(report_array_at(&now.entries, i), from, to, &row) &&
            (added = report_array_add(rows, sizeof row)) != NULL) {
            *added = row;
        }
    }
    report_array_drop(&now.entries);
    report_array_sort(rows, by_still);
    for (rp_zone zone = RP_ZONE_WORLD; rp_debug_ops_get() && zone <= RP_ZONE_KEEP; zone++) {
        between time = {rows, zone, from->serials[zone], to->serials[zone]};
        rp_trace_walk(zone, NULL, count_between, &time);
    }
}

static void row_json(report_out *out, const growth_row *row)
{
    rp_zone zone = (rp_zone)row->now.zone;
    report_open(out, NULL, '{');
    report_string(out, "zone", zone == RP_ZONE_WORLD ? "world" : "keep");
    if (row->now.is_allocator) {
        const rp_allocator *allocator = rp_allocator_by_id(zone, row->now.site);
        report_string(out, "allocator", allocator ? allocator->name : "");
    } else {
        report_scope_member(out, zone, row->now.scope);
        report_site_member(out, zone, row->now.site);
        report_number(out, "made_between_bytes", row->made_between_bytes);
        report_number(out, "made_between_count", row->made_between_count);
    }
    report_number(out, "from_bytes", row->from_bytes);
    report_number(out, "to_bytes", row->to_bytes);
    report_number(out, "now_bytes", row->now.live_bytes);
    report_number(out, "still_bytes", row->still_bytes);
    report_close(out, '}');
}

static void row_text(report_out *out, const growth_row *row)
{
    char path[1024];
    rp_zone zone = (rp_zone)row->now.zone;
    const uint64_t figures[] = {row->from_bytes, row->to_bytes, row->now.live_bytes,
                                row->still_bytes};
    for (size_t i = 0; i < RP_COUNT_OF(figures); i++) {
        report_bytes(out, 12, figures[i]);
    }
    if (row->now.is_allocator) {
        const rp_allocator *allocator = rp_allocator_by_id(zone, row->now.site);
        report_text(out, "  all of [%s]\n", allocator ? allocator->name : "-");
        return;
    }
    rp_trace_scope_path(zone, row->now.scope, path, sizeof path);
    char name[RP_TRACE_SITE_BYTES];
    const char *site = rp_trace_site_name(zone, row->now.site, name, sizeof name);
    report_text(out, "  %s %s, %llu blocks of that time live\n", path,
                *site ? site : "(site not known)", (unsigned long long)row->made_between_count);
}

static void rows_show(report_out *out, const report_array *rows, const growth_mark *from,
                      const growth_mark *to)
{
    if (out->json) {
        report_open(out, NULL, '{');
        report_number(out, "from_frame", from->frame);
        report_number(out, "to_frame", to->frame);
        report_number(out, "now_frame", rp_trace_frame());
        report_open(out, "rows", '[');
    } else {
        report_text(out,
                    "grew between mark %u (frame %llu) and mark %u (frame %llu) and is there "
                    "still:\n%12s%12s%12s%12s\n",
                    from->number, (unsigned long long)from->frame, to->number,
                    (unsigned long long)to->frame, "then", "later", "now", "grown");
    }
    for (size_t i = 0; i < rows->count; i++) {
        (out->json ? row_json : row_text)(out, report_array_at(rows, i));
    }
    if (out->json) {
        report_close(out, ']');
        report_close(out, '}');
    }
    report_end(out);
}

rp_status rp_growth_report(uint32_t from, uint32_t to, rp_report_format format,
                           rp_report_writer *writer, void *context)
{
    growth_list *list = from && to ? list_of() : NULL;
    const growth_mark *a = mark_with(list, from), *b = mark_with(list, to);
    if (!a || !b) {
        return rp_fail(RP_E_NOT_FOUND,
                       "growth: there is no mark %u: it was dropped, or never made: "
                       "use what rp_growth_mark returned",
                       a ? to : from);
    }
    report_array rows = {0};
    gather_rows(&rows, a, b);
    report_out out = report_begin(format, writer, context);
    rows_show(&out, &rows, a, b);
    report_array_drop(&rows);
    return RP_OK;
}
