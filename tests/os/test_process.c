/* Address randomisation and glibc's secrets. */
#include "os/os.h"
#include "support/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- executing again ------------------------------------------------------------------------- */

enum { AS_WANTED = 42, STILL_RANDOM, NOT_MARKED, TRIED_TWICE, ARGUMENTS_LOST, OFF_BEFORE };

static int judge_second_run(int argc, char **argv)
{
    if (!rp_os_randomisation_off()) {
        return STILL_RANDOM;
    }
    const char *mark = getenv("REPRISE_REEXEC");
    if (!mark) {
        return OFF_BEFORE; /* ThreadSanitizer does the same by itself */
    }
    if (strcmp(mark, "1") != 0) {
        return NOT_MARKED;
    }
    if (rp_os_reexec_without_randomisation(argv) != RP_E_UNSUPPORTED) {
        return TRIED_TWICE;
    }
    return argc == 3 && strcmp(argv[2], "second argument") == 0 ? AS_WANTED : ARGUMENTS_LOST;
}

/* This program, started by the test below, before Check's main. glibc passes main's arguments. */
__attribute__((constructor)) static void run_as_child(int argc, char **argv)
{
    if (!getenv("RP_TEST_REEXEC")) {
        return;
    }
    if (!rp_os_randomisation_off()) {
        rp_os_reexec_without_randomisation(argv);
    }
    _exit(judge_second_run(argc, argv));
}

static int run_child_with_randomisation(void)
{
    pid_t child = fork();
    if (child == 0) {
        char *arguments[] = {"child", "first argument", "second argument", NULL};
        char *environment[] = {"RP_TEST_REEXEC=1", NULL};
        int persona = personality(0xffffffff);
        personality((unsigned long)persona & ~(unsigned long)ADDR_NO_RANDOMIZE);
        execve("/proc/self/exe", arguments, environment);
        _exit(127);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "ended with %#x", status);
    return WEXITSTATUS(status);
}

TEST(executing_again_turns_randomisation_off_once_and_keeps_the_arguments)
{
    int code = run_child_with_randomisation();
    if (code == OFF_BEFORE) {
        printf("skipped: randomisation is off in every program here\n");
        return;
    }
    ck_assert_int_eq(code, AS_WANTED);
}

TEST(whether_randomisation_is_off_is_seen)
{
    int persona = personality(0xffffffff);
    personality((unsigned long)persona | ADDR_NO_RANDOMIZE);
    ck_assert(rp_os_randomisation_off());
    personality((unsigned long)persona & ~(unsigned long)ADDR_NO_RANDOMIZE);
    ck_assert(!rp_os_randomisation_off());
}

TEST(a_refused_execution_is_told_and_leaves_the_process_as_it_was)
{
#ifdef RP_FAULTS
    char *arguments[] = {"none", NULL};
    unsetenv("REPRISE_REEXEC");
    int before = personality(0xffffffff);
    for (size_t k = 1; k <= 3; k++) {
        rp_os_fault_set(k, EPERM);
        ck_assert_int_eq(rp_os_reexec_without_randomisation(arguments), RP_E_SYSTEM);
        ck_assert_int_eq(rp_error_last()->system_code, EPERM);
        ck_assert_int_eq(personality(0xffffffff), before);
        ck_assert_ptr_null(getenv("REPRISE_REEXEC"));
    }
    rp_os_fault_set(0, 0);
#else
    printf("skipped: built without RP_FAULTS\n");
#endif
}

/* ---- secrets --------------------------------------------------------------------------------- */

/* glibc makes both of the sixteen random bytes that the kernel hands to each program: the canary
 * with its lowest byte zero, so that a string's end stops at it. */
TEST(the_secrets_are_those_that_glibc_took_from_the_kernel)
{
    uint64_t random[2];
    memcpy(random, (const void *)getauxval(AT_RANDOM), sizeof random);
    rp_os_secrets secrets = rp_os_secrets_get();
    ck_assert_uint_eq(secrets.canary, random[0] & ~(uint64_t)0xff);
    ck_assert_uint_eq(secrets.pointer_guard, random[1]);
}

typedef struct report {
    jmp_buf jump;
    uint64_t canary;
    uint64_t frame;
} report;

/* What a process with these secrets writes into a jump buffer. Never returns, as os.h demands. */
__attribute__((noinline)) static void report_with(rp_os_secrets secrets, int pipe_end)
{
    report found;
    rp_os_secrets_set(secrets);
    found.frame = (uintptr_t)__builtin_frame_address(0);
    found.canary = rp_os_secrets_get().canary;
    (void)setjmp(found.jump);
    _exit(write(pipe_end, &found, sizeof found) != sizeof found);
}

static report report_of_child(rp_os_secrets secrets)
{
    int ends[2], status;
    report found;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        report_with(secrets, ends[1]);
    }
    ck_assert_int_eq(read(ends[0], &found, sizeof found), sizeof found);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    close(ends[0]);
    close(ends[1]);
    return found;
}

/* The words of x86-64 glibc's buffer that it keeps as rol(pointer ^ guard, 17); the others hold
 * plain registers. */
enum { FRAME_POINTER = 1, STACK_POINTER = 6, PROGRAM_COUNTER = 7 };

static uint64_t jump_word(const report *found, int index)
{
    uint64_t word;
    memcpy(&word, (const char *)found->jump + (size_t)index * sizeof word, sizeof word);
    return word;
}

static uint64_t unmangled(uint64_t word, uint64_t guard)
{
    return ((word >> 17) | (word << 47)) ^ guard;
}

static bool same_mangled_words(const report *one, const report *other)
{
    return jump_word(one, FRAME_POINTER) == jump_word(other, FRAME_POINTER) &&
           jump_word(one, STACK_POINTER) == jump_word(other, STACK_POINTER) &&
           jump_word(one, PROGRAM_COUNTER) == jump_word(other, PROGRAM_COUNTER);
}

TEST(processes_with_the_same_secrets_make_the_same_jump_buffers)
{
    rp_os_secrets set = {0x1122334455667700, 0x0123456789abcdef};
    rp_os_secrets other = {0x1122334455667700, 0xfedcba9876543210};
    report one = report_of_child(set), two = report_of_child(set), three = report_of_child(other);
    ck_assert_uint_eq(one.canary, set.canary);
    ck_assert(same_mangled_words(&one, &two));
    ck_assert(!same_mangled_words(&one, &three));
}

TEST(jump_buffers_are_made_with_the_guard_that_was_set)
{
    rp_os_secrets set = {0x1122334455667700, 0x0123456789abcdef};
    report found = report_of_child(set);
    uint64_t pointer = unmangled(jump_word(&found, STACK_POINTER), set.pointer_guard);
    ck_assert_uint_lt(found.frame - pointer, 4096);
}

TEST(a_protected_function_runs_and_returns_under_new_secrets)
{
    pid_t child = fork();
    if (child == 0) {
        rp_os_secrets_set((rp_os_secrets){0xabcdef00, 0x77});
        jmp_buf jump;
        volatile int passes = 0;
        if (setjmp(jump) == 0) {
            passes++;
            longjmp(jump, 1);
        }
        char text[64];
        snprintf(text, sizeof text, "%d", passes + 1); /* entered and left after the change */
        _exit(strcmp(text, "2") != 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
