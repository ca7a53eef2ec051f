/* Fragmentation: how full classes and units are, and who keeps nearly empty units alive. */
#include "base/bits.h"
#include "trace/report_units.h"

enum { TENTHS = 10, MAP_COLUMNS = 64, PINNED_PART = 8, PINS_SHOWN = 40 };

typedef struct class_row {
    uint32_t kind, size_class;
    uint64_t units, bytes, live_bytes, live_count, largest_bytes;
    uint64_t tenths[TENTHS + 1]; /* units by how full they are; the last: wholly */
} class_row;

/* The blocks of one place in units that are nearly empty. */
typedef struct pin {
    uint32_t allocator, scope, site;
    uint32_t resting;
    uint64_t blocks, bytes;
    uint64_t units;      /* that have a block of it */
    uint64_t held_bytes; /* what is free in those, shared by the blocks in each */
    uintptr_t last_unit;
} pin;

typedef struct zone_picture {
    report_units all;
    report_array classes, pins;
    uint64_t held_bytes, live_bytes, resting_bytes;
    uint64_t free_bytes, free_runs, largest_free_bytes;
    uint64_t pinned_units, pinned_bytes;
} zone_picture;

/* ---- classes ---- */

static class_row *class_of(report_array *classes, const report_unit *unit)
{
    for (size_t i = 0; i < classes->count; i++) {
        class_row *row = report_array_at(classes, i);
        if (row->kind == unit->kind && row->size_class == unit->size_class) {
            return row;
        }
    }
    class_row *row = report_array_add(classes, sizeof *row);
    if (row) {
        row->kind = unit->kind;
        row->size_class = unit->size_class;
    }
    return row;
}

static uint64_t occupied(const report_unit *unit)
{
    return unit->live_bytes + unit->resting_bytes;
}

static size_t tenth_of(const report_unit *unit)
{
    size_t tenth = (size_t)(occupied(unit) * TENTHS / unit->size_bytes);
    return rp_min_size(tenth, TENTHS);
}

static void count_unit(zone_picture *picture, const report_unit *unit)
{
    if (report_unit_is_free(unit)) {
        picture->free_runs++;
        picture->free_bytes += unit->size_bytes;
        picture->largest_free_bytes = rp_max_size(picture->largest_free_bytes, unit->size_bytes);
        return;
    }
    if (!report_unit_is_held(unit)) {
        return;
    }
    picture->held_bytes += unit->size_bytes;
    picture->live_bytes += unit->live_bytes;
    picture->resting_bytes += unit->resting_bytes;
    class_row *row = class_of(&picture->classes, unit);
    if (row) {
        row->units += unit->size_bytes / RP_UNIT_BYTES;
        row->bytes += unit->size_bytes;
        row->live_bytes += unit->live_bytes;
        row->live_count += unit->live_count;
        row->largest_bytes = rp_max_size(row->largest_bytes, unit->largest_bytes);
        row->tenths[tenth_of(unit)]++;
    }
}

static int by_class(const void *a, const void *b)
{
    const class_row *one = a, *other = b;
    int order = report_order(one->kind, other->kind);
    return order ? order : report_order(one->size_class, other->size_class);
}

/* ---- pins ---- */

static bool is_pinned(const report_unit *unit)
{
    return report_unit_is_held(unit) && occupied(unit) &&
           occupied(unit) <= unit->size_bytes / PINNED_PART;
}

static int by_owner(const void *a, const void *b)
{
    const report_block *one = a, *other = b;
    int order = report_order(one->allocator->id, other->allocator->id);
    order = order ? order : report_order(one->scope, other->scope);
    order = order ? order : report_order(one->site, other->site);
    order = order ? order : report_order(one->live, other->live);
    return order ? order : report_order(one->start, other->start);
}

static int by_held(const void *a, const void *b)
{
    const pin *one = a, *other = b;
    int order = report_order(other->held_bytes, one->held_bytes);
    order = order ? order : report_order(one->allocator, other->allocator);
    order = order ? order : report_order(one->scope, other->scope);
    return order ? order : report_order(one->site, other->site);
}

static bool is_of(const pin *at, const report_block *block)
{
    return at->allocator == block->allocator->id && at->scope == block->scope &&
           at->site == block->site && at->resting == !block->live;
}

static void add_to_pin(pin *at, const report_unit *unit, const report_block *block)
{
    at->blocks++;
    at->bytes += block->size_bytes;
    at->held_bytes +=
        (unit->size_bytes - occupied(unit)) / (unit->live_count + unit->resting_count);
    at->units += at->last_unit != unit->start;
    at->last_unit = unit->start;
}

