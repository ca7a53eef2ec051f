/* What an image says of its blocks is what the live world says of them. The image is this process,
 * read as a file, so that a wrong address is an error and no crash. */
#include "trace/image.h"

#include "trace/debug_fixture.h"

#include <fcntl.h>
#include <reprise/arena.h>
#include <reprise/page.h>
#include <reprise/slot.h>
#include <reprise/trace.h>
#include <stdlib.h>
#include <unistd.h>

static int memory_fd;

static bool read_memory(void *context, uint64_t address, void *to, size_t size_bytes)
{
    (void)context;
    return pread(memory_fd, to, size_bytes, (off_t)address) == (ssize_t)size_bytes;
}

static const rp_image image = {.read = read_memory, .base = RP_REGION_BASE};

static void image_open(const char *settings)
{
    debug_open(settings);
    memory_fd = open("/proc/self/mem", O_RDONLY);
    ck_assert_int_ge(memory_fd, 0);
}

static rp_image_block find(const void *address)
{
    rp_image_block block;
    rp_image_find(&image, (uint64_t)(uintptr_t)address, &block);
    return block;
}

static void expect(const void *address, rp_image_place place, bool live, const void *start,
                   size_t size_bytes)
{
    rp_image_block block = find(address);
    ck_assert_int_eq(block.place, place);
    ck_assert_int_eq(block.live, live);
    ck_assert_uint_eq(block.start, (uint64_t)(uintptr_t)start);
    ck_assert_uint_eq(block.size_bytes, size_bytes);
}

/* Every block of the heap, from its first to its last byte. */
static int same_block(void *block, size_t size_bytes, void *context)
{
    uint8_t *start = block;
    ++*(int *)context;
    expect(start, RP_IMAGE_BLOCK, true, start, size_bytes);
    expect(start + size_bytes / 2, RP_IMAGE_BLOCK, true, start, size_bytes);
    expect(start + size_bytes - 1, RP_IMAGE_BLOCK, true, start, size_bytes);
    return 0;
}

TEST(every_block_of_a_heap_is_found_as_the_heap_knows_it)
{
    static void *blocks[3000];
    image_open(NULL);
    uint64_t random = test_seed();
    rp_allocator *a = heap("plain");
    for (int i = 0; i < 20000; i++) {
        uint64_t r = test_random(&random);
        void **block = &blocks[r % 3000];
        rp_free(*block);
        *block = r >> 40 & 3 ? rp_alloc(a, r >> 20 & (r >> 44 & 31 ? 0x3ff : 0x7ffff)) : NULL;
    }
    int live = 0, count = 0;
    for (int i = 0; i < 3000; i++) {
        live += blocks[i] != NULL;
    }
    ck_assert_int_eq(rp_walk(a, same_block, &count), 0);
    ck_assert_int_eq(count, live);
    ck_assert_str_eq(find(blocks[0] ? blocks[0] : blocks[1]).name, "plain");
    rp_region_destroy();
}

TEST(a_freed_block_does_not_live)
{
    image_open(NULL);
    rp_allocator *a = heap("plain");
    void *kept = rp_alloc(a, 100), *freed = rp_alloc(a, 100), *large = rp_alloc(a, 1 << 20);
    rp_free(freed);
    expect(freed, RP_IMAGE_BLOCK, false, freed, rp_usable_bytes(kept));
    rp_free(large);
    ck_assert_int_eq(find(large).place, RP_IMAGE_FREE);
    rp_region_destroy();
}

