/* operator new and delete. libstdc++'s own would reach us through malloc; these save that step,
 * name the code that says `new` in reports, and pass on the sizes that the compiler knows. */
#include "preload/operators.h"
#include "preload/preload.h"

static inline void *operator_alloc(size_t align_bytes, size_t size_bytes, const void *caller)
{
    (void)caller;
    rp_allocator *world = preload_allocator();
    if (FAMILY_LIKELY(world && align_bytes == OPERATORS_ALIGN)) {
        return family_malloc(world, size_bytes);
    }
    return world && align_bytes <= FAMILY_ALIGN_MOST
               ? family_memalign(world, align_bytes, size_bytes)
               : next_memalign(align_bytes, size_bytes);
}

static inline void operator_free(void *block, size_t size_bytes, const void *caller)
{
    if (!FAMILY_LIKELY(rp_region_contains(block))) {
        if (block) {
            next_free(block, caller);
        }
    } else if (size_bytes == SIZE_MAX) {
        family_free(block);
    } else {
        family_free_sized(block, size_bytes);
    }
}
