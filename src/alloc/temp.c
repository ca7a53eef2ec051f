/* Temp memory: scopes of the calling thread. Layer: alloc. */
#include "alloc/temp.h"

#include "alloc/simple.h"
#include "base/error.h"
#include "base/text.h"

/* The allocator's `unused` half-word: place of the thread, and whether the scope is a debug one. */
enum { OWNER_MASK = 0x0fff, OWNER_DEBUG = 0x8000 };

_Static_assert((int)RP_ALLOC_THREADS_MOST <= (int)OWNER_MASK, "a place fits");

/* ---- table and choice ---- */

static void *word_get(rp_zone zone)
{
    void **word = rp_region_is_open() ? rp_static_word_of(zone, STATIC_WORD_TEMP) : NULL;
    return word ? __atomic_load_n(word, __ATOMIC_ACQUIRE) : NULL;
}

/* Enters `made`, or gives it back where another thread was first. */
static void *word_claim(rp_zone zone, void *made, void (*give)(rp_zone zone, void *made))
{
    void *none = NULL;
    if (made && !__atomic_compare_exchange_n(rp_static_word_of(zone, STATIC_WORD_TEMP), &none, made,
                                             false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        give(zone, made);
        return none;
    }
    return made;
}

temp_table *rp_temp_table(void)
{
    return word_get(RP_ZONE_WORLD);
}

const temp_choice *rp_temp_choice(void)
{
    static const temp_choice nothing;
    const temp_choice *choice = word_get(RP_ZONE_KEEP);
    return choice ? choice : &nothing;
}

void rp_temp_lock(void)
{
    rp_os_lock_take(rp_static_lock_of(RP_ZONE_WORLD, STATIC_WORD_TEMP));
}

void rp_temp_unlock(void)
{
    rp_os_lock_drop(rp_static_lock_of(RP_ZONE_WORLD, STATIC_WORD_TEMP));
}

static void block_give(rp_zone zone, void *block)
{
    (void)zone;
    rp_region_block_free(block);
}

temp_table *rp_temp_table_make(void)
{
    if (!rp_region_is_open()) {
        rp_fail(RP_E_ARGUMENT, "temp: no scope: the region is not open: open a deck first");
        return NULL;
    }
    if (rp_temp_table()) {
        return rp_temp_table();
    }
    temp_table *made = rp_region_block_alloc(RP_ZONE_WORLD, sizeof *made, RP_BLOCK_PAGES, 0, 0);
    if (made) {
        memset(made, 0, sizeof *made);
    }
    return word_claim(RP_ZONE_WORLD, made, block_give);
}

static temp_choice *choice_make(void)
{
    temp_choice *choice = word_get(RP_ZONE_KEEP);
    return choice ? choice
                  : word_claim(RP_ZONE_KEEP, rp_static_alloc(RP_ZONE_KEEP, sizeof *choice),
                               rp_static_free);
}

void rp_temp_debug_set(bool debug)
{
    temp_choice *choice = choice_make();
    if (choice) {
        __atomic_store_n(&choice->debug, debug, __ATOMIC_RELAXED);
        __atomic_store_n(&choice->chosen, 1, __ATOMIC_RELEASE);
    }
}

void rp_temp_search_all_set(bool search)
{
    temp_choice *choice = choice_make();
    if (choice) {
        __atomic_store_n(&choice->search_all, search, __ATOMIC_RELAXED);
    }
}

static bool is_debug(bool compiled_so)
{
    const temp_choice *choice = rp_temp_choice();
    return __atomic_load_n(&choice->chosen, __ATOMIC_ACQUIRE)
               ? __atomic_load_n(&choice->debug, __ATOMIC_RELAXED)
               : compiled_so;
}

/* ---- threads ---- */

static temp_thread *thread_make(temp_table *table, uint32_t place)
{
    rp_arena *home =
        rp_arena_create(&(rp_arena_desc){.name = "temp", .first_bytes = sizeof(temp_thread)});
    temp_thread *made = home ? rp_arena_push_array(home, temp_thread, 1) : NULL;
    if (made) {
        made->place = place;
        made->home = home;
        __atomic_store_n(&table->threads[place], made, __ATOMIC_RELEASE);
    }
    return made;
}

/* Of the calling thread; null where it has none yet. */
static temp_thread *thread_mine(temp_table *table)
{
    uint32_t place = rp_alloc_thread_get()->place;
    return table && place ? table->threads[place] : NULL;
}

void rp_temp_thread_end(uint32_t place)
{
    temp_table *table = rp_temp_table();
    temp_thread *thread = table ? table->threads[place] : NULL;
    if (!thread) {
        return;
    }
    __atomic_store_n(&table->threads[place], NULL, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < RP_TEMP_DEPTH_MOST; i++) {
        if (i < thread->depth && thread->scopes[i].arena != thread->kept[i]) {
            rp_allocator_destroy(arena_base(thread->scopes[i].arena));
        }
        if (thread->kept[i]) {
            rp_allocator_destroy(arena_base(thread->kept[i]));
        }
    }
    rp_allocator_destroy(arena_base(thread->home));
}

/* ---- scopes ---- */

static rp_arena *arena_make(const temp_thread *thread, bool debug)
{
    rp_arena *arena = rp_arena_make(&(rp_arena_desc){.name = "temp"}, KIND_TEMP);
    if (arena) {
        arena_base(arena)->unused = (uint16_t)(thread->place | (debug ? OWNER_DEBUG : 0));
    }
    return arena;
}

static rp_arena *scope_begin(temp_table *table, temp_thread *thread, bool debug, const char *site)
{
    temp_scope *scope = &thread->scopes[thread->depth];
    rp_arena **kept = &thread->kept[thread->depth];
    if (debug) {
        scope->arena = arena_make(thread, true);
        scope->number = __atomic_add_fetch(&table->number, 1, __ATOMIC_RELAXED);
        rp_text_copy(scope->began, sizeof scope->began, site);
    } else {
        *kept = *kept ? *kept : arena_make(thread, false);
        scope->arena = *kept;
        scope->number = 0;
    }
    thread->depth += scope->arena != NULL;
    return scope->arena;
}

rp_arena *rp_temp_begin_at(bool debug, const char *site)
{
    uint32_t place = rp_alloc_thread_attach();
    temp_table *table = place ? rp_temp_table_make() : NULL;
    if (!place) {
        rp_fail(RP_E_LIMIT, "temp: no scope: more than %d threads are at work: let some end",
                RP_ALLOC_THREADS_MOST);
    }
    if (!table) {
        return NULL;
    }
    temp_thread *thread = table->threads[place];
    thread = thread ? thread : thread_make(table, place);
    if (!thread) {
        return NULL;
    }
    if (thread->depth == RP_TEMP_DEPTH_MOST) {
        rp_fail(RP_E_LIMIT,
                "temp: no scope: %d are open on this thread, no more are possible: end some",
                RP_TEMP_DEPTH_MOST);
        return NULL;
    }
    return scope_begin(table, thread, is_debug(debug), site);
}

static _Noreturn void die_not_innermost(const rp_arena *temp, const temp_thread *thread,
                                        const char *site)
{
    char text[200];
    bool known = rp_temp_explain(temp, text, sizeof text);
    rp_region_die("temp: end of %p at %s: it is not the innermost scope of this thread, which has "
                  "%u open: %s",
                  (const void *)temp, site, thread ? thread->depth : 0,
                  known ? text : "it is no scope that is open or ended lately");
}

void rp_temp_end_at(rp_arena *temp, const char *site)
{
    if (!temp) {
        return;
    }
    temp_table *table = rp_temp_table();
    temp_thread *thread = thread_mine(table);
    if (!thread || !thread->depth || thread->scopes[thread->depth - 1].arena != temp) {
        die_not_innermost(temp, thread, site);
    }
    temp_scope *scope = &thread->scopes[thread->depth - 1];
    if (scope->number) {
        rp_temp_scope_rest(table, thread, scope, site);
    } else {
        rp_arena_reset(temp);
    }
    thread->depth--;
}

/* ---- as an allocator ---- */

static void own_or_die(const rp_allocator *allocator, const void *block, const char *what)
{
    uint32_t owner = allocator->unused & OWNER_MASK, caller = rp_alloc_thread_get()->place;
    if (owner != caller) {
        char text[200];
        bool known = rp_temp_explain(block, text, sizeof text);
        rp_region_die(
            "temp: %s of %p on thread %u: it is temp memory of thread %u, which alone may "
            "use it: %s",
            what, block, caller, owner, known ? text : "-");
    }
}

static void *temp_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes, bool zeroed)
{
    own_or_die(allocator, allocator, "allocation");
    return rp_arena_op_alloc(allocator, size_bytes, align_bytes, zeroed);
}

