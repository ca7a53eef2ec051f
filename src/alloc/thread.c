/* What a thread knows of itself. */
#include "alloc/allocator.h"

/* In the thread's first block, as the loader would call malloc to make it otherwise. */
static _Thread_local rp_alloc_thread self __attribute__((tls_model("initial-exec")));

rp_alloc_thread *rp_alloc_thread_get(void)
{
    return &self;
}

void rp_alloc_thread_trace(int change)
{
    self.traced += (uint32_t)change;
    self.slot = self.traced ? 0 : self.place;
}
