/* Boundary tags: see the header for the shape.
 *
 * A block that is freed keeps its tag with the state FREE, also where the block before swallows it,
 * so a second free of it is told from a free of something that never was a block.
 */
#include "alloc/tagged.h"

#include "base/assert.h"
#include "base/bits.h"

#include <string.h>

#define STATE_LIVE UINT32_C(0x4c4956b1)
#define STATE_FREE UINT32_C(0x465245b3)
#define STATE_END UINT32_C(0x454e44b5)

enum { LEAST_GRANULES = 2, EXACT_BINS = 8, QUICK_LOOKS = 4 };

/* The payload of a free block. */
typedef struct free_links {
    uint32_t next, previous; /* as in bins */
    uint64_t check;
} free_links;

_Static_assert(sizeof(tagged_block) == TAGGED_GRANULE, "a tag is one granule");
_Static_assert(sizeof(free_links) <= (LEAST_GRANULES - 1) * TAGGED_GRANULE, "links fit");

/* ---- tags ---- */

/* Mixes two words; no secret, only against accidents. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ b ^ x >> 32) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 29;
}

static uint32_t check_of(const tagged_heap *heap, const tagged_block *tag)
{
    uint64_t lengths = (uint64_t)tag->granules << 32 | tag->before;
    return (uint32_t)mix((uintptr_t)tag + tag->state + ((uint64_t)heap->round << 48), lengths);
}

static void tag_write(const tagged_heap *heap, tagged_block *tag, uint32_t granules,
                      uint32_t before, uint32_t state)
{
    *tag = (tagged_block){granules, before, state, 0};
    tag->check = check_of(heap, tag);
}

static void *payload_of(const tagged_block *tag)
{
    return (void *)(uintptr_t)(tag + 1);
}

static tagged_block *after(const tagged_block *tag)
{
    return (tagged_block *)(uintptr_t)(tag + tag->granules);
}

static size_t usable_of(const tagged_block *tag)
{
    return (size_t)(tag->granules - 1) * TAGGED_GRANULE;
}

/* Whether an intact tag stands there; any address may be asked about. */
static bool is_tag(const tagged_heap *heap, const tagged_block *tag)
{
    uintptr_t at = (uintptr_t)tag;
    return at >= (uintptr_t)heap->first && at <= (uintptr_t)heap->end && at % TAGGED_GRANULE == 0 &&
           tag->check == check_of(heap, tag);
}

static _Noreturn void die(const tagged_heap *heap, rp_misuse_kind kind, const void *address,
                          const char *what)
{
    rp_misuse(kind, heap->owner, address, what, NULL);
}

static tagged_block *intact(const tagged_heap *heap, tagged_block *tag)
{
    if (!is_tag(heap, tag)) {
        die(heap, RP_MISUSE_OVERWRITTEN, payload_of(tag), "check");
    }
    return tag;
}

/* What is wrong with a pointer that no live block's tag precedes. */
static rp_misuse_kind diagnose(const tagged_heap *heap, const void *block)
{
    const tagged_block *tag = heap->first;
    for (; tag != heap->end && is_tag(heap, tag); tag = after(tag)) {
        if (block >= (const void *)tag && block < (const void *)after(tag)) {
            return tag->state == STATE_LIVE ? RP_MISUSE_INSIDE : RP_MISUSE_NO_BLOCK;
        }
    }
    return tag == heap->end ? RP_MISUSE_FOREIGN : RP_MISUSE_OVERWRITTEN;
}

static tagged_block *live_or_die(const tagged_heap *heap, void *block, const char *what)
{
    tagged_block *tag = (tagged_block *)block - 1;
    if (!is_tag(heap, tag)) {
        die(heap, diagnose(heap, block), block, what);
    }
    if (tag->state != STATE_LIVE) {
        die(heap, tag->state == STATE_FREE ? RP_MISUSE_DOUBLE_FREE : RP_MISUSE_NO_BLOCK, block,
            what);
    }
    return tag;
}

/* ---- bins ---- */

