/* Arenas: chunks, growth, marks. The header has the shape and the inline push.
 *
 *   first ──► chunk ──► chunk (current) ──► chunk (spare) ──► null
 *
 * The arena itself stands at the start of its first chunk. A sub-arena has its first chunk from its
 * parent and further ones from the region: were they the parent's too, a release of the parent
 * could take one away from under a child that is older than the mark.
 */
#include "alloc/arena.h"

#include "alloc/simple.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

enum { LEAST_MEMORY_BYTES = 1024, CHILD_BYTES = 4096 };
#define CHUNK_MOST_BYTES RP_MIB(4) /* what a chunk grows by beyond need */

static arena_rest *rest_of(const rp_arena *arena)
{
    return arena_rest_of(arena);
}

uint64_t rp_arena_used_bytes(const rp_arena *arena)
{
    uint64_t used = 0;
    for (const arena_chunk *chunk = rest_of(arena)->first; chunk; chunk = chunk->next) {
        used += chunk_used(arena, chunk);
    }
    return used;
}

void rp_arena_note_peak(rp_arena *arena)
{
    arena_rest *rest = rest_of(arena);
    rest->peak_bytes = rp_max_size(rest->peak_bytes, rp_arena_used_bytes(arena));
}

/* ---- taking from the region, within the caps of the arena and of those above it ---- */

static bool may_take(const rp_arena *arena, size_t size_bytes)
{
    for (; arena; arena = rest_of(arena)->parent) {
        const arena_rest *rest = rest_of(arena);
        if (rest->cap_bytes && (rest->taken_bytes > rest->cap_bytes ||
                                size_bytes > rest->cap_bytes - rest->taken_bytes)) {
            rp_fail(RP_E_MEMORY,
                    "arena %s: full: %llu bytes taken, %zu more are over its cap of %llu: raise "
                    "the cap, or release something",
                    arena_base(arena)->name, (unsigned long long)rest->taken_bytes, size_bytes,
                    (unsigned long long)rest->cap_bytes);
            return false;
        }
    }
    return true;
}

static void count_taken(rp_arena *arena, size_t more, size_t less)
{
    for (; arena; arena = rest_of(arena)->parent) {
        rest_of(arena)->taken_bytes += more - less;
    }
}

static size_t block_bytes(const arena_chunk *chunk)
{
    return (size_t)(chunk->end - (const uint8_t *)chunk);
}

/* Whether the chunk is a block of the region's own, and not the caller's or the parent's memory. */
static bool is_block(const rp_arena *arena, const arena_chunk *chunk)
{
    const arena_rest *rest = rest_of(arena);
    return chunk != rest->first || (!rest->memory && !rest->parent);
}

static arena_chunk *chunk_make(rp_zone zone, uint32_t owner, size_t size_bytes)
{
    arena_chunk *chunk = rp_region_block_alloc(zone, size_bytes, RP_BLOCK_POOL, owner, 0);
    rp_region_block block;
    if (chunk && rp_region_block_find(chunk, &block)) {
        uint8_t *start = (uint8_t *)(chunk + 1);
        *chunk = (arena_chunk){NULL, start, (uint8_t *)chunk + block.size_bytes, start};
    }
    return chunk;
}

static void chunk_give(rp_arena *arena, arena_chunk *chunk)
{
    count_taken(arena, 0, block_bytes(chunk));
    rp_region_block_free(chunk);
}

/* ---- growing ---- */

static void chunk_use(rp_arena *arena, arena_chunk *chunk)
{
    arena_rest *rest = rest_of(arena);
    rest->current->left = arena->at_;
    rest->current = chunk;
    arena->at_ = chunk->start;
    arena->end_ = chunk->end;
}

static bool chunk_holds(const arena_chunk *chunk, size_t need)
{
    return chunk && (size_t)(chunk->end - chunk->start) >= need;
}

/* Makes the chunk in use longer by at least `more` bytes. */
static bool grow_by(rp_arena *arena, size_t more)
{
    arena_chunk *chunk = rest_of(arena)->current;
    size_t before = block_bytes(chunk), wanted = rp_align_up(before + more, RP_UNIT_BYTES);
    if (!may_take(arena, wanted - before) || !rp_region_block_resize(chunk, wanted)) {
        return false;
    }
    arena->end_ = chunk->end = (uint8_t *)chunk + wanted;
    count_taken(arena, wanted - before, 0);
    return true;
}

static bool grow_in_place(rp_arena *arena, size_t need)
{
    const arena_chunk *chunk = rest_of(arena)->current;
    size_t room = (size_t)(arena->end_ - arena->at_), more = need - rp_min_size(room, need);
    if (!is_block(arena, chunk)) {
        return false;
    }
    size_t ahead = rp_min_size(block_bytes(chunk), CHUNK_MOST_BYTES);
    return (ahead > more && grow_by(arena, ahead)) || grow_by(arena, more);
}

