/* The rungs that take signals: what is theirs is let through on every thread, and what is not comes
 * to the program's own handler as if they were not there. Holding memory while it is copied. */
#include "os/linux/fault.h"
#include "os/tracked.h"
#include "support/child.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static tracked tracked_by(rp_os_rung rung, size_t page_count)
{
    static const char *const names[] = {"wp-async", "wp-sigbus", "mprotect"};
    setenv("RP_RUNG", names[rung], 1);
    return tracked_pages(page_count, TRACKED_POPULATED);
}

/* ---- other faults ---------------------------------------------------------------------------- */

static int touches_null(void *context)
{
    volatile int *nowhere = NULL;
    tracked t = tracked_by(*(rp_os_rung *)context, 4);
    t.start[0] = 1;
    *nowhere = 1;
    return 0;
}

static int stores_into_a_guard(void *context)
{
    tracked t = tracked_by(*(rp_os_rung *)context, 4);
    ck_ok(rp_os_vm_guard(t.start + PAGE, PAGE));
    t.start[0] = 1;
    t.start[2 * PAGE] = 1;
    t.start[PAGE] = 1;
    return 0;
}

static int stores_into_a_heavy_guard(void *context)
{
#ifdef RP_FAULTS
    rp_os_fault_hide_light_guards();
    return stores_into_a_guard(context);
#else
    return touches_null(context);
#endif
}

static int stores_into_read_only_pages(void *context)
{
    tracked t = tracked_by(*(rp_os_rung *)context, 4);
    ck_ok(rp_os_vm_protect(t.start + PAGE, PAGE, RP_OS_READ));
    t.start[0] = 1;
    t.start[PAGE] = 1;
    return 0;
}

static int runs_its_data(void *context)
{
    tracked t = tracked_by(*(rp_os_rung *)context, 4);
    void (*function)(void);
    *(void **)&function = t.start;
    function();
    return 0;
}

TEST(other_faults_end_the_program_as_they_would_without)
{
    int (*const bodies[])(void *) = {touches_null, stores_into_a_guard, stores_into_a_heavy_guard,
                                     stores_into_read_only_pages, runs_its_data};
    for (rp_os_rung rung = RP_OS_RUNG_SIGBUS; rung <= RP_OS_RUNG_MPROTECT; rung++) {
        for (size_t i = 0; i < RP_COUNT_OF(bodies); i++) {
            child_end end = child_run(bodies[i], &rung);
            ck_assert_msg(end.signal == SIGSEGV, "rung %d, body %zu: signal %d, exit %d", rung, i,
                          end.signal, end.exit_code);
        }
    }
}

static volatile sig_atomic_t own_calls;
static uint8_t *own_page;

/* Makes its fault go away, and stores into tracked memory meanwhile. */
static void own_handler(int number, siginfo_t *info, void *context)
{
    (void)context;
    own_calls++;
    *own_page = 7;
    if (number == SIGSEGV && info->si_addr) {
        void *page = (void *)((uintptr_t)info->si_addr & ~(PAGE - 1));
        mprotect(page, PAGE, PROT_READ | PROT_WRITE);
    }
}