TEST(a_tracked_block_says_its_size_scope_and_site)
{
    char text[128];
    image_open(NULL);
    rp_allocator *a = rp_trace_create(&(rp_heap_desc){.name = "tracked"});
    rp_scope level = rp_scope_begin("level"), physics = rp_scope_begin("physics");
    uint8_t *block = rp_alloc_at(a, 100, "solver.c:12 Body"),
            *large = rp_alloc_at(a, 1 << 20, "b.c:1");
    rp_scope_end(physics);
    rp_scope_end(level);
    expect(block + 99, RP_IMAGE_BLOCK, true, block, 100);
    expect(large + 70000, RP_IMAGE_BLOCK, true, large, 1 << 20);
    rp_image_block found = find(block);
    ck_assert(found.tracked);
    ck_assert_str_eq(found.name, "tracked");
    rp_image_site(&image, found.site, text, sizeof text);
    ck_assert_str_eq(text, "solver.c:12 Body");
    ck_assert(rp_image_scope_path(&image, found.scope, text, sizeof text));
    ck_assert_str_eq(text, "/level/physics");
    rp_free(block);
    ck_assert(!find(block).live);
    ck_assert_uint_eq(find(block).scope, found.scope);
    rp_region_destroy();
}

TEST(memory_of_allocators_that_look_into_it_themselves_is_theirs)
{
    image_open(NULL);
    rp_arena *arena = rp_arena_create(&(rp_arena_desc){.name = "frame"});
    rp_slots *slots = rp_slots_create(&(rp_slots_desc){.name = "bullets", .slot_bytes = 48});
    void *pushed = rp_arena_push(arena, 100, 16), *slot = rp_slot_alloc(slots);
    uint8_t *pages = rp_pages_alloc(RP_ZONE_WORLD, 10000, RP_PAGES_GUARD_BEFORE);
    ck_assert_int_eq(find(pushed).place, RP_IMAGE_RUN);
    ck_assert_str_eq(find(pushed).name, "frame");
    ck_assert_int_eq(find(slot).place, RP_IMAGE_RUN);
    ck_assert_str_eq(find(slot).name, "bullets");
    ck_assert_int_eq(find(pages + 9999).place, RP_IMAGE_BLOCK);
    ck_assert_uint_eq(find(pages).start, (uint64_t)(uintptr_t)pages);
    ck_assert_int_eq(find((void *)RP_REGION_BASE).place, RP_IMAGE_BOOKS);
    ck_assert_int_eq(find(&image).place, RP_IMAGE_OUTSIDE);
    rp_region_destroy();
}

/* ---- hostile ---- */

static uint64_t random_state;

static bool read_damaged(void *context, uint64_t address, void *to, size_t size_bytes)
{
    uint32_t one_in = *(const uint32_t *)context;
    if (!read_memory(NULL, address, to, size_bytes)) {
        return false;
    }
    for (size_t i = 0; i < size_bytes; i++) {
        uint64_t r = test_random(&random_state);
        ((uint8_t *)to)[i] ^= r % one_in == 0 ? (uint8_t)(r >> 40) : 0;
    }
    return true;
}

TEST(damaged_images_say_something_and_do_no_harm)
{
    image_open("*=trace");
    random_state = test_seed();
    rp_scope level = rp_scope_begin("level");
    rp_allocator *a = heap("tracked"), *b = rp_trace_create(&(rp_heap_desc){.name = "more"});
    uint8_t *blocks[] = {rp_alloc_at(a, 100, "a.c:1 Body"), rp_alloc(b, 30), rp_alloc(a, 300000)};
    rp_scope_end(level);
    for (uint32_t one_in = 3; one_in < 3000; one_in += one_in / 64 + 1) {
        rp_image damaged = {.context = &one_in, .read = read_damaged, .base = RP_REGION_BASE};
        for (size_t i = 0; i < RP_COUNT_OF(blocks); i++) {
            rp_image_block found;
            char text[128];
            rp_image_find(&damaged, (uint64_t)(uintptr_t)blocks[i] + 17, &found);
            if (found.place == RP_IMAGE_BLOCK || found.place == RP_IMAGE_RUN) {
                ck_assert_uint_ge(found.start, RP_REGION_BASE);
                ck_assert_uint_le(found.size_bytes, RP_REGION_RESERVE_BYTES);
            }
            rp_image_site(&damaged, found.site, text, sizeof text);
            rp_image_scope_path(&damaged, found.scope, text, sizeof text);
        }
    }
    rp_region_destroy();
}
