/* operator new and delete. libstdc++'s own would reach us through malloc; these save that step,
 * name the code that says `new` in reports, and pass on the sizes that the compiler knows. */
#include "preload/operators.h"
#include "preload/preload.h"

static inline void *operator_alloc(size_t align_bytes, size_t size_bytes, const void *caller)
{
    return align_bytes == OPERATORS_ALIGN ? preload_malloc(size_bytes, caller)
                                          : preload_memalign(align_bytes, size_bytes, caller);
}

static inline void operator_free(void *block, size_t size_bytes, const void *caller)
{
    preload_free(block, size_bytes, caller);
}
