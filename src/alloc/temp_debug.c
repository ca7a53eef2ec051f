/* What becomes of a debug scope's memory: sealed, at rest, explained. Layer: alloc. */
#include "alloc/temp.h"

#include "base/text.h"

/* ---- resting ---- */

typedef struct rest_context {
    temp_table *table;
    const temp_thread *thread;
    const temp_scope *scope;
    const char *site;
} rest_context;

static void rest_end(temp_table *table, temp_rest *rest)
{
    if (rest->size_bytes) {
        table->resting_bytes -= rest->size_bytes;
        rest->size_bytes = 0;
        rp_region_block_free(rest->start);
    }
}

/* Lets the oldest go until there is room. With the lock held. */
static temp_rest *rest_take(temp_table *table, size_t size_bytes)
{
    uint32_t next = table->rest_next;
    rest_end(table, &table->resting[next]);
    for (uint32_t i = 1;
         table->resting_bytes + size_bytes > TEMP_RESTING_BYTES && i < TEMP_RESTING_MOST; i++) {
        rest_end(table, &table->resting[(next + i) % TEMP_RESTING_MOST]);
    }
    table->rest_next = (next + 1) % TEMP_RESTING_MOST;
    return &table->resting[next];
}

/* A block that the system will not seal is given back at once. */
static void block_rest(void *block, void *context)
{
    const rest_context *c = context;
    rp_region_block found;
    bool sealed = rp_region_block_find(block, &found) && rp_region_block_seal(block) == RP_OK;
    if (!sealed) {
        rp_region_block_free(block);
        return;
    }
    rp_temp_lock();
    temp_rest *rest = rest_take(c->table, found.size_bytes);
    *rest = (temp_rest){.start = found.start,
                        .size_bytes = found.size_bytes,
                        .number = c->scope->number,
                        .place = c->thread->place};
    rp_text_copy(rest->began, sizeof rest->began, c->scope->began);
    rp_text_copy(rest->ended, sizeof rest->ended, c->site);
    c->table->resting_bytes += rest->size_bytes;
    rp_temp_unlock();
}

void rp_temp_scope_rest(temp_table *table, const temp_thread *thread, temp_scope *scope,
                        const char *site)
{
    rest_context context = {table, thread, scope, site};
    rp_temp_search(table, thread, scope, site);
    rp_arena_dissolve(scope->arena, block_rest, &context);
    scope->arena = NULL;
}

/* ---- explaining ---- */

static bool explain_rest(const temp_table *table, const uint8_t *address, rp_text_buffer *text)
{
    for (uint32_t i = 0; i < TEMP_RESTING_MOST; i++) {
        const temp_rest *rest = &table->resting[i];
        if (rest->size_bytes && (uintptr_t)address - (uintptr_t)rest->start < rest->size_bytes) {
            rp_text_add(text,
                        "temp memory of scope %llu, which thread %u began at %s and which ended at "
                        "%s",
                        (unsigned long long)rest->number, rest->place, rest->began, rest->ended);
            return true;
        }
    }
    return false;
}

static bool explain_open(const temp_table *table, const uint8_t *address, rp_text_buffer *text)
{
    const rp_unit *unit = rp_region_world_unit(address) ? rp_region_unit_head(address) : NULL;
    const rp_allocator *owner =
        unit && unit->kind == RP_BLOCK_POOL ? rp_allocator_by_id(RP_ZONE_WORLD, unit->owner) : NULL;
    for (uint32_t place = 1; owner && owner->kind == KIND_TEMP && place <= RP_ALLOC_THREADS_MOST;
         place++) {
        const temp_thread *thread = __atomic_load_n(&table->threads[place], __ATOMIC_ACQUIRE);
        for (uint32_t i = 0; thread && i < thread->depth; i++) {
            const temp_scope *scope = &thread->scopes[i];
            if (scope->arena && arena_base(scope->arena) == owner) {
                rp_text_add(text, "temp memory of a scope that thread %u has open, begun at %s",
                            place, scope->number ? scope->began : "a place not kept");
                return true;
            }
        }
    }
    return false;
}

bool rp_temp_explain(const void *address, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    const temp_table *table = rp_temp_table();
    return table &&
           (explain_rest(table, address, &buffer) || explain_open(table, address, &buffer));
}
