/* The tree of scopes: opening, closing, counting, finding by path. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "trace/report.h"
#include "trace/tables.h"

#include <reprise/trace.h>
#include <string.h>

static const rp_intern_shape scopes_shape = {
    .bucket_count = 1024, .chunk_limit = 96, .payload_bytes = sizeof(scope_node), .colour = 5};
static const rp_intern_shape counters_shape = {
    .bucket_count = 16384, .chunk_limit = 1024, .payload_bytes = sizeof(rp_tally), .colour = 9};

/* ---- the tree ---- */

static const scope_key *key_of(const rp_trace_tables *tables, uint32_t scope)
{
    size_t bytes;
    return tables->scopes ? rp_intern_key(tables->scopes, scope, &bytes) : NULL;
}

scope_node *rp_trace_scope_node(rp_trace_tables *tables, uint32_t scope)
{
    scope_node *node = tables->scopes ? rp_intern_payload(tables->scopes, scope) : NULL;
    return node ? node : &tables->root;
}

uint32_t rp_trace_scope_parent(const rp_trace_tables *tables, uint32_t scope)
{
    const scope_key *key = key_of(tables, scope);
    return key ? key->parent : 0;
}

const char *rp_trace_scope_name(const rp_trace_tables *tables, uint32_t scope)
{
    const scope_key *key = key_of(tables, scope);
    return key ? key->name : "";
}

uint32_t rp_trace_scope_first_child(rp_trace_tables *tables, uint32_t scope)
{
    return __atomic_load_n(&rp_trace_scope_node(tables, scope)->first_child, __ATOMIC_ACQUIRE);
}

uint32_t rp_trace_scope_next(rp_trace_tables *tables, uint32_t scope)
{
    return __atomic_load_n(&rp_trace_scope_node(tables, scope)->next, __ATOMIC_ACQUIRE);
}

bool rp_trace_scope_within(const rp_trace_tables *tables, uint32_t scope, uint32_t top)
{
    while (scope && scope != top) {
        scope = rp_trace_scope_parent(tables, scope);
    }
    return scope == top;
}

static void path_add(const rp_trace_tables *tables, uint32_t scope, rp_text_buffer *text)
{
    if (scope) {
        path_add(tables, rp_trace_scope_parent(tables, scope), text); /* at most 64 deep */
        rp_text_add(text, "/%s", rp_trace_scope_name(tables, scope));
    }
}

void rp_trace_scope_path(rp_zone zone, uint32_t scope, char *text, size_t capacity)
{
    const rp_trace_tables *tables = rp_trace_tables_if_any(zone);
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    if (tables && key_of(tables, scope)) {
        path_add(tables, scope, &buffer);
    } else {
        rp_text_add(&buffer, "/");
    }
}

static uint32_t modes_of(rp_trace_tables *tables, rp_zone zone, uint32_t scope)
{
    char path[512];
    rp_trace_scope_path(zone, scope, path, sizeof path);
    const scope_node *outer = rp_trace_scope_node(tables, rp_trace_scope_parent(tables, scope));
    return __atomic_load_n(&outer->modes, __ATOMIC_RELAXED) | rp_trace_modes_for(path);
}

/* The node of the keep zone's scope with the same path, where budgets are kept; null: none. */
static scope_node *twin_of(rp_trace_tables *tables, uint32_t scope)
{
    rp_trace_tables *keep = rp_trace_tables_if_any(RP_ZONE_KEEP);
    if (!keep || !scope || keep == tables) {
        return keep ? rp_trace_scope_node(keep, scope) : NULL;
    }
    uint32_t parent = rp_trace_scope_parent(tables, scope);
    scope_node *outer = twin_of(tables, parent);
    const char *name = rp_trace_scope_name(tables, scope);
    uint32_t id = outer ? __atomic_load_n(&outer->first_child, __ATOMIC_ACQUIRE) : 0;
    while (id && strcmp(rp_trace_scope_name(keep, id), name) != 0) {
        id = rp_trace_scope_next(keep, id);
    }
    return id ? rp_trace_scope_node(keep, id) : NULL;
}

static void take_budget(rp_trace_tables *tables, uint32_t scope)
{
    const scope_node *twin = twin_of(tables, scope);
    uint64_t budget = twin ? __atomic_load_n(&twin->budget_bytes, __ATOMIC_RELAXED) : 0;
    __atomic_store_n(&rp_trace_scope_node(tables, scope)->budget_bytes, budget, __ATOMIC_RELAXED);
}

