/* A function that a thread calls when it ends. Layer: os. */
#include "os/os.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static void (*at_exit)(void);

static void call(void *value)
{
    (void)value;
    __atomic_load_n(&at_exit, __ATOMIC_ACQUIRE)();
}

static void make_key(void)
{
    pthread_key_create(&key, call);
}

void rp_os_thread_on_exit(void (*function)(void))
{
    __atomic_store_n(&at_exit, function, __ATOMIC_RELEASE);
    pthread_once(&once, make_key);
    pthread_setspecific(key, &at_exit); /* any value but null */
}