static arena_chunk *chunk_take(rp_arena *arena, size_t size_bytes)
{
    const rp_allocator *base = arena_base(arena);
    size_t whole = rp_align_up(size_bytes, RP_UNIT_BYTES);
    if (!may_take(arena, whole)) {
        return NULL;
    }
    arena_chunk *chunk = chunk_make((rp_zone)base->zone, base->id, whole);
    if (chunk) {
        count_taken(arena, block_bytes(chunk), 0);
    }
    return chunk;
}

static bool chain(rp_arena *arena, size_t need)
{
    arena_rest *rest = rest_of(arena);
    size_t least = need + sizeof(arena_chunk);
    size_t ahead = rp_min_size(2 * block_bytes(rest->current), CHUNK_MOST_BYTES);
    arena_chunk *chunk = ahead > least ? chunk_take(arena, ahead) : NULL;
    chunk = chunk ? chunk : chunk_take(arena, least);
    if (chunk) {
        rest->current->next = chunk;
        chunk_use(arena, chunk);
    }
    return chunk != NULL;
}

static bool fail_fixed(const rp_arena *arena, size_t size_bytes)
{
    rp_fail(RP_E_MEMORY,
            "arena %s: full: %zu bytes more do not fit into the memory that it was given: give it "
            "more, or release something",
            arena_base(arena)->name, size_bytes);
    return false;
}

static bool make_room(rp_arena *arena, size_t need)
{
    arena_rest *rest = rest_of(arena);
    if (chunk_holds(rest->current->next, need)) {
        chunk_use(arena, rest->current->next);
        return true;
    }
    if (rest->fixed) {
        return fail_fixed(arena, need);
    }
    rp_arena_trim(arena);
    return grow_in_place(arena, need) || chain(arena, need);
}

void *rp_arena_push_slow_(rp_arena *arena, size_t size_bytes, size_t align_bytes)
{
    rp_allocator_check(arena_base(arena));
    if (!rp_is_power_of_two(align_bytes) || align_bytes > RP_MIB(1)) {
        rp_fail(RP_E_ARGUMENT,
                "arena %s: no memory aligned to %zu: an alignment is a power of two up to 1 MiB: "
                "ask for one",
                arena_base(arena)->name, align_bytes);
        return NULL;
    }
    if (size_bytes > RP_REGION_RESERVE_BYTES) {
        rp_fail(RP_E_MEMORY, "arena %s: no %zu bytes: the largest region is 256 GiB: ask for less",
                arena_base(arena)->name, size_bytes);
        return NULL;
    }
    return make_room(arena, size_bytes + align_bytes)
               ? rp_arena_push(arena, size_bytes, align_bytes)
               : NULL;
}

/* ---- making ---- */

static rp_status fail_memory(const rp_arena_desc *desc)
{
    return rp_fail(RP_E_ARGUMENT,
                   "arena %s: cannot be made: it needs an open region, and 1 KiB or more of memory "
                   "or of its parent, not both: give it that",
                   desc->name ? desc->name : "unnamed");
}

static bool is_fit(const rp_arena_desc *desc)
{
    bool both = desc->memory && desc->parent;
    bool small = desc->memory && (desc->memory_bytes < LEAST_MEMORY_BYTES ||
                                  (uintptr_t)desc->memory > UINTPTR_MAX - desc->memory_bytes);
    return rp_region_is_open() && !both && !small && desc->first_bytes <= RP_REGION_RESERVE_BYTES;
}

/* The first chunk: in the caller's memory, the parent's, or a block. Null with the record set. */
static arena_chunk *first_chunk(const rp_arena_desc *desc, rp_zone zone)
{
    size_t least = sizeof(arena_chunk) + sizeof(rp_arena) + 64, bytes = desc->memory_bytes;
    uint8_t *memory = desc->memory;
    if (desc->parent) {
        bytes = rp_max_size(desc->first_bytes ? desc->first_bytes : CHILD_BYTES, least);
        memory = rp_arena_push(desc->parent, bytes, 16);
    } else if (!memory) {
        return chunk_make(zone, 0, desc->first_bytes + least);
    } else if (rp_outside_claim(zone, memory, bytes) != RP_OK) {
        return NULL;
    }
    if (!memory) {
        return NULL;
    }
    arena_chunk *chunk = (arena_chunk *)(uintptr_t)rp_align_up((uintptr_t)memory, 16);
    uint8_t *start = (uint8_t *)(chunk + 1);
    *chunk = (arena_chunk){NULL, start, memory + bytes, start};
    return chunk;
}

