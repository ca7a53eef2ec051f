/* Where a thread's stacks lie, without pthread_getattr_np, which allocates. */
#include "base/bits.h"
#include "os/linux/maps.h"
#include "os/os.h"

#include <errno.h>
#include <sys/resource.h>

/* The C library's: where the stack stood when the process began. */
extern void *__libc_stack_end;

/* The kernel maps nothing within RLIMIT_STACK of the stack's start (mmap_base in arch/x86/mm), as
 * the limit was at the process's start; so take the usual one at most. */
#define MAIN_STACK_BYTES RP_MIB(8)

static rp_os_extent main_stack(void)
{
    struct rlimit limit;
    size_t bytes = MAIN_STACK_BYTES;
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < bytes) {
        bytes = (size_t)limit.rlim_cur;
    }
    return (rp_os_extent){(uint8_t *)__libc_stack_end - bytes, bytes};
}

/* The C library puts the thread's control block at the top of its stack. */
static rp_os_extent thread_stack(void)
{
    uint8_t *top = __builtin_thread_pointer();
    rp_os_extent mapping;
    if (!rp_os_maps_find(top, &mapping)) {
        return (rp_os_extent){0};
    }
    return (rp_os_extent){mapping.start, (size_t)(top - mapping.start)};
}

void rp_os_stacks_of_thread(rp_os_extent stacks[2])
{
    int saved = errno;
    stacks[0] = main_stack();
    stacks[1] = thread_stack();
    errno = saved;
}