static uint32_t bin_of(uint32_t granules)
{
    if (granules < EXACT_BINS) {
        return granules;
    }
    unsigned log2 = rp_log2(granules); /* at least 3 */
    return EXACT_BINS + (log2 - 3) * 4 + (granules >> (log2 - 2) & 3);
}

/* The first bin all of whose blocks have that many granules. */
static uint32_t bin_above(uint32_t granules)
{
    uint32_t round = granules < EXACT_BINS ? 0 : (UINT32_C(1) << (rp_log2(granules) - 2)) - 1;
    return granules > UINT32_MAX - round ? TAGGED_BINS_MOST : bin_of(granules + round);
}

static free_links *links_of(const tagged_block *tag)
{
    return payload_of(tag);
}

static uint64_t links_check(const free_links *links)
{
    return mix((uintptr_t)links, (uint64_t)links->next << 32 | links->previous);
}

static tagged_block *block_at(const tagged_heap *heap, uint32_t place)
{
    return place ? heap->first + (place - 1) : NULL;
}

static uint32_t place_of(const tagged_heap *heap, const tagged_block *tag)
{
    return tag ? (uint32_t)(tag - heap->first) + 1 : 0;
}

/* A free block met on a list. It is read before it is believed. */
static free_links *links_or_die(const tagged_heap *heap, const tagged_block *tag)
{
    free_links *links = links_of(tag);
    if (!is_tag(heap, tag) || tag->state != STATE_FREE) {
        die(heap, RP_MISUSE_OVERWRITTEN, links, "check");
    }
    if (links->check != links_check(links)) {
        die(heap, RP_MISUSE_WRITTEN_AFTER_FREE, links, "check");
    }
    return links;
}

static void links_write(const tagged_block *tag, uint32_t next, uint32_t previous)
{
    free_links *links = links_of(tag);
    *links = (free_links){next, previous, 0};
    links->check = links_check(links);
}

static void bin_push(tagged_heap *heap, tagged_block *tag)
{
    uint32_t bin = bin_of(tag->granules), place = place_of(heap, tag), next = heap->bins[bin];
    if (next) {
        tagged_block *other = block_at(heap, next);
        links_write(other, links_or_die(heap, other)->next, place);
    }
    links_write(tag, next, 0);
    heap->bins[bin] = place;
    heap->mask[bin / 64] |= UINT64_C(1) << (bin % 64);
}

static void bin_remove(tagged_heap *heap, tagged_block *tag)
{
    const free_links links = *links_or_die(heap, tag);
    uint32_t bin = bin_of(tag->granules);
    if (links.next) {
        tagged_block *next = block_at(heap, links.next);
        links_write(next, links_or_die(heap, next)->next, links.previous);
    }
    if (links.previous) {
        tagged_block *previous = block_at(heap, links.previous);
        links_write(previous, links.next, links_or_die(heap, previous)->previous);
        return;
    }
    heap->bins[bin] = links.next;
    if (!links.next) {
        heap->mask[bin / 64] &= ~(UINT64_C(1) << (bin % 64));
    }
}

/* The first block of a bin, of at most `looks`, that is large enough. */
static tagged_block *bin_fit(const tagged_heap *heap, uint32_t bin, uint32_t granules,
                             uint32_t looks)
{
    for (uint32_t place = heap->bins[bin]; place && looks; looks--) {
        tagged_block *tag = block_at(heap, place);
        place = links_or_die(heap, tag)->next;
        if (tag->granules >= granules) {
            return tag;
        }
    }
    return NULL;
}

static tagged_block *fit(const tagged_heap *heap, uint32_t granules)
{
    uint32_t own = bin_of(granules), above = bin_above(granules);
    bool own_is_there = heap->mask[own / 64] >> (own % 64) & 1;
    tagged_block *found = own_is_there ? bin_fit(heap, own, granules, QUICK_LOOKS) : NULL;
    for (uint32_t word = above / 64; !found && word < RP_COUNT_OF(heap->mask); word++) {
        uint64_t mask = heap->mask[word];
        if (word == above / 64) {
            mask &= ~UINT64_C(0) << (above % 64);
        }
        if (mask) {
            uint32_t bin = word * 64 + (uint32_t)__builtin_ctzll(mask);
            found = bin_fit(heap, bin, granules, 1);
        }
    }
    return found || !own_is_there ? found : bin_fit(heap, own, granules, UINT32_MAX);
}