/* A new scope becomes its parent's last child, once. */
static void join(rp_trace_tables *tables, uint32_t parent, uint32_t id, uint32_t modes)
{
    scope_node *outer = rp_trace_scope_node(tables, parent);
    scope_node *node = rp_trace_scope_node(tables, id);
    rp_os_lock_take(&tables->lock);
    if (!node->depth) {
        node->modes = modes;
        uint32_t *link = outer->last_child ? &rp_trace_scope_node(tables, outer->last_child)->next
                                           : &outer->first_child;
        __atomic_store_n(link, id, __ATOMIC_RELEASE);
        outer->last_child = id;
        __atomic_store_n(&node->depth, outer->depth + 1, __ATOMIC_RELEASE);
    }
    rp_os_lock_drop(&tables->lock);
}

/* The scope with that name in `parent`; `parent` itself where there is no room. */
static uint32_t scope_in(rp_trace_tables *tables, rp_zone zone, uint32_t parent, const char *name)
{
    rp_intern *scopes = rp_trace_table(tables, zone, &tables->scopes, &scopes_shape);
    bool too_deep = rp_trace_scope_node(tables, parent)->depth >= SCOPE_DEPTH_MOST;
    scope_key key = {.parent = parent};
    rp_text_copy(key.name, sizeof key.name, name);
    uint32_t id = scopes && !too_deep ? rp_intern_id(scopes, &key, sizeof key) : 0;
    if (!id) {
        return parent;
    }
    if (!__atomic_load_n(&rp_trace_scope_node(tables, id)->depth, __ATOMIC_ACQUIRE)) {
        join(tables, parent, id, modes_of(tables, zone, id));
        if (zone == RP_ZONE_WORLD) {
            take_budget(tables, id);
        }
    }
    return id;
}

static void reconcile_zone(rp_trace_tables *tables, rp_zone zone)
{
    if (zone == RP_ZONE_WORLD) {
        take_budget(tables, 0);
    }
    for (uint32_t id = 0; tables->scopes && (id = rp_intern_next(tables->scopes, id));) {
        /* a parent is older than its children */
        uint32_t modes = modes_of(tables, zone, id);
        __atomic_store_n(&rp_trace_scope_node(tables, id)->modes, modes, __ATOMIC_RELAXED);
        if (zone == RP_ZONE_WORLD) {
            take_budget(tables, id);
        }
    }
}

void rp_trace_scopes_reconcile(void)
{
    for (rp_zone zone = RP_ZONE_WORLD; zone <= RP_ZONE_KEEP; zone++) {
        rp_trace_tables *tables = rp_trace_tables_if_any(zone);
        if (tables) {
            reconcile_zone(tables, zone);
        }
    }
}

/* ---- the thread's scope ---- */

static uint32_t in_zone(const rp_trace_tables *world, rp_trace_tables *tables, rp_zone zone,
                        uint32_t scope)
{
    if (!scope || !key_of(world, scope)) {
        return 0;
    }
    uint32_t parent = in_zone(world, tables, zone, rp_trace_scope_parent(world, scope));
    return scope_in(tables, zone, parent, rp_trace_scope_name(world, scope));
}

uint32_t rp_trace_scope_here(rp_zone zone)
{
    uint32_t scope = rp_alloc_thread_get()->scope;
    if (!scope || zone == RP_ZONE_WORLD) {
        return scope;
    }
    const rp_trace_tables *world = rp_trace_tables_if_any(RP_ZONE_WORLD);
    rp_trace_tables *tables = world ? rp_trace_tables_of(zone) : NULL;
    return tables ? in_zone(world, tables, zone, scope) : 0;
}

uint32_t rp_trace_scope_modes(rp_zone zone, uint32_t scope)
{
    rp_trace_tables *tables = scope ? rp_trace_tables_if_any(zone) : NULL;
    return tables ? __atomic_load_n(&rp_trace_scope_node(tables, scope)->modes, __ATOMIC_RELAXED)
                  : 0;
}

/* An open scope diverts its thread to the tracked store, where there is one. */
static void enter(uint32_t scope)
{
    rp_alloc_thread *self = rp_alloc_thread_get();
    bool wanted = scope != 0 && rp_debug_ops_get(), now = self->traced != 0;
    self->scope = scope;
    if (wanted != now) {
        rp_alloc_thread_trace(wanted ? 1 : -1);
    }
}

