#include "cxx/world.h"

#include "base/bits.h"
#include "support/snapshot.h"
#include "trace/trace.h"

struct world_copy {
    snapshot taken;
};

void world_open(void)
{
    ck_ok(rp_memory_open(&(rp_memory_desc){.reserve_bytes = RP_GIB(1)}));
}

void world_close(void)
{
    rp_memory_close();
}

rp_allocator *world_heap(const char *name, size_t cap_bytes)
{
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = name, .cap_bytes = cap_bytes});
    ck_assert_msg(heap, "%s", rp_error_last()->text);
    return heap;
}

world_copy *world_save(void)
{
    world_copy *copy = malloc(sizeof *copy);
    copy->taken = snapshot_take();
    return copy;
}

void world_restore(const world_copy *copy)
{
    snapshot_restore(&copy->taken);
}

int world_equals(const world_copy *copy)
{
    return snapshot_equals(&copy->taken);
}

void world_drop(world_copy *copy)
{
    snapshot_drop(&copy->taken);
    free(copy);
}

uint64_t world_region_start(void)
{
    return RP_REGION_BASE;
}

uint64_t world_region_reserve_bytes(void)
{
    return RP_REGION_RESERVE_BYTES;
}