/* ---- taking and giving ---- */

/* Writes a tag and tells the block behind it how long this one is. */
static void block_write(const tagged_heap *heap, tagged_block *tag, uint32_t granules,
                        uint32_t before, uint32_t state)
{
    tagged_block *next = intact(heap, tag + granules);
    tag_write(heap, tag, granules, before, state);
    tag_write(heap, next, next->granules, granules, next->state);
}

/* Makes the granules behind the first `granules` of a block, which is in no bin, a free block,
 * joined with a free one behind it. */
static void split(tagged_heap *heap, tagged_block *tag, uint32_t granules)
{
    uint32_t rest = tag->granules - granules;
    tagged_block *next = intact(heap, after(tag)), *tail = tag + granules;
    if (next->state == STATE_FREE) {
        bin_remove(heap, next);
        rest += next->granules;
    } else if (rest < LEAST_GRANULES) {
        return;
    }
    tag_write(heap, tag, granules, tag->before, tag->state);
    block_write(heap, tail, rest, granules, STATE_FREE);
    bin_push(heap, tail);
}

static void count_live(tagged_heap *heap, const tagged_block *tag)
{
    heap->live_count++;
    heap->live_bytes += usable_of(tag);
    heap->peak_bytes = rp_max_size(heap->peak_bytes, heap->live_bytes);
}

/* Frees the part of a block before the granule at which an aligned payload begins. The block before
 * is live, as two free ones never stand in a row. */
static tagged_block *align_front(tagged_heap *heap, tagged_block *tag, size_t align_bytes)
{
    uintptr_t start = (uintptr_t)payload_of(tag), at = rp_align_up(start, align_bytes);
    if (at == start) {
        return tag;
    }
    if (at - start < LEAST_GRANULES * TAGGED_GRANULE) {
        at += align_bytes;
    }
    uint32_t front = (uint32_t)((at - start) / TAGGED_GRANULE), all = tag->granules;
    tagged_block *aligned = tag + front;
    block_write(heap, aligned, all - front, front, STATE_FREE);
    tag_write(heap, tag, front, tag->before, STATE_FREE);
    bin_push(heap, tag);
    return aligned;
}

/* 0 where no heap could hold it. */
static uint32_t granules_for(size_t size_bytes)
{
    if (size_bytes > TAGGED_MOST_BYTES) {
        return 0;
    }
    uint64_t granules = (size_bytes + 2 * TAGGED_GRANULE - 1) / TAGGED_GRANULE;
    return granules > UINT32_MAX ? 0 : (uint32_t)rp_max_size(granules, LEAST_GRANULES);
}

void *rp_tagged_alloc(tagged_heap *heap, size_t size_bytes, size_t align_bytes)
{
    uint32_t granules = granules_for(size_bytes), extra = 0;
    if (align_bytes > TAGGED_GRANULE) {
        extra = (uint32_t)(align_bytes / TAGGED_GRANULE) + LEAST_GRANULES;
    }
    if (!granules || granules > UINT32_MAX - extra ||
        bin_of(granules + extra) >= TAGGED_BINS_MOST) {
        return NULL;
    }
    tagged_block *tag = fit(heap, granules + extra);
    if (!tag) {
        return NULL;
    }
    bin_remove(heap, tag);
    tag = align_front(heap, tag, align_bytes);
    tag_write(heap, tag, tag->granules, tag->before, STATE_LIVE);
    split(heap, tag, granules);
    count_live(heap, tag);
    return payload_of(tag);
}

