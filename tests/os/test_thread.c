/* Threads of the library's own: started, waited for, and not there in a forked child. */
#include "os/os.h"
#include "support/fault.h"
#include "support/test.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct meeting {
    volatile uint32_t word;
    bool all_blocked;
} meeting;

static void wait_for(volatile uint32_t *word, uint32_t value)
{
    for (uint32_t now; (now = __atomic_load_n(word, __ATOMIC_ACQUIRE)) != value;) {
        rp_os_word_wait(word, now, UINT64_MAX);
    }
}

static void say(volatile uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    rp_os_word_wake(word);
}

static void meet(void *argument)
{
    meeting *m = argument;
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    m->all_blocked =
        sigismember(&mask, SIGINT) && sigismember(&mask, SIGALRM) && sigismember(&mask, SIGUSR1);
    wait_for(&m->word, 1);
    say(&m->word, 2);
}

TEST(a_thread_waits_is_woken_answers_and_is_joined)
{
    meeting m = {0};
    rp_os_thread thread;
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    ck_ok(rp_os_thread_start(&thread, meet, &m));
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int signal = 1; signal < 32; signal++) {
        ck_assert_int_eq(sigismember(&before, signal), sigismember(&after, signal));
    }
    ck_assert(rp_os_thread_is_here(&thread));
    say(&m.word, 1);
    wait_for(&m.word, 2);
    rp_os_thread_join(&thread);
    ck_assert(m.all_blocked);
    ck_assert(!rp_os_thread_is_here(&thread));
    rp_os_thread_join(&thread); /* nothing to wait for */
}

TEST(a_forked_child_has_no_thread_and_does_not_wait_for_one)
{
    meeting m = {0};
    rp_os_thread thread;
    ck_ok(rp_os_thread_start(&thread, meet, &m));
    pid_t child = fork();
    if (child == 0) {
        bool here = rp_os_thread_is_here(&thread);
        rp_os_thread_join(&thread);
        _exit(here ? 1 : 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    say(&m.word, 1);
    rp_os_thread_join(&thread);
    ck_assert_uint_eq(m.word, 2);
}

static rp_status start_one(void *context)
{
    meeting *m = context;
    rp_os_thread thread;
    m->word = 1;
    rp_status status = rp_os_thread_start(&thread, meet, m);
    rp_os_thread_join(&thread);
    return status;
}

TEST(a_thread_that_cannot_be_made_is_told)
{
    meeting m;
    fault_each_call(start_one, &m, EAGAIN);
}

TEST(waiting_ends_at_its_deadline_and_does_not_begin_on_another_value)
{
    uint32_t word = 7;
    rp_os_word_wait(&word, 7, rp_os_monotonic_ns() + 1000000);
    rp_os_word_wait(&word, 8, UINT64_MAX);
}
