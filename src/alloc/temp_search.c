/* Looks for words that point into a temp scope that is about to end. Layer: alloc.
 *
 * Any aligned word whose value lies in the used part of the scope counts: a search without types.
 */
#include "alloc/temp.h"
#include "base/bits.h"
#include "base/text.h"

enum { TOLD_MOST = 8 }; /* of one scope */

typedef struct search {
    temp_table *table;
    const temp_scope *scope;
    const char *site;
    const char *holder;        /* the name of what is searched */
    const rp_allocator *avoid; /* the scope's own */
    uintptr_t low, high;       /* of the part of the scope that is looked for */
    uint64_t found;
} search;

static void tell(search *s, const uintptr_t *place)
{
    char line[400];
    rp_text_buffer text = rp_text_buffer_over(line, sizeof line);
    if (s->found++ < TOLD_MOST) {
        rp_text_add(
            &text,
            "reprise: temp: a pointer is kept past its scope: %p, of scope %llu begun at %s "
            "and ended at %s, is held at %p in %s\n",
            (void *)*place, (unsigned long long)s->scope->number, s->scope->began, s->site,
            (const void *)place, s->holder);
        rp_os_error_write(line, text.length);
    }
}

static void search_range(search *s, const void *start, size_t size_bytes)
{
    uintptr_t from = rp_align_up((uintptr_t)start, sizeof(uintptr_t));
    uintptr_t end = rp_align_down((uintptr_t)start + size_bytes, sizeof(uintptr_t));
    for (uintptr_t at = from; at < end; at += sizeof(uintptr_t)) {
        if (at % RP_PAGE_BYTES < sizeof(uintptr_t) && rp_region_is_guard((void *)at)) {
            at += RP_PAGE_BYTES - sizeof(uintptr_t);
            continue;
        }
        const uintptr_t *word = (const uintptr_t *)at;
        if (*word - s->low < s->high - s->low) {
            tell(s, word);
        }
    }
}

static int search_block(void *block, size_t size_bytes, void *context)
{
    search_range(context, block, size_bytes);
    return 0;
}

static int search_allocator(rp_allocator *allocator, void *context)
{
    search *s = context;
    if (allocator != s->avoid && allocator->kind != KIND_TEMP) {
        s->holder = allocator->name;
        rp_walk(allocator, search_block, s);
    }
    return 0;
}

static void search_everywhere(search *s, const temp_thread *thread)
{
    char holder[TEMP_SITE_BYTES + 40];
    for (uint32_t i = 0; i + 1 < thread->depth; i++) {
        rp_text_buffer text = rp_text_buffer_over(holder, sizeof holder);
        const temp_scope *outer = &thread->scopes[i];
        rp_text_add(&text, "the outer scope begun at %s", outer->number ? outer->began : "?");
        s->holder = holder;
        rp_arena_op_walk(arena_base(outer->arena), search_block, s);
    }
    s->holder = "a watched range";
    for (uint32_t i = 0; i < TEMP_WATCHES_MOST; i++) {
        const temp_watch watch = s->table->watches[i];
        search_range(s, watch.start, watch.size_bytes);
    }
    if (__atomic_load_n(&rp_temp_choice()->search_all, __ATOMIC_RELAXED)) {
        rp_allocator_walk(RP_ZONE_WORLD, search_allocator, s);
    }
}

void rp_temp_search(temp_table *table, const temp_thread *thread, const temp_scope *scope,
                    const char *site)
{
    search s = {.table = table, .scope = scope, .site = site, .avoid = arena_base(scope->arena)};
    for (const arena_chunk *chunk = arena_rest_of(scope->arena)->first; chunk;
         chunk = chunk->next) {
        s.low = (uintptr_t)chunk->start;
        s.high = s.low + chunk_used(scope->arena, chunk);
        if (s.high > s.low) {
            search_everywhere(&s, thread);
        }
    }
    __atomic_add_fetch(&table->escape_count, s.found, __ATOMIC_RELAXED);
}

/* ---- watched ranges ---- */

bool rp_temp_watch(const void *start, size_t size_bytes)
{
    temp_table *table = rp_temp_table_make();
    bool entered = false;
    if (table) {
        rp_temp_lock();
        for (uint32_t i = 0; i < TEMP_WATCHES_MOST && !entered; i++) {
            if (!table->watches[i].start) {
                table->watches[i] = (temp_watch){start, size_bytes};
                entered = true;
            }
        }
        rp_temp_unlock();
    }
    return entered;
}

void rp_temp_unwatch(const void *start)
{
    temp_table *table = rp_temp_table();
    if (table) {
        rp_temp_lock();
        for (uint32_t i = 0; i < TEMP_WATCHES_MOST; i++) {
            if (table->watches[i].start == start) {
                table->watches[i] = (temp_watch){0};
            }
        }
        rp_temp_unlock();
    }
}

uint64_t rp_temp_escape_count(void)
{
    const temp_table *table = rp_temp_table();
    return table ? __atomic_load_n(&table->escape_count, __ATOMIC_RELAXED) : 0;
}