static void temp_free(rp_allocator *allocator, void *block)
{
    own_or_die(allocator, block, "free");
    rp_arena_op_free(allocator, block);
}

static bool temp_resize(rp_allocator *allocator, void *block, size_t size_bytes)
{
    own_or_die(allocator, block, "resize");
    return rp_arena_op_resize(allocator, block, size_bytes);
}

static size_t temp_usable(const rp_allocator *allocator, const void *block)
{
    if (allocator->unused & OWNER_DEBUG) {
        own_or_die(allocator, block, "size");
    }
    return rp_arena_op_usable(allocator, block);
}

static void temp_destroy(rp_allocator *allocator)
{
    const temp_table *table = rp_temp_table();
    const temp_thread *owner = table ? table->threads[allocator->unused & OWNER_MASK] : NULL;
    if (owner) {
        rp_region_die("temp: destroy of %p: a scope is ended with rp_temp_end", (void *)allocator);
    }
    rp_arena_op_destroy(allocator); /* of a thread that has ended */
}

const rp_allocator_ops rp_temp_ops = {
    .name = "temp",
    .alloc = temp_alloc,
    .free = temp_free,
    .resize = temp_resize,
    .usable = temp_usable,
    .walk = rp_arena_op_walk,
    .stats = rp_arena_op_stats,
    .destroy = temp_destroy,
};
