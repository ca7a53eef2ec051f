/* A function that a thread calls when it ends. Layer: os. */
#include "os/os.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key; /* the process's keys may be used up */
static void (*at_exit)(void);

static void call(void *value)
{
    (void)value;
    __atomic_load_n(&at_exit, __ATOMIC_RELAXED)();
}

static void make_key(void)
{
    has_key = pthread_key_create(&key, call) == 0;
}

void rp_os_thread_on_exit(void (*function)(void))
{
    __atomic_store_n(&at_exit, function, __ATOMIC_RELAXED);
    pthread_once(&once, make_key);
    if (has_key) {
        pthread_setspecific(key, &at_exit); /* any value but null */
    }
}
