/* Telling of accesses to memory that was made unreadable, before the signal takes its way.
 *
 * `told` and `at_exit` belong to the process: it has one handler of SIGSEGV. */
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/linux/track_private.h"
#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

static _Atomic(rp_os_denied_fn *) told;
static void *_Atomic told_context;
static _Atomic(rp_os_exit_fn *) at_exit;

/* The error code of a page fault. */
enum { FAULT_WRITE = 2, FAULT_FETCH = 16 };

void rp_os_denied_tell(uintptr_t address, uint64_t pc, uint64_t error_code)
{
    rp_os_denied_fn *tell = atomic_load(&told);
    rp_os_denied_access access = {
        .address = (const void *)address,
        .pc = pc,
        .is_write = error_code & FAULT_WRITE,
    };
    if (tell && !(error_code & FAULT_FETCH)) {
        tell(atomic_load(&told_context), &access);
    }
}

rp_status rp_os_denied_watch(rp_os_denied_fn *tell, void *context)
{
    rp_status status = rp_os_handler_take(SIGSEGV);
    if (status == RP_OK) {
        atomic_store(&told_context, context);
        atomic_store(&told, tell);
    }
    return status;
}

void rp_os_denied_renew(void)
{
    rp_os_handler_renew(SIGSEGV);
}

void rp_os_denied_end(void)
{
    if (atomic_exchange(&told, NULL)) {
        rp_os_handler_drop(SIGSEGV);
    }
}

static void on_exit_call(void)
{
    rp_os_exit_fn *function = atomic_load(&at_exit);
    if (function) {
        function();
    }
}

rp_status rp_os_exit_set(rp_os_exit_fn *function)
{
    static atomic_int registered;
    if (function && !atomic_exchange(&registered, 1) && RP_OS_CALL(atexit(on_exit_call)) != 0) {
        atomic_store(&registered, 0);
        return rp_fail(RP_E_MEMORY, "process: no room for a function at its end: free memory");
    }
    atomic_store(&at_exit, function);
    return RP_OK;
}