/* The blocks come by place and then by address, so each place's units come one after another. */
static void find_pins(zone_picture *picture)
{
    report_array *blocks = &picture->all.blocks, *pins = &picture->pins;
    report_array_sort(blocks, by_owner);
    for (size_t i = 0; i < blocks->count; i++) {
        const report_block *block = report_array_at(blocks, i);
        const report_unit *unit = report_unit_at(&picture->all, block->start);
        if (!unit || !is_pinned(unit)) {
            continue;
        }
        pin *at = pins->count ? report_array_at(pins, pins->count - 1) : NULL;
        if (!at || !is_of(at, block)) {
            at = report_array_add(pins, sizeof *at);
            if (!at) {
                break;
            }
            at->allocator = block->allocator->id;
            at->scope = block->scope;
            at->site = block->site;
            at->resting = !block->live;
        }
        add_to_pin(at, unit, block);
    }
    report_array_sort(pins, by_held);
}

static void take_picture(zone_picture *picture, rp_zone zone)
{
    *picture = (zone_picture){0};
    report_units_gather(&picture->all, zone);
    for (size_t i = 0; i < picture->all.units.count; i++) {
        const report_unit *unit = report_array_at(&picture->all.units, i);
        count_unit(picture, unit);
        if (is_pinned(unit)) {
            picture->pinned_units += unit->size_bytes / RP_UNIT_BYTES;
            picture->pinned_bytes += unit->size_bytes - occupied(unit);
        }
    }
    report_array_sort(&picture->classes, by_class);
    find_pins(picture);
}

static void drop_picture(zone_picture *picture)
{
    report_units_drop(&picture->all);
    report_array_drop(&picture->classes);
    report_array_drop(&picture->pins);
}

static double ratio(uint64_t unused, uint64_t of)
{
    return of ? (double)unused / (double)of : 0.0;
}

static double figure_of(const zone_picture *picture)
{
    uint64_t used = picture->live_bytes + picture->resting_bytes;
    return ratio(picture->held_bytes - rp_min_size(used, picture->held_bytes), picture->held_bytes);
}

double rp_fragmentation_get(rp_zone zone)
{
    zone_picture picture;
    if (!rp_region_is_open()) {
        return 0.0;
    }
    take_picture(&picture, zone);
    double figure = figure_of(&picture);
    drop_picture(&picture);
    return figure;
}

/* ---- showing ---- */

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {"free",  "reserved", "pages", "slab",
                                        "large", "tracked",  "pool"};
    return kind < RP_COUNT_OF(names) ? names[kind] : "other";
}

static void classes_json(report_out *out, const zone_picture *picture)
{
    report_open(out, "classes", '[');
    for (size_t i = 0; i < picture->classes.count; i++) {
        const class_row *row = report_array_at(&picture->classes, i);
        report_open(out, NULL, '{');
        report_string(out, "kind", kind_name(row->kind));
        report_number(out, "class", row->size_class);
        report_number(out, "largest_bytes", row->largest_bytes);
        report_number(out, "units", row->units);
        report_number(out, "bytes", row->bytes);
        report_number(out, "live_bytes", row->live_bytes);
        report_number(out, "live_count", row->live_count);
        report_open(out, "tenths", '[');
        for (int tenth = 0; tenth <= TENTHS; tenth++) {
            report_number(out, NULL, row->tenths[tenth]);
        }
        report_close(out, ']');
        report_close(out, '}');
    }
    report_close(out, ']');
}

static void classes_text(report_out *out, const zone_picture *picture)
{
    report_text(out,
                "  %-14s%10s%8s%10s%8s  how many units are 0, 1, … 9 tenths full, and wholly\n",
                "class", "blocks up to", "units", "live", "full");
    for (size_t i = 0; i < picture->classes.count; i++) {
        const class_row *row = report_array_at(&picture->classes, i);
        report_text(out, "  %-9s%5u  ", kind_name(row->kind), row->size_class);
        report_bytes(out, 10, row->largest_bytes);
        report_text(out, "%8llu", (unsigned long long)row->units);
        report_bytes(out, 10, row->live_bytes);
        report_text(out, "%7.1f%% ", 100.0 * ratio(row->live_bytes, row->bytes));
        for (int tenth = 0; tenth <= TENTHS; tenth++) {
            report_text(out, " %llu", (unsigned long long)row->tenths[tenth]);
        }
        report_text(out, "\n");
    }
}

static const char *allocator_name(rp_zone zone, uint32_t id)
{
    const rp_allocator *allocator = rp_allocator_by_id(zone, id);
    return allocator ? allocator->name : "";
}

static void pin_json(report_out *out, rp_zone zone, const pin *at)
{
    report_open(out, NULL, '{');
    report_string(out, "allocator", allocator_name(zone, at->allocator));
    report_scope_member(out, zone, at->scope);
    report_site_member(out, zone, at->site);
    report_number(out, "in_quarantine", at->resting);
    report_number(out, "units", at->units);
    report_number(out, "blocks", at->blocks);
    report_number(out, "bytes", at->bytes);
    report_number(out, "held_bytes", at->held_bytes);
    report_close(out, '}');
}

