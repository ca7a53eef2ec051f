/* What the tests in C++ need of the C side: the region, and copies of it.
 *
 * Headers below include/reprise are C alone, so world.c stands between.
 */
#ifndef TESTS_CXX_WORLD_H
#define TESTS_CXX_WORLD_H

#include <reprise/memory.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opens the region, and with it the debug side; a failure fails the test. */
void world_open(void);
void world_close(void);
rp_allocator *world_heap(const char *name, size_t cap_bytes);

typedef struct world_copy world_copy;
world_copy *world_save(void);
void world_restore(const world_copy *copy);
int world_equals(const world_copy *copy);
void world_drop(world_copy *copy);

uint64_t world_region_start(void);
uint64_t world_region_reserve_bytes(void);

#ifdef __cplusplus
}
#endif
#endif