rp_scope rp_scope_begin(const char *name)
{
    RP_ASSERT(name);
    rp_trace_tables *tables = rp_trace_tables_of(RP_ZONE_WORLD);
    uint32_t outer = rp_alloc_thread_get()->scope;
    uint32_t id = tables ? scope_in(tables, RP_ZONE_WORLD, outer, name) : outer;
    if (id != outer) {
        __atomic_add_fetch(&rp_trace_scope_node(tables, id)->entered, 1, __ATOMIC_RELAXED);
        enter(id);
    }
    uint64_t since = tables ? rp_trace_serial(RP_ZONE_WORLD) : 0;
    return (rp_scope){.id = id, .outer = outer, .since = since};
}

/* Those that are open inside `until` were left without their end. */
static void count_left_open(uint32_t scope, uint32_t until)
{
    rp_trace_tables *tables = rp_trace_tables_if_any(RP_ZONE_WORLD);
    while (tables && scope && scope != until) {
        __atomic_add_fetch(&rp_trace_scope_node(tables, scope)->left_open, 1, __ATOMIC_RELAXED);
        scope = rp_trace_scope_parent(tables, scope);
    }
}

void rp_scope_end(rp_scope scope)
{
    uint32_t now = rp_alloc_thread_get()->scope;
    const rp_trace_tables *tables = rp_trace_tables_if_any(RP_ZONE_WORLD);
    if (now != scope.id && tables && rp_trace_scope_within(tables, now, scope.id)) {
        count_left_open(now, scope.id);
    }
    enter(scope.outer);
}

uint32_t rp_trace_scope_reset(void)
{
    uint32_t left = rp_alloc_thread_get()->scope;
    count_left_open(left, 0);
    enter(0);
    return left;
}

void rp_scope_leave_(rp_scope *scope)
{
    rp_scope_end(*scope);
}

/* ---- counting ---- */

/* Said once: the keep zone knows, so that a loop does not say it in each of its passes. */
static void over_budget(rp_trace_tables *tables, rp_zone zone, uint32_t scope, uint64_t live_bytes)
{
    scope_node *node = rp_trace_scope_node(tables, scope), *twin = twin_of(tables, scope);
    bool first = !__atomic_exchange_n(&node->budget_told, 1, __ATOMIC_RELAXED);
    if (first && twin && twin != node) {
        first = !__atomic_exchange_n(&twin->budget_told, 1, __ATOMIC_RELAXED);
    }
    if (first) {
        rp_report_over_budget(zone, scope, live_bytes,
                              __atomic_load_n(&node->budget_bytes, __ATOMIC_RELAXED));
    }
}

static void check_budget(rp_trace_tables *tables, rp_zone zone, uint32_t scope, uint64_t live_bytes)
{
    const scope_node *node = rp_trace_scope_node(tables, scope);
    uint64_t budget = __atomic_load_n(&node->budget_bytes, __ATOMIC_RELAXED);
    if (budget && live_bytes > budget && !__atomic_load_n(&node->budget_told, __ATOMIC_RELAXED)) {
        over_budget(tables, zone, scope, live_bytes);
    }
}

static uint32_t counter_of(rp_trace_tables *tables, rp_zone zone, uint32_t scope, uint32_t site)
{
    const uint32_t key[2] = {scope, site};
    rp_intern *counters = rp_trace_table(tables, zone, &tables->counters, &counters_shape);
    return counters ? rp_intern_id(counters, key, sizeof key) : 0;
}

/* A scope's bytes are also those of the scopes around it, for their peaks and budgets; all else is
 * added up when it is asked for. */
uint32_t rp_trace_count_alloc(rp_zone zone, uint32_t scope, uint32_t site, size_t size_bytes)
{
    rp_trace_tables *tables = rp_trace_tables_of(zone);
    if (!tables) {
        return 0;
    }
    uint32_t counter = counter_of(tables, zone, scope, site);
    if (counter) {
        rp_tally_alloc(rp_intern_payload(tables->counters, counter), rp_trace_frame(), size_bytes);
    }
    for (bool more = true; more; scope = rp_trace_scope_parent(tables, scope)) {
        scope_node *node = rp_trace_scope_node(tables, scope);
        uint64_t live = __atomic_add_fetch(&node->live_bytes, size_bytes, __ATOMIC_RELAXED);
        rp_tally_raise(&node->peak_bytes, live);
        check_budget(tables, zone, scope, live);
        more = scope != 0;
    }
    return counter;
}