static void pin_text(report_out *out, rp_zone zone, const pin *at)
{
    char path[1024];
    rp_trace_scope_path(zone, at->scope, path, sizeof path);
    char name[RP_TRACE_SITE_BYTES];
    const char *site = rp_trace_site_name(zone, at->site, name, sizeof name);
    report_bytes(out, 10, at->held_bytes);
    report_text(out, " held in %llu units by %llu blocks of ", (unsigned long long)at->units,
                (unsigned long long)at->blocks);
    report_bytes(out, 0, at->bytes);
    report_text(out, ": [%s] %s %s%s\n", allocator_name(zone, at->allocator), path,
                *site ? site : "(site not known)", at->resting ? ", in quarantine" : "");
}

static void pins_show(report_out *out, rp_zone zone, const report_array *pins)
{
    for (size_t i = 0; i < pins->count && (out->json || i < PINS_SHOWN); i++) {
        (out->json ? pin_json : pin_text)(out, zone, report_array_at(pins, i));
    }
    if (!out->json && pins->count > PINS_SHOWN) {
        report_text(out, "  (%zu more with less)\n", pins->count - PINS_SHOWN);
    }
}

static char sign_of(const report_unit *unit)
{
    if (report_unit_is_free(unit)) {
        return '.';
    }
    if (unit->kind == RP_BLOCK_RESERVED) {
        return 'r';
    }
    if (unit->owner == 0) {
        return 't';
    }
    size_t tenth = tenth_of(unit);
    return unit->kind == RP_BLOCK_LARGE ? '=' : (char)('0' + rp_min_size(tenth, TENTHS - 1));
}

/* One string for each MAP_COLUMNS units. */
static void map_show(report_out *out, const report_array *units)
{
    char line[MAP_COLUMNS + 1];
    size_t length = 0;
    for (size_t i = 0; i < units->count; i++) {
        const report_unit *unit = report_array_at(units, i);
        for (uint64_t k = 0; k < unit->size_bytes / RP_UNIT_BYTES; k++) {
            line[length++] = sign_of(unit);
            bool last = i + 1 == units->count && k + 1 == unit->size_bytes / RP_UNIT_BYTES;
            if (length < MAP_COLUMNS && !last) {
                continue;
            }
            line[length] = 0;
            length = 0;
            if (out->json) {
                report_string(out, NULL, line);
            } else {
                report_text(out, "  %s\n", line);
            }
        }
    }
}

static void zone_json(report_out *out, rp_zone zone, const zone_picture *picture)
{
    report_open(out, zone == RP_ZONE_WORLD ? "world" : "keep", '{');
    report_ratio(out, "fragmentation", figure_of(picture));
    report_number(out, "held_bytes", picture->held_bytes);
    report_number(out, "live_bytes", picture->live_bytes);
    report_number(out, "quarantine_bytes", picture->resting_bytes);
    report_number(out, "free_bytes", picture->free_bytes);
    report_number(out, "free_runs", picture->free_runs);
    report_number(out, "largest_free_bytes", picture->largest_free_bytes);
    report_number(out, "pinned_units", picture->pinned_units);
    report_number(out, "pinned_bytes", picture->pinned_bytes);
    classes_json(out, picture);
    report_open(out, "pins", '[');
    pins_show(out, zone, &picture->pins);
    report_close(out, ']');
    report_open(out, "map", '[');
    map_show(out, &picture->all.units);
    report_close(out, ']');
    report_close(out, '}');
}

static void zone_text(report_out *out, rp_zone zone, const zone_picture *picture)
{
    report_text(out, "%s: fragmentation %.1f%%: ", zone == RP_ZONE_WORLD ? "world" : "keep",
                100.0 * figure_of(picture));
    report_bytes(out, 0, picture->live_bytes);
    report_text(out, " live and ");
    report_bytes(out, 0, picture->resting_bytes);
    report_text(out, " in quarantine of ");
    report_bytes(out, 0, picture->held_bytes);
    report_text(out, " held; free: ");
    report_bytes(out, 0, picture->free_bytes);
    report_text(out, " in %llu runs, the largest ", (unsigned long long)picture->free_runs);
    report_bytes(out, 0, picture->largest_free_bytes);
    report_text(out, "\n");
    classes_text(out, picture);
    report_text(out, "  %llu units are at most an eighth full and hold ",
                (unsigned long long)picture->pinned_units);
    report_bytes(out, 0, picture->pinned_bytes);
    report_text(out, " that is free:\n");
    pins_show(out, zone, &picture->pins);
    map_show(out, &picture->all.units);
}

void rp_report_fragmentation(rp_report_format format, rp_report_writer *writer, void *context)
{
    report_out out = report_begin(format, writer, context);
    if (out.json) {
        report_open(&out, NULL, '{');
    }
    for (rp_zone zone = RP_ZONE_WORLD; rp_region_is_open() && zone <= RP_ZONE_KEEP; zone++) {
        zone_picture picture;
        take_picture(&picture, zone);
        (out.json ? zone_json : zone_text)(&out, zone, &picture);
        drop_picture(&picture);
    }
    if (out.json) {
        report_close(&out, '}');
    }
    report_end(&out);
}