static void own_handler_set(int number)
{
    struct sigaction action = {.sa_sigaction = own_handler, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    ck_assert_int_eq(sigaction(number, &action, NULL), 0);
}

static void own_handler_gets_what_is_its_own(rp_os_rung rung, bool set_after)
{
    int number = rung == RP_OS_RUNG_SIGBUS ? SIGBUS : SIGSEGV;
    uint8_t *closed = rp_os_vm_reserve(PAGE);
    if (!set_after) {
        own_handler_set(number);
    }
    tracked t = tracked_by(rung, 64);
    if (set_after) {
        own_handler_set(number);
        ck_ok(rp_os_track_check(&t.tracker)); /* takes its place in front again */
    }
    own_page = t.start + 40 * PAGE;
    t.start[0] = 1;
    ck_assert_int_eq(own_calls, 0);
    if (number == SIGSEGV) {
        *closed = 1;
    } else {
        raise(SIGBUS);
    }
    ck_assert_int_eq(own_calls, 1);
    ck_assert_int_eq(*own_page, 7);
    uint8_t written[64] = {0};
    collect_into(&t, written, 64);
    ck_assert_int_eq(written[0], 1);
    ck_assert_int_eq(written[40], 1);
    tracked_end(&t);
    struct sigaction left;
    ck_assert_int_eq(sigaction(number, NULL, &left), 0);
    ck_assert(left.sa_sigaction == own_handler);
}

TEST(a_handler_that_was_there_before_gets_the_faults_that_are_its_own)
{
    own_handler_gets_what_is_its_own(RP_OS_RUNG_MPROTECT, false);
}

TEST(a_handler_of_sigbus_gets_what_is_sent_to_it)
{
    own_handler_gets_what_is_its_own(RP_OS_RUNG_SIGBUS, false);
}

TEST(a_handler_that_was_put_in_front_goes_behind_at_the_next_check)
{
    own_handler_gets_what_is_its_own(RP_OS_RUNG_MPROTECT, true);
}

/* ---- stacks ---------------------------------------------------------------------------------- */

static void fill_stack(void *argument)
{
    volatile uint8_t here[20 * 4096];
    for (size_t i = 0; i < sizeof here; i += 64) {
        here[i] = (uint8_t)i;
    }
    *(uint8_t *)argument = here[64];
}

TEST(a_tracked_stack_is_written_where_signals_have_one_of_their_own)
{
    static uint8_t signal_stack[64 << 10];
    sigaltstack(&(stack_t){.ss_sp = signal_stack, .ss_size = sizeof signal_stack}, NULL);
    for (rp_os_rung rung = RP_OS_RUNG_SIGBUS; rung <= RP_OS_RUNG_MPROTECT; rung++) {
        tracked t = tracked_by(rung, 64);
        uint8_t result = 0;
        rp_os_call_on_stack(t.start + 64 * PAGE, fill_stack, &result);
        ck_assert_int_eq(result, 64);
        uint8_t written[64] = {0};
        collect_into(&t, written, 64);
        ck_assert_int_eq(written[63], 1);
        tracked_end(&t);
    }
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { CROWD = 8, CROWD_PAGES = 512, CROWD_ROUNDS = 30 };

typedef struct crowd {
    tracked *t;
    pthread_barrier_t *barrier;
    uint8_t *written; /* by this one, a byte a page */
    uint64_t seed;
} crowd;

static void *write_in_a_crowd(void *context)
{
    crowd *c = context;
    for (int round = 0; round < CROWD_ROUNDS; round++) {
        pthread_barrier_wait(c->barrier);
        memset(c->written, 0, CROWD_PAGES);
        for (int i = 0; i < 200; i++) {
            size_t page = test_random(&c->seed) % CROWD_PAGES;
            __atomic_store_n(c->t->start + page * PAGE + (uintptr_t)c % 64, (uint8_t)i,
                             __ATOMIC_RELAXED);
            c->written[page] = 1;
        }
        pthread_barrier_wait(c->barrier);
        pthread_barrier_wait(c->barrier);
    }
    return NULL;
}

static void crowd_writes(rp_os_rung rung)
{
    tracked t = tracked_by(rung, CROWD_PAGES);
    static uint8_t written[CROWD][CROWD_PAGES], told[CROWD_PAGES];
    pthread_barrier_t barrier;
    pthread_t threads[CROWD];
    crowd members[CROWD];
    uint64_t seed = test_seed();
    pthread_barrier_init(&barrier, NULL, CROWD + 1);
    for (size_t i = 0; i < CROWD; i++) {
        members[i] = (crowd){&t, &barrier, written[i], seed + i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_in_a_crowd, &members[i]), 0);
    }
    for (int round = 0; round < CROWD_ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        memset(told, 0, sizeof told);
        collect_into(&t, told, CROWD_PAGES);
        for (size_t page = 0; page < CROWD_PAGES; page++) {
            for (size_t i = 0; i < CROWD; i++) {
                ck_assert_msg(!written[i][page] || told[page] == 1, "page %zu is missed", page);
            }
        }
        pthread_barrier_wait(&barrier);
    }
    for (size_t i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
    }
    tracked_end(&t);
}

TEST(many_threads_that_fault_at_once_are_all_let_through_and_told)
{
    crowd_writes(RP_OS_RUNG_SIGBUS);
    crowd_writes(RP_OS_RUNG_MPROTECT);
}

/* ---- a child --------------------------------------------------------------------------------- */

TEST(a_forked_child_writes_on_and_its_parent_hears_nothing_of_it)
{
    for (rp_os_rung rung = RP_OS_RUNG_SIGBUS; rung <= RP_OS_RUNG_MPROTECT; rung++) {
        tracked t = tracked_by(rung, 32);
        pid_t child = fork();
        if (child == 0) {
            memset(t.start, 5, 32 * PAGE);
            _exit(t.start[31 * PAGE] == 5 ? 0 : 1);
        }
        int how;
        ck_assert_int_eq(waitpid(child, &how, 0), child);
        ck_assert_int_eq(how, 0);
        check_written(&t, "................................");
        t.start[PAGE] = 1;
        check_written(&t, ".x..............................");
        tracked_end(&t);
    }
}

/* ---- old kernels ----------------------------------------------------------------------------- */

TEST(untouched_pages_are_told_by_a_kernel_that_protects_only_what_is_there)
{
#ifdef RP_FAULTS
    rp_os_fault_hide_rungs(RP_OS_FAULT_NO_UNPOPULATED);
    setenv("RP_RUNG", "wp-sigbus", 1);
    tracked t = tracked_pages(64, TRACKED_UNTOUCHED);
    t.start[20 * PAGE] = 1;
    uint8_t written[64] = {0};
    collect_into(&t, written, 64);
    ck_assert_int_eq(written[20], 1);
    ck_assert_int_eq(written[50], 0);
    ck_ok(rp_os_vm_discard(t.start + 40 * PAGE, PAGE));
    memset(written, 0, sizeof written);
    collect_into(&t, written, 64);
    ck_assert_int_eq(written[40], 1);
    t.start[40 * PAGE] = 1;
    memset(written, 0, sizeof written);
    collect_into(&t, written, 64);
    ck_assert_int_eq(written[40], 1);
    tracked_end(&t);
#else
    printf("skipped: built without RP_FAULTS\n");
#endif
}

/* ---- touching -------------------------------------------------------------------------------- */

TEST(touched_pages_take_a_system_call_and_are_told_and_others_are_left_alone)
{
    for (rp_os_rung rung = RP_OS_RUNG_ASYNC; rung <= RP_OS_RUNG_MPROTECT; rung++) {
        tracked t = tracked_by(rung, 64);
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        ck_assert_int_eq(write(ends[1], "12345678", 8), 8);
        rp_os_track_touch(&t.tracker, t.start + 20 * PAGE - 4, 8);
        rp_os_track_touch(&t.tracker, &t, sizeof t);
        rp_os_track_touch(&t.tracker, t.start, 0);
        rp_os_track_touch(&t.tracker, (void *)(UINTPTR_MAX - 3), 8);
        ck_assert_int_eq(read(ends[0], t.start + 20 * PAGE - 4, 8), 8);
        char expected[65];
        memset(expected, '.', 64);
        expected[64] = 0;
        expected[19] = expected[20] = 'x';
        check_written(&t, expected);
        close(ends[0]);
        close(ends[1]);
        tracked_end(&t);
    }
}

/* ---- holding --------------------------------------------------------------------------------- */

typedef struct intruders {
    int count;
    rp_os_intruder first;
} intruders;

static void note_intruder(void *context, const rp_os_intruder *who)
{
    intruders *seen = context;
    if (!__atomic_fetch_add(&seen->count, 1, __ATOMIC_SEQ_CST)) {
        seen->first = *who;
    }
}

static void *intrude(void *byte)
{
    pthread_setname_np(pthread_self(), "intruder");
    *(volatile uint8_t *)byte = 99;
    return NULL;
}

/* The thread is named, its store is made after the hold and told by the next collect. */
static void held_on(rp_os_rung rung)
{
    tracked t = tracked_by(rung, 64);
    rp_os_extent area = {t.start, 64 * PAGE}, pieces[8];
    intruders seen = {0};
    uint8_t written[64] = {0};
    pthread_t thread;
    t.start[7 * PAGE] = 1;
    ck_ok(rp_os_freeze(&(rp_os_hold){&area, 1, pieces, 8, note_intruder, &seen}));
    collect_into(&t, written, 64);
    ck_assert_int_eq(written[7], 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, intrude, t.start + 40 * PAGE + 3), 0);
    while (!__atomic_load_n(&seen.count, __ATOMIC_SEQ_CST)) {
        usleep(1000);
    }
    ck_assert_int_eq(t.start[40 * PAGE + 3], 0x11);
    t.start[9 * PAGE] = 2; /* our own */
    rp_os_thaw();
    pthread_join(thread, NULL);
    ck_assert_int_eq(seen.count, 1);
    ck_assert_str_eq(seen.first.name, "intruder");
    ck_assert_ptr_eq(seen.first.address, t.start + 40 * PAGE + 3);
    ck_assert_uint_ne(seen.first.pc, 0);
    ck_assert_uint_ne(seen.first.thread, (uint64_t)syscall(SYS_gettid));
    ck_assert_int_eq(t.start[40 * PAGE + 3], 99);
    memset(written, 0, sizeof written);
    collect_into(&t, written, 64);
    ck_assert_int_eq(written[40], 1);
    ck_assert_int_eq(written[9], 1);
    tracked_end(&t);
}

TEST(a_thread_that_writes_to_held_memory_is_named_and_waits)
{
    held_on(RP_OS_RUNG_ASYNC);
    held_on(RP_OS_RUNG_SIGBUS);
    held_on(RP_OS_RUNG_MPROTECT);
}

TEST(what_could_not_be_written_before_a_hold_cannot_be_after_it)
{
    uint8_t *start = rp_os_vm_reserve(8 * PAGE);
    ck_ok(rp_os_vm_commit(start, 8 * PAGE));
    ck_ok(rp_os_vm_protect(start + 2 * PAGE, PAGE, RP_OS_NONE));
    rp_os_extent area = {start, 8 * PAGE}, pieces[8];
    intruders seen = {0};
    ck_ok(rp_os_freeze(&(rp_os_hold){&area, 1, pieces, 8, note_intruder, &seen}));
    rp_os_thaw();
    rp_os_thaw();
    start[PAGE] = 1;
    ck_assert(!rp_os_vm_readable(start + 2 * PAGE, 1));
}
