/* What a person chose: debug modes by name. It lies in the keep zone, so that no restore undoes it;
 * each allocator carries what follows from it.
 *
 * Of the patterns that match, the one with the most letters holds, of equals the one that was set
 * last: "physics=fill;*=canary" means the same in either order.
 */
#include "base/error.h"
#include "base/text.h"
#include "trace/tracked.h"

#include <string.h>

enum { PATH_BYTES = 512 };

debug_choices *rp_debug_choices_if_any(void)
{
    const tracked_store *store = rp_region_is_open() ? rp_tracked_store(RP_ZONE_KEEP) : NULL;
    return store ? __atomic_load_n(&store->choices, __ATOMIC_ACQUIRE) : NULL;
}

/* With the store's lock. */
static debug_choices *choices_make(tracked_store *store)
{
    if (!store->choices) {
        debug_choices *made =
            rp_region_block_alloc(RP_ZONE_KEEP, sizeof *made, RP_BLOCK_PAGES, 0, 0);
        if (made) {
            memset(made, 0, sizeof *made);
            made->scope_book = rp_debug_book(0, NULL);
            __atomic_store_n(&store->choices, made, __ATOMIC_RELEASE);
        }
    }
    return store->choices;
}

debug_choices *rp_debug_choices_get(void)
{
    tracked_store *store = rp_tracked_store_make(RP_ZONE_KEEP);
    if (!store) {
        return NULL;
    }
    rp_os_lock_take(&store->lock);
    debug_choices *choices = choices_make(store);
    rp_os_lock_drop(&store->lock);
    return choices;
}

/* ---- which choice holds ---- */

static size_t letters(const char *pattern)
{
    size_t count = 0;
    for (; *pattern; pattern++) {
        count += *pattern != '*' && *pattern != '?';
    }
    return count;
}

typedef struct name_set {
    const char *name;
    char path[PATH_BYTES];  /* of the scope */
    char whole[PATH_BYTES]; /* with the name */
} name_set;

static bool choice_matches(const char *pattern, const name_set *names)
{
    const char *last = strrchr(names->path, '/');
    return rp_text_matches(pattern, names->name) || rp_text_matches(pattern, names->path) ||
           rp_text_matches(pattern, names->whole) || (last && rp_text_matches(pattern, last + 1));
}

/* Null: none of them. With the lock. */
static const struct debug_choice *choice_for(const debug_choices *choices, const name_set *names)
{
    const struct debug_choice *best = NULL;
    for (uint32_t i = 0; i < choices->count; i++) {
        const struct debug_choice *choice = &choices->items[i];
        if (choice_matches(choice->pattern, names) &&
            (!best || letters(choice->pattern) >= letters(best->pattern))) {
            best = choice;
        }
    }
    return best;
}

static void names_of(const rp_allocator *allocator, name_set *names)
{
    names->name = allocator->name;
    rp_trace_scope_path((rp_zone)allocator->zone, allocator->scope, names->path,
                        sizeof names->path);
    rp_text_buffer whole = rp_text_buffer_over(names->whole, sizeof names->whole);
    const char *path = strcmp(names->path, "/") == 0 ? "" : names->path;
    rp_text_add(&whole, "%s/%s", path, allocator->name);
}

/* False: nothing was chosen for it. */
static bool chosen_for(const name_set *names, debug_book *book)
{
    debug_choices *choices = rp_debug_choices_if_any();
    if (!choices || !__atomic_load_n(&choices->count, __ATOMIC_RELAXED)) {
        return false;
    }
    rp_os_lock_take(&choices->lock);
    const struct debug_choice *choice = choice_for(choices, names);
    *book = choice ? choice->book : (debug_book){0};
    rp_os_lock_drop(&choices->lock);
    return choice != NULL;
}

/* ---- an allocator takes it over ---- */

uint32_t rp_debug_modes_possible(const rp_allocator *allocator)
{
    bool in_bulk = allocator->kind == KIND_ARENA || allocator->kind == KIND_TEMP ||
                   allocator->kind == KIND_STATIC;
    return in_bulk ? RP_DEBUG_FAILING : MODES_ALL;
}

/* What it was made with, and what was chosen, whose options go first. */
static debug_book joined(const debug_book *own, const debug_book *chosen)
{
    debug_book both = *chosen;
    both.modes |= own->modes;
    if (!(chosen->modes & RP_DEBUG_SAMPLED) && own->modes & RP_DEBUG_SAMPLED) {
        both.sample_one_in = own->sample_one_in;
    }
    if (!(chosen->modes & RP_DEBUG_FAILING) && own->modes & RP_DEBUG_FAILING) {
        both.fail_nth = own->fail_nth;
        memcpy(both.fail_site, own->fail_site, sizeof both.fail_site);
    }
    return both;
}

static void activate(rp_allocator *allocator, tracked_pool *pool, const debug_book *book)
{
    if (pool) {
        rp_os_lock_take(&pool->lock);
        if (memcmp(&pool->active, book, sizeof *book) != 0) {
            pool->active = *book;
            __atomic_store_n(&pool->asked, 0, __ATOMIC_RELAXED);
        }
        rp_os_lock_drop(&pool->lock);
    }
    rp_allocator_debug_set(allocator, book->modes);
}

