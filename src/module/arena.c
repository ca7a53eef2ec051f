/* A bump allocator over one reservation. Layer: module. */
#include "module/arena.h"

#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"

#define COMMIT_STEP_BYTES RP_KIB(256)

rp_status rp_arena_init(module_arena *arena, size_t limit_bytes)
{
    size_t reserved = (size_t)rp_align_up(limit_bytes, COMMIT_STEP_BYTES);
    *arena = (module_arena){.base = rp_os_vm_reserve(reserved), .reserved = reserved};
    return arena->base ? RP_OK : rp_error_last()->status;
}

void rp_arena_finish(module_arena *arena)
{
    if (arena->base) {
        rp_os_vm_release(arena->base, arena->reserved);
    }
    *arena = (module_arena){0};
}

static rp_status commit_up_to(module_arena *arena, size_t end)
{
    if (end <= arena->committed) {
        return RP_OK;
    }
    size_t step = (size_t)rp_align_up(end - arena->committed, COMMIT_STEP_BYTES);
    rp_status status = rp_os_vm_commit(arena->base + arena->committed, step);
    arena->committed += status == RP_OK ? step : 0;
    return status;
}

static rp_status make_room(module_arena *arena, size_t count, size_t size_bytes, size_t *end)
{
    size_t bytes;
    if (!rp_mul_size(count, size_bytes, &bytes) || bytes > arena->reserved - arena->used) {
        return rp_fail(RP_E_MEMORY,
                       "build: its tables need more memory than was reserved for them: "
                       "make the module smaller");
    }
    *end = rp_min_size((size_t)rp_align_up(arena->used + bytes, 16), arena->reserved);
    return commit_up_to(arena, *end);
}

void *rp_arena_take(module_arena *arena, size_t count, size_t size_bytes)
{
    size_t end = arena->used;
    rp_status status = make_room(arena, count, size_bytes, &end);
    if (status != RP_OK) {
        arena->failure = status;
        return NULL;
    }
    void *taken = arena->base + arena->used;
    arena->used = end;
    return taken;
}
