/* An arena as an allocator: blocks with a head, so that their size is known. Layer: alloc.
 *
 *   pushed | padding to the alignment | block_head | block ... |
 */
#include "alloc/arena.h"
#include "base/bits.h"
#include "base/error.h"

enum { BLOCK_LIVE = 0x4c4c, BLOCK_FREED = 0x4646 };
#define SIZE_MASK ((UINT64_C(1) << 40) - 1) /* the region has 2^38 bytes */
#define LEAD_MASK ((UINT64_C(1) << 24) - 1)

typedef struct block_head {
    uint64_t size_bytes : 40;
    uint64_t lead_bytes : 24; /* from where the arena stood to the block */
    uint16_t arena;           /* id: the unit may be an arena's that this one is a child of */
    uint16_t state;
    uint32_t check;
} block_head;

_Static_assert(sizeof(block_head) == 16, "the header's promise");

static uint32_t check_of(const block_head *head)
{
    uint64_t sizes = (uint64_t)head->size_bytes << 24 | head->lead_bytes;
    uint64_t rest = (uint64_t)head->arena << 48 | (uint64_t)head->state << 32;
    uint64_t x = (uintptr_t)head ^ rest ^ sizes * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(x * UINT64_C(0xbf58476d1ce4e5b9) >> 32);
}

static void head_write(block_head *head, uint64_t size_bytes, uint16_t state)
{
    head->size_bytes = size_bytes & SIZE_MASK;
    head->state = state;
    head->check = check_of(head);
}

/* ---- finding ---- */

/* Whether the block and its head lie in the used part of a chunk. */
static bool is_used(const rp_arena *arena, const uint8_t *block)
{
    for (const arena_chunk *chunk = arena_rest_of(arena)->first; chunk; chunk = chunk->next) {
        const uint8_t *top = chunk->start + chunk_used(arena, chunk);
        if (block >= chunk->start + sizeof(block_head) && block <= top) {
            return true;
        }
    }
    return false;
}

typedef struct block_place {
    rp_arena *arena;
    block_head *head; /* null: no block of an arena */
} block_place;

/* A child's first chunk lies in its parent's unit, so the block's head says whose it is. The head
 * is read where it lies in memory that is in use, and believed where its check is right. */
static block_place place_of(const rp_allocator *allocator, const void *block)
{
    const uint8_t *at = block;
    block_head *head = (block_head *)(uintptr_t)block - 1;
    if ((uintptr_t)at % 16 || !is_used(arena_of(allocator), at) || head->check != check_of(head)) {
        return (block_place){0};
    }
    rp_allocator *owner = rp_allocator_by_id((rp_zone)allocator->zone, head->arena);
    bool arena = owner && (owner->kind == KIND_ARENA || owner->kind == KIND_TEMP);
    bool used = arena && is_used(arena_of(owner), at);
    return used ? (block_place){arena_of(owner), head} : (block_place){0};
}

static block_place live_or_die(const rp_allocator *allocator, void *block, const char *what)
{
    block_place place = place_of(allocator, block);
    if (!place.head) {
        rp_misuse(RP_MISUSE_NO_BLOCK, allocator, block, what, NULL);
    }
    if (place.head->state != BLOCK_LIVE) {
        rp_misuse(RP_MISUSE_DOUBLE_FREE, arena_base(place.arena), block, what, NULL);
    }
    return place;
}

static bool is_last(const block_place *place, const void *block)
{
    return (const uint8_t *)block + place->head->size_bytes == place->arena->at_;
}

/* ---- the functions ---- */

void *rp_arena_op_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes, bool zeroed)
{
    rp_arena *arena = arena_of(allocator);
    size_t lead = rp_max_size(align_bytes, sizeof(block_head)), total;
    if (__builtin_add_overflow(size_bytes, lead, &total)) {
        rp_fail(RP_E_MEMORY, "arena %s: no block of %zu bytes: it does not fit: ask for less",
                allocator->name, size_bytes);
        return NULL;
    }
    const arena_rest *rest = arena_rest_of(arena);
    const arena_chunk *stood_in = rest->current;
    const uint8_t *stood_at = arena->at_;
    uint8_t *pushed = rp_arena_push(arena, total, lead);
    if (!pushed) {
        return NULL;
    }
    uint8_t *block = pushed + lead;
    const uint8_t *from = rest->current == stood_in ? stood_at : rest->current->start;
    block_head *head = (block_head *)(void *)block - 1;
    head->arena = (uint16_t)allocator->id;
    head->lead_bytes = (uint64_t)(block - from) & LEAD_MASK;
    head_write(head, size_bytes, BLOCK_LIVE);
    return zeroed ? memset(block, 0, size_bytes) : block;
}

void rp_arena_op_free(rp_allocator *allocator, void *block)
{
    block_place place = live_or_die(allocator, block, "free");
    bool last = is_last(&place, block);
    head_write(place.head, place.head->size_bytes, BLOCK_FREED);
    if (last) {
        rp_arena_note_peak(place.arena);
        place.arena->at_ = (uint8_t *)block - place.head->lead_bytes;
    } else {
        arena_rest_of(place.arena)->ignored_frees++;
    }
}

bool rp_arena_op_resize(rp_allocator *allocator, void *block, size_t size_bytes)
{
    block_place place = live_or_die(allocator, block, "resize");
    size_t before = place.head->size_bytes;
    if (is_last(&place, block)) {
        if (size_bytes > (size_t)(place.arena->end_ - (uint8_t *)block)) {
            return false;
        }
        rp_arena_note_peak(place.arena);
        place.arena->at_ = (uint8_t *)block + size_bytes;
    } else if (size_bytes > before) {
        return false;
    }
    head_write(place.head, size_bytes, BLOCK_LIVE);
    return true;
}

size_t rp_arena_op_usable(const rp_allocator *allocator, const void *block)
{
    block_place place = place_of(allocator, block);
    return place.head && place.head->state == BLOCK_LIVE ? place.head->size_bytes : 0;
}

int rp_arena_op_walk(const rp_allocator *allocator,
                     int (*visit)(void *block, size_t size_bytes, void *context), void *context)
{
    const rp_arena *arena = arena_of(allocator);
    int result = 0;
    for (const arena_chunk *chunk = arena_rest_of(arena)->first; chunk && !result;
         chunk = chunk->next) {
        size_t used = chunk_used(arena, chunk);
        result = used ? visit(chunk->start, used, context) : 0;
    }
    return result;
}

static int count_part(void *block, size_t size_bytes, void *context)
{
    rp_alloc_stats *stats = context;
    (void)block;
    stats->live_count++;
    stats->live_bytes += size_bytes;
    return 0;
}

void rp_arena_op_stats(const rp_allocator *allocator, rp_alloc_stats *stats)
{
    const arena_rest *rest = arena_rest_of(arena_of(allocator));
    *stats = (rp_alloc_stats){.taken_bytes = rest->taken_bytes, .cap_bytes = rest->cap_bytes};
    rp_arena_op_walk(allocator, count_part, stats);
    stats->peak_bytes = rp_max_size(rest->peak_bytes, stats->live_bytes);
}

rp_allocator *rp_arena_allocator(rp_arena *arena)
{
    return arena_base(arena);
}

const rp_allocator_ops rp_arena_ops = {
    .name = "arena",
    .alloc = rp_arena_op_alloc,
    .free = rp_arena_op_free,
    .resize = rp_arena_op_resize,
    .usable = rp_arena_op_usable,
    .walk = rp_arena_op_walk,
    .stats = rp_arena_op_stats,
    .destroy = rp_arena_op_destroy,
};