rp_status rp_debug_apply(rp_allocator *allocator)
{
    name_set names;
    names_of(allocator, &names);
    tracked_pool *pool = rp_tracked_pool_find((rp_zone)allocator->zone, allocator->id);
    debug_book own = pool ? pool->own : (debug_book){0}, chosen, book = own;
    if (chosen_for(&names, &chosen)) {
        book = chosen.modes ? joined(&own, &chosen) : rp_debug_book(0, NULL);
    }
    book.modes &= rp_debug_modes_possible(allocator);
    if (book.modes && !pool) {
        pool = rp_tracked_pool(allocator);
        if (!pool) {
            return rp_error_last()->status;
        }
    }
    activate(allocator, pool, &book);
    return RP_OK;
}

void rp_debug_created(rp_allocator *allocator)
{
    const debug_choices *choices = rp_debug_choices_if_any();
    if (choices && __atomic_load_n(&choices->count, __ATOMIC_RELAXED)) {
        rp_debug_apply(allocator); /* without room for its book it goes without modes */
    }
}

static int visit_apply(rp_allocator *allocator, void *context)
{
    rp_status status = rp_debug_apply(allocator), *first = context;
    *first = *first == RP_OK ? status : *first;
    return 0;
}

rp_status rp_debug_apply_all(void)
{
    rp_status status = RP_OK;
    rp_allocator_walk(RP_ZONE_WORLD, visit_apply, &status);
    rp_allocator_walk(RP_ZONE_KEEP, visit_apply, &status);
    rp_trace_scopes_reconcile();
    return status;
}

/* ---- scopes ---- */

uint32_t rp_trace_modes_for(const char *scope_path)
{
    name_set names = {.name = ""};
    rp_text_copy(names.path, sizeof names.path, scope_path);
    rp_text_copy(names.whole, sizeof names.whole, scope_path);
    debug_book book;
    if (!chosen_for(&names, &book)) {
        return 0;
    }
    debug_choices *choices = rp_debug_choices_if_any();
    if (book.modes && choices) {
        rp_os_lock_take(&choices->lock);
        choices->scope_book = book;
        rp_os_lock_drop(&choices->lock);
    }
    return book.modes;
}

void rp_debug_scope_book(debug_book *book)
{
    debug_choices *choices = rp_debug_choices_if_any();
    *book = rp_debug_book(0, NULL);
    if (choices) {
        rp_os_lock_take(&choices->lock);
        *book = choices->scope_book;
        rp_os_lock_drop(&choices->lock);
    }
}

/* ---- choosing ---- */

debug_book rp_debug_book(uint32_t modes, const rp_debug_options *options)
{
    const rp_debug_options none = {0}, *from = options ? options : &none;
    debug_book book = {
        .modes = modes,
        .sample_one_in = from->sample_one_in ? from->sample_one_in : RP_DEBUG_SAMPLE_DEFAULT,
        .seed = from->seed,
        .fail_nth = from->fail_nth,
        .fill_chosen = from->fill_chosen,
        .fill_byte = from->fill_byte,
    };
    rp_text_copy(book.fail_site, sizeof book.fail_site, from->fail_site ? from->fail_site : "");
    return book;
}

/* With the lock. What has the same pattern goes, so that the new one is the last. */
static bool choice_add(debug_choices *choices, const char *pattern, const debug_book *book)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < choices->count; i++) {
        if (strcmp(choices->items[i].pattern, pattern) != 0) {
            choices->items[kept++] = choices->items[i];
        }
    }
    bool room = kept < CHOICES_MOST;
    if (room) {
        rp_text_copy(choices->items[kept].pattern, CHOICE_PATTERN_BYTES, pattern);
        choices->items[kept++].book = *book;
    }
    __atomic_store_n(&choices->count, kept, __ATOMIC_RELAXED);
    return room;
}

static rp_status choice_check(const char *pattern, uint32_t modes)
{
    if (!pattern || !*pattern || strlen(pattern) >= CHOICE_PATTERN_BYTES) {
        return rp_fail(RP_E_ARGUMENT,
                       "debug: the pattern \"%s\" cannot be used: it has to have 1 to %d bytes: "
                       "give an allocator's or a scope's name",
                       pattern ? pattern : "", CHOICE_PATTERN_BYTES - 1);
    }
    if (modes & ~(uint32_t)MODES_ALL) {
        return rp_fail(RP_E_ARGUMENT, "debug: modes 0x%x: unknown bits: use those of rp_debug_mode",
                       modes);
    }
    return RP_OK;
}

rp_status rp_debug_set_with(const char *pattern, uint32_t modes, const rp_debug_options *options)
{
    rp_status status = choice_check(pattern, modes);
    debug_choices *choices = status == RP_OK ? rp_debug_choices_get() : NULL;
    if (!choices) {
        return rp_error_last()->status;
    }
    const debug_book book = rp_debug_book(modes, options);
    rp_os_lock_take(&choices->lock);
    bool added = choice_add(choices, pattern, &book);
    rp_os_lock_drop(&choices->lock);
    if (!added) {
        return rp_fail(RP_E_MEMORY,
                       "debug: no room for the pattern \"%s\": %d patterns are set: forget them "
                       "with rp_debug_reset",
                       pattern, CHOICES_MOST);
    }
    return rp_debug_apply_all();
}

rp_status rp_debug_set(const char *pattern, uint32_t modes)
{
    return rp_debug_set_with(pattern, modes, NULL);
}

void rp_debug_reset(void)
{
    debug_choices *choices = rp_debug_choices_if_any();
    if (choices) {
        rp_os_lock_take(&choices->lock);
        __atomic_store_n(&choices->count, 0, __ATOMIC_RELAXED);
        rp_os_lock_drop(&choices->lock);
        rp_debug_apply_all();
    }
}

uint32_t rp_debug_modes_of(const rp_allocator *allocator)
{
    rp_allocator_check(allocator);
    return allocator->debug;
}