void rp_tagged_free(tagged_heap *heap, void *block)
{
    tagged_block *tag = live_or_die(heap, block, "free");
    uint32_t granules = tag->granules;
    tagged_block *next = intact(heap, after(tag));
    tagged_block *before = tag->before ? intact(heap, tag - tag->before) : NULL;
    heap->live_count--;
    heap->live_bytes -= usable_of(tag);
    tag_write(heap, tag, granules, tag->before, STATE_FREE);
    if (next->state == STATE_FREE) {
        bin_remove(heap, next);
        granules += next->granules;
    }
    if (before && before->state == STATE_FREE) {
        bin_remove(heap, before);
        granules += before->granules;
        tag = before;
    }
    block_write(heap, tag, granules, tag->before, STATE_FREE);
    bin_push(heap, tag);
}

bool rp_tagged_resize(tagged_heap *heap, void *block, size_t size_bytes)
{
    tagged_block *tag = live_or_die(heap, block, "resize");
    tagged_block *next = intact(heap, after(tag));
    uint32_t wanted = granules_for(size_bytes), have = tag->granules;
    if (wanted > have && next->state == STATE_FREE && next->granules >= wanted - have) {
        bin_remove(heap, next);
        have += next->granules;
    }
    if (!wanted || wanted > have) {
        return false;
    }
    heap->live_bytes -= usable_of(tag);
    heap->live_count--;
    if (have != tag->granules) {
        block_write(heap, tag, have, tag->before, STATE_LIVE);
    }
    split(heap, tag, wanted);
    count_live(heap, tag);
    return true;
}

size_t rp_tagged_usable(const tagged_heap *heap, const void *block)
{
    const tagged_block *tag = (const tagged_block *)block - 1;
    return is_tag(heap, tag) && tag->state == STATE_LIVE ? usable_of(tag) : 0;
}

/* ---- the whole ---- */

void rp_tagged_init(tagged_heap *heap, const rp_allocator *owner, void *memory, size_t size_bytes)
{
    RP_ASSERT(size_bytes >= TAGGED_LEAST_BYTES && size_bytes <= TAGGED_MOST_BYTES);
    size_t all = size_bytes / TAGGED_GRANULE;
    uint32_t bin_count = bin_of((uint32_t)rp_min_size(all, UINT32_MAX)) + 1;
    size_t bins_bytes = rp_align_up(bin_count * sizeof(uint32_t), TAGGED_GRANULE);
    *heap = (tagged_heap){.owner = owner, .bins = memory, .round = heap->round + 1};
    memset(memory, 0, bins_bytes);
    heap->first = (tagged_block *)((uintptr_t)memory + bins_bytes);
    uint32_t granules = (uint32_t)(all - bins_bytes / TAGGED_GRANULE - 1);
    heap->end = heap->first + granules;
    tag_write(heap, heap->end, 0, granules, STATE_END);
    tag_write(heap, heap->first, granules, 0, STATE_FREE);
    bin_push(heap, heap->first);
}

int rp_tagged_walk(const tagged_heap *heap,
                   int (*visit)(void *block, size_t size_bytes, void *context), void *context)
{
    int result = 0;
    for (tagged_block *tag = heap->first; tag != heap->end && !result; tag = after(tag)) {
        if (intact(heap, tag)->state == STATE_LIVE) {
            result = visit(payload_of(tag), usable_of(tag), context);
        }
    }
    return result;
}

const void *rp_tagged_damage(const tagged_heap *heap)
{
    const tagged_block *tag = heap->first;
    for (uint32_t before = 0; tag != heap->end; tag = after(tag)) {
        const free_links *links = links_of(tag);
        bool good = is_tag(heap, tag) && tag->before == before && tag->granules >= LEAST_GRANULES &&
                    tag->granules <= (size_t)(heap->end - tag);
        if (!good || (tag->state == STATE_FREE && links->check != links_check(links))) {
            return links;
        }
        before = tag->granules;
    }
    return is_tag(heap, tag) ? NULL : tag;
}

size_t rp_tagged_largest(const tagged_heap *heap)
{
    size_t largest = 0;
    for (const tagged_block *tag = heap->first; tag != heap->end; tag = after(tag)) {
        if (tag->state == STATE_FREE) {
            largest = rp_max_size(largest, usable_of(tag));
        }
    }
    return largest;
}