static void adopt(rp_arena *parent, rp_arena *child)
{
    arena_rest *rest = rest_of(child), *above = rest_of(parent);
    rest->born = above->serial;
    rest->sibling = above->children;
    above->children = child;
}

static void fill(rp_arena *arena, arena_chunk *chunk, const rp_arena_desc *desc)
{
    bool own_block = !desc->memory && !desc->parent;
    chunk->start = chunk->left = (uint8_t *)(arena + 1);
    arena->at_ = chunk->start;
    arena->end_ = chunk->end;
    *rest_of(arena) = (arena_rest){
        .first = chunk,
        .current = chunk,
        .fixed = desc->memory || (desc->parent && rest_of(desc->parent)->fixed),
        .cap_bytes = desc->memory ? desc->memory_bytes : desc->cap_bytes,
        .taken_bytes = desc->memory ? desc->memory_bytes : block_bytes(chunk),
        .parent = desc->parent,
        .memory = desc->memory,
    };
    if (own_block) {
        rp_region_unit_head(chunk)->owner = (uint16_t)arena_base(arena)->id;
    } else if (desc->parent) {
        adopt(desc->parent, arena);
    } else {
        rp_outside_name(arena_base(arena), desc->memory);
    }
}

static void first_chunk_undo(const rp_arena_desc *desc, rp_zone zone, arena_chunk *chunk)
{
    if (desc->memory) {
        rp_outside_release(zone, desc->memory);
    } else if (!desc->parent) {
        rp_region_block_free(chunk);
    }
}

rp_arena *rp_arena_make(const rp_arena_desc *desc, allocator_kind kind)
{
    if (!is_fit(desc)) {
        fail_memory(desc);
        return NULL;
    }
    rp_zone zone = desc->parent ? (rp_zone)arena_base(desc->parent)->zone : desc->zone;
    arena_chunk *chunk = first_chunk(desc, zone);
    if (!chunk) {
        return NULL;
    }
    rp_arena *arena = (rp_arena *)(void *)chunk->start;
    rp_status status = RP_E_MEMORY;
    if (desc->cap_bytes && !desc->memory && block_bytes(chunk) > desc->cap_bytes) {
        rp_fail(status,
                "arena %s: cannot be made: its first chunk has %zu bytes, which is over "
                "its cap of %zu: raise the cap",
                desc->name ? desc->name : "unnamed", block_bytes(chunk), desc->cap_bytes);
    } else {
        status = rp_allocator_register(arena_base(arena), kind, zone, desc->name);
    }
    if (status != RP_OK) {
        first_chunk_undo(desc, zone, chunk);
        return NULL;
    }
    fill(arena, chunk, desc);
    return arena;
}

rp_arena *rp_arena_create(const rp_arena_desc *desc)
{
    return rp_arena_make(desc, KIND_ARENA);
}

/* ---- ending ---- */

static void chunks_give_after(rp_arena *arena, arena_chunk *chunk)
{
    arena_chunk *next = chunk->next;
    chunk->next = NULL;
    while (next) {
        arena_chunk *given = next;
        next = next->next;
        chunk_give(arena, given);
    }
}

/* Ends the children that were made after the mark with the serial, and theirs. */
static void children_end(rp_arena *arena, uint64_t serial)
{
    arena_rest *rest = rest_of(arena);
    while (rest->children && rest_of(rest->children)->born >= serial) {
        rp_arena *child = rest->children;
        rest->children = rest_of(child)->sibling;
        children_end(child, 0);
        chunks_give_after(child, rest_of(child)->first);
        rp_allocator_unregister(arena_base(child));
    }
}

static void leave_parent(rp_arena *arena)
{
    rp_arena **place = (rp_arena **)&rest_of(rest_of(arena)->parent)->children;
    while (*place != arena) {
        RP_ASSERT(*place);
        place = &rest_of(*place)->sibling;
    }
    *place = rest_of(arena)->sibling;
}

void rp_arena_op_destroy(rp_allocator *allocator)
{
    rp_arena *arena = arena_of(allocator);
    const arena_rest *rest = rest_of(arena);
    children_end(arena, 0);
    chunks_give_after(arena, rest->first);
    if (rest->parent) {
        leave_parent(arena);
    }
    rp_allocator_unregister(allocator);
    if (rest->memory) {
        rp_outside_release((rp_zone)allocator->zone, rest->memory);
    } else if (!rest->parent) {
        rp_region_block_free(rest->first);
    }
}

void rp_arena_dissolve(rp_arena *arena, void (*give)(void *block, void *context), void *context)
{
    arena_rest *rest = rest_of(arena);
    RP_ASSERT(!rest->parent && !rest->memory);
    children_end(arena, 0);
    rp_allocator_unregister(arena_base(arena));
    for (arena_chunk *chunk = rest->first->next, *next; chunk; chunk = next) {
        next = chunk->next;
        give(chunk, context);
    }
    give(rest->first, context);
}

