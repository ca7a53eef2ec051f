/* The tree of scopes, with the sites in them and the allocators that were made there. */
#include "base/bits.h"
#include "trace/report.h"

#include <string.h>

enum { SITES_SHOWN = 10, NAME_COLUMNS = 44 };

typedef struct tree_site {
    uint32_t scope, site;
    rp_tally_figures tally;
} tree_site;

typedef struct tree_allocator {
    uint32_t scope, id;
    const rp_allocator *allocator;
} tree_allocator;

typedef struct tree_report {
    report_out *out;
    rp_trace_tables *tables;
    rp_zone zone;
    report_array sites, allocators; /* each sorted by scope */
} tree_report;

static int by_scope_and_bytes(const void *a, const void *b)
{
    const tree_site *one = a, *other = b;
    int order = report_order(one->scope, other->scope);
    order = order ? order : report_order(other->tally.live_bytes, one->tally.live_bytes);
    return order ? order : report_order(one->site, other->site);
}

static int by_scope_and_id(const void *a, const void *b)
{
    const tree_allocator *one = a, *other = b;
    int order = report_order(one->scope, other->scope);
    return order ? order : report_order(one->id, other->id);
}

/* ---- gathering ---- */

static void gather_sites(tree_report *tree)
{
    const rp_intern *counters = tree->tables->counters;
    size_t bytes;
    for (uint32_t id = 0; counters && (id = rp_intern_next(counters, id));) {
        tree_site *added = report_array_add(&tree->sites, sizeof *added);
        if (added) {
            const uint32_t *key = rp_intern_key(counters, id, &bytes);
            *added = (tree_site){key[0], key[1],
                                 rp_tally_get(rp_intern_payload(counters, id), rp_trace_frame())};
        }
    }
    report_array_sort(&tree->sites, by_scope_and_bytes);
}

static int add_allocator(rp_allocator *allocator, void *context)
{
    tree_report *tree = context;
    tree_allocator *added = report_array_add(&tree->allocators, sizeof *added);
    if (added) {
        size_t bytes;
        bool known =
            tree->tables->scopes && rp_intern_key(tree->tables->scopes, allocator->scope, &bytes);
        *added = (tree_allocator){known ? allocator->scope : 0, allocator->id, allocator};
    }
    return !added;
}

/* The first item of the scope in an array that is sorted by it; both kinds begin with it. */
static size_t first_of(const report_array *array, uint32_t scope)
{
    size_t low = 0, high = array->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        bool before = *(const uint32_t *)report_array_at(array, middle) < scope;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return low;
}

static bool is_of(const report_array *array, size_t index, uint32_t scope)
{
    return index < array->count && *(const uint32_t *)report_array_at(array, index) == scope;
}

/* ---- one line, one object ---- */

static void figures_text(const tree_report *tree, const rp_tally_figures *tally)
{
    report_bytes(tree->out, 10, tally->live_bytes);
    report_bytes(tree->out, 10, tally->peak_bytes);
    report_text(tree->out, "%10llu%12llu%8llu", (unsigned long long)tally->live_count,
                (unsigned long long)tally->total_count,
                (unsigned long long)tally->last_frame_count);
}

static void figures_json(const tree_report *tree, const rp_tally_figures *tally)
{
    report_number(tree->out, "live_bytes", tally->live_bytes);
    report_number(tree->out, "live_count", tally->live_count);
    report_number(tree->out, "peak_bytes", tally->peak_bytes);
    report_number(tree->out, "total_count", tally->total_count);
    report_number(tree->out, "total_bytes", tally->total_bytes);
    report_number(tree->out, "last_frame_count", tally->last_frame_count);
}

static void name_text(const tree_report *tree, int depth, const char *name)
{
    int width = NAME_COLUMNS - depth * 2;
    report_text(tree->out, "%*s%-*s", depth * 2, "", width > 0 ? width : 0, name);
}

/* "dir/file.c:12 Type" without the folders. */
static const char *without_folders(const char *site)
{
    const char *type = strchr(site, ' '), *name = site;
    for (const char *at = site; *at && at != type; at++) {
        name = *at == '/' ? at + 1 : name;
    }
    return name;
}

static void site_text(const tree_report *tree, const tree_site *site, int depth, const char *text)
{
    bool is_code = strchr(text, '{') || strstr(text, "+0x"); /* its name may be of any length */
    text = *text ? is_code ? text : without_folders(text) : "(site not known)";
    bool fits = !is_code && (int)strlen(text) < NAME_COLUMNS - depth * 2;
    name_text(tree, depth, fits ? text : "");
    figures_text(tree, &site->tally);
    report_text(tree->out, fits ? "\n" : "  %s\n", text);
}

static void site_show(const tree_report *tree, const tree_site *site, int depth)
{
    char name[RP_TRACE_SITE_BYTES];
    const char *text = rp_trace_site_name(tree->zone, site->site, name, sizeof name);
    if (tree->out->json) {
        report_open(tree->out, NULL, '{');
        report_string(tree->out, "site", text);
        figures_json(tree, &site->tally);
        report_close(tree->out, '}');
        return;
    }
    site_text(tree, site, depth, text);
}