void rp_trace_count_free(rp_zone zone, uint32_t scope, uint32_t counter, size_t size_bytes)
{
    rp_trace_tables *tables = rp_trace_tables_if_any(zone);
    if (!tables) {
        return;
    }
    if (counter) {
        rp_tally_free(rp_intern_payload(tables->counters, counter), size_bytes);
    }
    for (bool more = true; more; scope = rp_trace_scope_parent(tables, scope)) {
        scope_node *node = rp_trace_scope_node(tables, scope);
        __atomic_sub_fetch(&node->live_bytes, size_bytes, __ATOMIC_RELAXED);
        more = scope != 0;
    }
}

static rp_tally_figures sum_within(const rp_trace_tables *tables, uint32_t top)
{
    rp_tally_figures sum = {0};
    size_t bytes;
    const rp_intern *counters = __atomic_load_n(&tables->counters, __ATOMIC_ACQUIRE);
    for (uint32_t id = 0; counters && (id = rp_intern_next(counters, id));) {
        const uint32_t *key = rp_intern_key(counters, id, &bytes);
        if (rp_trace_scope_within(tables, key[0], top)) {
            rp_tally_figures one = rp_tally_get(rp_intern_payload(counters, id), rp_trace_frame());
            rp_tally_figures_add(&sum, &one);
        }
    }
    return sum;
}

/* ---- by path ---- */

static const char *next_name(const char *path, char *name, size_t capacity)
{
    path += strlen(path) > 0 && *path == '/';
    const char *slash = strchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : strlen(path);
    size_t kept = rp_min_size(length, capacity - 1);
    memcpy(name, path, kept);
    name[kept] = 0;
    return path + length;
}

static uint32_t scope_find(rp_trace_tables *tables, uint32_t parent, const char *name)
{
    uint32_t id = rp_trace_scope_first_child(tables, parent);
    while (id && strcmp(rp_trace_scope_name(tables, id), name) != 0) {
        id = rp_trace_scope_next(tables, id);
    }
    return id;
}

rp_status rp_scope_budget(const char *path, uint64_t bytes)
{
    for (int zone = RP_ZONE_KEEP; zone >= RP_ZONE_WORLD; zone--) { /* the keep zone's counts */
        rp_trace_tables *tables = rp_trace_tables_of((rp_zone)zone);
        if (!tables) {
            return rp_fail(RP_E_MEMORY,
                           "scope %s: no budget: its table has no room: give the "
                           "region a larger reserve, or open it first",
                           path);
        }
        char name[SCOPE_NAME_BYTES];
        uint32_t scope = 0;
        for (const char *rest = path; rest = next_name(rest, name, sizeof name), name[0];) {
            scope = scope_in(tables, (rp_zone)zone, scope, name);
        }
        scope_node *node = rp_trace_scope_node(tables, scope);
        __atomic_store_n(&node->budget_bytes, bytes, __ATOMIC_RELAXED);
        __atomic_store_n(&node->budget_told, 0, __ATOMIC_RELAXED);
    }
    return RP_OK;
}

rp_status rp_scope_stats_get(rp_zone zone, const char *path, rp_scope_stats *stats)
{
    char name[SCOPE_NAME_BYTES];
    uint32_t scope = 0;
    rp_trace_tables *tables = rp_trace_tables_if_any(zone);
    *stats = (rp_scope_stats){0};
    for (const char *rest = path; rest = next_name(rest, name, sizeof name), name[0];) {
        scope = tables ? scope_find(tables, scope, name) : 0;
        if (!scope) {
            return rp_fail(RP_E_NOT_FOUND, "scope %s: there is none in the %s zone: see the tree",
                           path, zone == RP_ZONE_WORLD ? "world" : "keep");
        }
    }
    if (tables) {
        const scope_node *node = rp_trace_scope_node(tables, scope);
        rp_tally_figures within = sum_within(tables, scope);
        *stats = (rp_scope_stats){
            .live_count = within.live_count,
            .live_bytes = within.live_bytes,
            .peak_bytes = __atomic_load_n(&node->peak_bytes, __ATOMIC_RELAXED),
            .total_count = within.total_count,
            .total_bytes = within.total_bytes,
            .last_frame_count = within.last_frame_count,
            .budget_bytes = __atomic_load_n(&node->budget_bytes, __ATOMIC_RELAXED),
        };
    }
    return RP_OK;
}