/* ---- marks ---- */

enum { DEPTH_BITS = 16 };

/* A mark's serial and its depth, so that an outer mark whose place a deeper one took is told from
 * one that has ended. */
static uint64_t mark_key(uint64_t serial, uint32_t depth)
{
    return serial << DEPTH_BITS | (depth & ((1u << DEPTH_BITS) - 1));
}

rp_arena_mark rp_arena_mark_get(rp_arena *arena)
{
    arena_rest *rest = rest_of(arena);
    rp_allocator_check(arena_base(arena));
    rest->serial++;
    rest->marks[rest->depth % SERIALS_KEPT] = mark_key(rest->serial, rest->depth);
    return (rp_arena_mark){
        .at = arena->at_,
        .chunk = rest->current,
        .serial = rest->serial,
        .depth = rest->depth++,
        .arena = arena_base(arena)->id,
    };
}

/* Of more than SERIALS_KEPT open marks the outer ones are known by their depth alone, also once the
 * inner ones have ended. */
static void mark_check(const rp_arena *arena, const rp_arena_mark *mark)
{
    const arena_rest *rest = rest_of(arena);
    const char *name = arena_base(arena)->name;
    if (mark->arena != arena_base(arena)->id) {
        rp_region_die("arena %s: release of a mark of another arena: a mark belongs to the arena "
                      "that it was got from",
                      name);
    }
    uint64_t key = rest->marks[mark->depth % SERIALS_KEPT], same_depth = mark_key(0, mark->depth);
    bool kept = mark_key(0, (uint32_t)key) == same_depth;
    if (mark->depth >= rest->depth || (kept && key != mark_key(mark->serial, mark->depth))) {
        rp_region_die("arena %s: release of mark %llu, which has ended: it, or one from before it, "
                      "was released, or the arena was reset: release marks in the opposite order",
                      name, (unsigned long long)mark->serial);
    }
}

static void go_back(rp_arena *arena, arena_chunk *chunk, uint8_t *at)
{
    rp_arena_note_peak(arena);
    for (arena_chunk *later = chunk->next; later; later = later->next) {
        later->left = later->start;
    }
    rest_of(arena)->current = chunk;
    arena->at_ = at;
    arena->end_ = chunk->end;
}

void rp_arena_release(rp_arena *arena, rp_arena_mark mark)
{
    rp_allocator_check(arena_base(arena));
    mark_check(arena, &mark);
    children_end(arena, mark.serial);
    rest_of(arena)->depth = mark.depth;
    go_back(arena, mark.chunk, mark.at);
}

void rp_arena_reset(rp_arena *arena)
{
    arena_rest *rest = rest_of(arena);
    rp_allocator_check(arena_base(arena));
    children_end(arena, 0);
    rest->depth = 0;
    go_back(arena, rest->first, rest->first->start);
}

void rp_arena_trim(rp_arena *arena)
{
    rp_allocator_check(arena_base(arena));
    chunks_give_after(arena, rest_of(arena)->current);
}

/* ---- pushes that are more than moving a pointer ---- */

void *rp_arena_push_array_at(rp_arena *arena, size_t count, size_t size_bytes, size_t align_bytes)
{
    size_t total;
    if (!rp_mul_size(count, size_bytes, &total)) {
        rp_fail(RP_E_MEMORY,
                "arena %s: no room for %zu times %zu bytes: the product does not fit: ask for less",
                arena_base(arena)->name, count, size_bytes);
        return NULL;
    }
    return rp_arena_push_zeroed(arena, total, align_bytes);
}

char *rp_arena_push_text(rp_arena *arena, const char *text, size_t length)
{
    char *copy = length < SIZE_MAX ? rp_arena_push(arena, length + 1, 1) : NULL;
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = 0;
    }
    return copy;
}

char *rp_arena_push_format(rp_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : rp_arena_push(arena, (size_t)length + 1, 1);
    if (text) {
        va_start(arguments, format);
        vsnprintf(text, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    return text;
}

void rp_arena_stats_get(const rp_arena *arena, rp_arena_stats *stats)
{
    const arena_rest *rest = rest_of(arena);
    rp_allocator_check(arena_base(arena));
    *stats = (rp_arena_stats){.used_bytes = rp_arena_used_bytes(arena),
                              .taken_bytes = rest->taken_bytes,
                              .mark_depth = rest->depth,
                              .ignored_frees = rest->ignored_frees};
    for (const arena_chunk *chunk = rest->first; chunk; chunk = chunk->next) {
        stats->chunk_count++;
    }
}
