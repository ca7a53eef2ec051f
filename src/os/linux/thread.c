/* The lock in one word: 0 unlocked, 1 locked, 2 locked and perhaps waited for. It names no thread,
 * so a restored image of it means the same in every process. */
#include "base/assert.h"
#include "os/os.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { UNLOCKED, LOCKED, LOCKED_AND_AWAITED };

/* Shorter than a futex call costs; the sections under these locks are short. */
enum { SPINS = 100 };

/* Of this file: a call of a function that others can see is not inlined in a shared library. */
static inline bool try_take(volatile rp_os_lock *lock)
{
    rp_os_lock expected = UNLOCKED;
    return __atomic_compare_exchange_n(lock, &expected, LOCKED, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

bool rp_os_lock_try(volatile rp_os_lock *lock)
{
    return try_take(lock);
}

static bool spin(volatile rp_os_lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        if (__atomic_load_n(lock, __ATOMIC_RELAXED) == UNLOCKED && try_take(lock)) {
            return true;
        }
        __builtin_ia32_pause();
    }
    return false;
}

void rp_os_lock_take(volatile rp_os_lock *lock)
{
    if (try_take(lock) || spin(lock)) {
        return;
    }
    while (__atomic_exchange_n(lock, LOCKED_AND_AWAITED, __ATOMIC_ACQUIRE) != UNLOCKED) {
        /* Returns at once when the word is no longer 2. */
        syscall(SYS_futex, lock, FUTEX_WAIT_PRIVATE, LOCKED_AND_AWAITED, NULL, NULL, 0);
    }
}

void rp_os_lock_drop(volatile rp_os_lock *lock)
{
    rp_os_lock was = __atomic_exchange_n(lock, UNLOCKED, __ATOMIC_RELEASE);
    RP_ASSERT_DEBUG(was != UNLOCKED);
    if (was == LOCKED_AND_AWAITED) {
        syscall(SYS_futex, lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

void rp_os_word_wait(const volatile uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
    const uint64_t second_ns = 1000000000;
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / second_ns),
                                .tv_nsec = (long)(deadline_ns % second_ns)};
    /* Unlike FUTEX_WAIT it takes a moment, not a duration. */
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value,
            deadline_ns == UINT64_MAX ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

void rp_os_word_wake(volatile uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}