static void sites_show(const tree_report *tree, uint32_t scope, int depth)
{
    size_t first = first_of(&tree->sites, scope), more = 0;
    for (size_t i = first; is_of(&tree->sites, i, scope); i++) {
        if (tree->out->json || i - first < SITES_SHOWN) {
            site_show(tree, report_array_at(&tree->sites, i), depth);
        } else {
            more++;
        }
    }
    if (more) {
        report_text(tree->out, "%*s(%zu more sites with less)\n", depth * 2, "", more);
    }
}

static void allocator_show(const tree_report *tree, const rp_allocator *allocator, int depth)
{
    rp_alloc_stats stats;
    rp_stats_get(allocator, &stats);
    const char *kind = rp_allocator_kind_name(allocator);
    if (tree->out->json) {
        report_open(tree->out, NULL, '{');
        report_string(tree->out, "name", allocator->name);
        report_string(tree->out, "kind", kind);
        report_number(tree->out, "id", allocator->id);
        report_number(tree->out, "live_bytes", stats.live_bytes);
        report_number(tree->out, "live_count", stats.live_count);
        report_number(tree->out, "peak_bytes", stats.peak_bytes);
        report_number(tree->out, "taken_bytes", stats.taken_bytes);
        report_number(tree->out, "cap_bytes", stats.cap_bytes);
        report_close(tree->out, '}');
        return;
    }
    char name[ALLOCATOR_NAME_BYTES + 32];
    rp_text_buffer label = rp_text_buffer_over(name, sizeof name);
    rp_text_add(&label, "[%s \"%s\"]", kind, allocator->name);
    name_text(tree, depth, name);
    report_bytes(tree->out, 10, stats.live_bytes);
    report_bytes(tree->out, 10, stats.peak_bytes);
    report_text(tree->out, "%10llu  ", (unsigned long long)stats.live_count);
    report_bytes(tree->out, 10, stats.taken_bytes);
    report_text(tree->out, " taken\n");
}

static void allocators_show(const tree_report *tree, uint32_t scope, int depth)
{
    for (size_t i = first_of(&tree->allocators, scope); is_of(&tree->allocators, i, scope); i++) {
        const tree_allocator *one = report_array_at(&tree->allocators, i);
        allocator_show(tree, one->allocator, depth);
    }
}

/* ---- scopes ---- */

/* What is shown of a scope, as it was at one moment. */
typedef struct scope_figures {
    rp_tally_figures own, within;
    uint64_t budget_bytes;
    uint32_t budget_told, entered, left_open;
} scope_figures;

static rp_tally_figures sum_own(const tree_report *tree, uint32_t scope)
{
    rp_tally_figures sum = {0};
    for (size_t i = first_of(&tree->sites, scope); is_of(&tree->sites, i, scope); i++) {
        const tree_site *site = report_array_at(&tree->sites, i);
        rp_tally_figures_add(&sum, &site->tally);
    }
    return sum;
}

static rp_tally_figures sum_within(const tree_report *tree, uint32_t scope)
{
    rp_tally_figures sum = sum_own(tree, scope);
    for (uint32_t id = rp_trace_scope_first_child(tree->tables, scope); id;) {
        rp_tally_figures below = sum_within(tree, id);
        rp_tally_figures_add(&sum, &below);
        id = rp_trace_scope_next(tree->tables, id);
    }
    return sum;
}

static scope_figures figures_of(const tree_report *tree, uint32_t scope)
{
    const scope_node *node = rp_trace_scope_node(tree->tables, scope);
    scope_figures figures = {
        .own = sum_own(tree, scope),
        .within = sum_within(tree, scope),
        .budget_bytes = __atomic_load_n(&node->budget_bytes, __ATOMIC_RELAXED),
        .budget_told = __atomic_load_n(&node->budget_told, __ATOMIC_RELAXED),
        .entered = __atomic_load_n(&node->entered, __ATOMIC_RELAXED),
        .left_open = __atomic_load_n(&node->left_open, __ATOMIC_RELAXED),
    };
    figures.within.peak_bytes = __atomic_load_n(&node->peak_bytes, __ATOMIC_RELAXED);
    return figures;
}

static void scope_line(const tree_report *tree, uint32_t scope, int depth)
{
    scope_figures figures = figures_of(tree, scope);
    char name[SCOPE_NAME_BYTES + 2];
    rp_text_buffer label = rp_text_buffer_over(name, sizeof name);
    rp_text_add(&label, "/%s", rp_trace_scope_name(tree->tables, scope));
    name_text(tree, depth, name);
    figures_text(tree, &figures.within);
    if (figures.budget_bytes) {
        report_text(tree->out, "  budget ");
        report_bytes(tree->out, 0, figures.budget_bytes);
        report_text(tree->out, figures.budget_told ? ", was spent" : "");
    }
    if (figures.left_open) {
        report_text(tree->out, "  left open %u times", figures.left_open);
    }
    report_text(tree->out, "\n");
}

