/* The moment that records carry. Layer: trace. */
#include "trace/trace.h"

static uint64_t now; /* one in a process: told again at each frame */

void rp_trace_frame_set(uint64_t frame)
{
    __atomic_store_n(&now, frame, __ATOMIC_RELAXED);
}

uint64_t rp_trace_frame(void)
{
    return __atomic_load_n(&now, __ATOMIC_RELAXED);
}
