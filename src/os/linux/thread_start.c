/* Threads of the library's own. */
#include "base/bits.h"
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define STACK_BYTES RP_KIB(256)

_Static_assert(sizeof(pthread_t) <= sizeof(uintptr_t), "a thread's id fits its place");

static void *run(void *argument)
{
    rp_os_thread *thread = argument;
    thread->function(thread->context);
    return NULL;
}

/* The calls of pthread return the error instead of setting errno. */
static int create(pthread_t *id, rp_os_thread *thread)
{
    pthread_attr_t attributes;
    if (RP_OS_CALL(0) < 0) {
        return errno;
    }
    int error = pthread_attr_init(&attributes);
    if (error) {
        return error;
    }
    error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (!error) {
        error = pthread_create(id, &attributes, run, thread);
    }
    pthread_attr_destroy(&attributes);
    return error;
}

rp_status rp_os_thread_start(rp_os_thread *thread, void (*function)(void *), void *context)
{
    sigset_t all, before;
    pthread_t id;
    *thread = (rp_os_thread){.function = function, .context = context};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a thread begins with its maker's mask */
    int error = create(&id, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        return rp_fail_system(RP_E_SYSTEM, error,
                              "thread: not started: see the limit of processes (RLIMIT_NPROC) and "
                              "free memory");
    }
    thread->id = (uintptr_t)id;
    thread->process = getpid();
    return RP_OK;
}

bool rp_os_thread_is_here(const rp_os_thread *thread)
{
    return thread->process && thread->process == getpid();
}

void rp_os_thread_join(rp_os_thread *thread)
{
    if (rp_os_thread_is_here(thread)) {
        pthread_join((pthread_t)thread->id, NULL);
    }
    *thread = (rp_os_thread){0};
}