static void scope_text(const tree_report *tree, uint32_t scope, int depth)
{
    scope_line(tree, scope, depth);
    sites_show(tree, scope, depth + 1);
    allocators_show(tree, scope, depth + 1);
    for (uint32_t id = rp_trace_scope_first_child(tree->tables, scope); id;) {
        scope_text(tree, id, depth + 1);
        id = rp_trace_scope_next(tree->tables, id);
    }
}

/* A list, not a tree: "scope" says where each belongs, and no reader meets a nesting too deep. */
static void scope_json(const tree_report *tree, uint32_t scope)
{
    scope_figures figures = figures_of(tree, scope);
    report_open(tree->out, NULL, '{');
    report_scope_member(tree->out, tree->zone, scope);
    figures_json(tree, &figures.within);
    report_number(tree->out, "own_live_bytes", figures.own.live_bytes);
    report_number(tree->out, "own_live_count", figures.own.live_count);
    report_number(tree->out, "entered", figures.entered);
    report_number(tree->out, "left_open", figures.left_open);
    report_number(tree->out, "budget_bytes", figures.budget_bytes);
    report_number(tree->out, "budget_spent", figures.budget_told);
    report_open(tree->out, "sites", '[');
    sites_show(tree, scope, 0);
    report_close(tree->out, ']');
    report_open(tree->out, "allocators", '[');
    allocators_show(tree, scope, 0);
    report_close(tree->out, ']');
    report_close(tree->out, '}');
    for (uint32_t id = rp_trace_scope_first_child(tree->tables, scope); id;) {
        scope_json(tree, id);
        id = rp_trace_scope_next(tree->tables, id);
    }
}

static void tree_zone(report_out *out, rp_zone zone)
{
    const char *name = zone == RP_ZONE_WORLD ? "world" : "keep";
    tree_report tree = {.out = out, .tables = rp_trace_tables_of(zone), .zone = zone};
    if (out->json) {
        report_open(out, name, '[');
    } else {
        report_text(out, "%-*s%10s%10s%10s%12s%8s\n", NAME_COLUMNS, name, "live", "peak", "blocks",
                    "made", "frame");
    }
    if (tree.tables) {
        gather_sites(&tree);
        rp_allocator_walk(zone, add_allocator, &tree);
        report_array_sort(&tree.allocators, by_scope_and_id);
        if (out->json) {
            scope_json(&tree, 0);
        } else {
            scope_text(&tree, 0, 0);
        }
    }
    bool cut = tree.sites.full || tree.allocators.full;
    if (out->json) {
        report_close(out, ']');
    } else if (cut) {
        report_text(out, "(cut: the keep zone has no room for all of it)\n");
    }
    report_array_drop(&tree.sites);
    report_array_drop(&tree.allocators);
}

/* Keys that found no room in their table, of both zones. */
static uint32_t lost_in(size_t table_offset)
{
    uint32_t lost = 0;
    for (rp_zone zone = RP_ZONE_WORLD; zone <= RP_ZONE_KEEP; zone++) {
        const rp_trace_tables *tables = rp_trace_tables_if_any(zone);
        rp_intern *const *table =
            tables ? (rp_intern *const *)(const void *)((const char *)tables + table_offset) : NULL;
        lost += table && *table ? __atomic_load_n(&(*table)->misses, __ATOMIC_RELAXED) : 0;
    }
    return lost;
}

static void lost_show(report_out *out)
{
    static const struct {
        const char *name;
        size_t offset;
    } tables[] = {
        {"sites", offsetof(rp_trace_tables, sites)},
        {"stacks", offsetof(rp_trace_tables, stacks)},
        {"scopes", offsetof(rp_trace_tables, scopes)},
        {"counters", offsetof(rp_trace_tables, counters)},
    };
    if (out->json) {
        report_open(out, "found_no_room", '{');
    }
    for (size_t i = 0; i < RP_COUNT_OF(tables); i++) {
        uint32_t lost = lost_in(tables[i].offset);
        if (out->json) {
            report_number(out, tables[i].name, lost);
        } else if (lost) {
            report_text(out, "(%u times there was no room for more %s)\n", lost, tables[i].name);
        }
    }
    if (out->json) {
        report_close(out, '}');
    }
}

void rp_report_tree(rp_report_format format, rp_report_writer *writer, void *context)
{
    report_out out = report_begin(format, writer, context);
    if (out.json) {
        report_open(&out, NULL, '{');
    }
    tree_zone(&out, RP_ZONE_WORLD);
    tree_zone(&out, RP_ZONE_KEEP);
    lost_show(&out);
    if (out.json) {
        report_close(&out, '}');
    }
    report_end(&out);
}
