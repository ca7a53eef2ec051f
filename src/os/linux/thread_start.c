/* Threads of our own, and waiting for a word to change. */
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/os.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(pthread_t) <= sizeof(uintptr_t), "a thread's id fits its place");

static void *run(void *argument)
{
    rp_os_thread *thread = argument;
    thread->function(thread->context);
    return NULL;
}

/* The process's signals are for the threads that it had: a handler may expect their stacks. */
static int create(pthread_t *id, rp_os_thread *thread)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = RP_OS_CALL(0) < 0 ? errno : pthread_create(id, NULL, run, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

rp_status rp_os_thread_start(rp_os_thread *thread, void (*function)(void *), void *context)
{
    pthread_t id;
    *thread = (rp_os_thread){.function = function, .context = context};
    int code = create(&id, thread);
    if (code) {
        return rp_fail_system(RP_E_SYSTEM, code,
                              "thread: not started: see the limit of processes (RLIMIT_NPROC) and "
                              "free memory");
    }
    thread->id = (uintptr_t)id;
    return RP_OK;
}

void rp_os_thread_join(rp_os_thread *thread)
{
    pthread_join((pthread_t)thread->id, NULL);
    *thread = (rp_os_thread){0};
}

void rp_os_wait(volatile uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / UINT64_C(1000000000)),
                               .tv_nsec = (long)(timeout_ns % UINT64_C(1000000000))};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &timeout, NULL, 0);
}

void rp_os_wake(volatile uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}
