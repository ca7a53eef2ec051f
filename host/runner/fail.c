/* When the program fails: a record for the host, then the runner waits to be ended.
 *
 * Signals come on a stack of their own, so that an overflow of the deck's stack can be told. The
 * record (registers, a copy of the stack, what was touched) is enough for the host to name file and
 * line when this process is gone; nothing is symbolised here.
 */
#include "crash_capture.h"
#include "interpose.h"
#include "runner.h"

#include <base/bits.h>
#include <base/text.h>
#include <os/os.h>
#include <region/region.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { SIGNAL_STACK_BYTES = 256 << 10 };

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

static const char *range_name(uint64_t address)
{
    const rp_world_range *ranges;
    size_t count = rp_world_ranges(the_runner.world, &ranges);
    for (size_t i = 0; i < count; i++) {
        uint64_t start = (uint64_t)(uintptr_t)ranges[i].start;
        if (address >= start && address - start < ranges[i].size_bytes) {
            return ranges[i].name;
        }
    }
    return NULL;
}

static const rp_object *object_of(uint64_t address)
{
    for (size_t i = 0; i < the_runner.object_count; i++) {
        if (address >= the_runner.objects[i].low && address < the_runner.objects[i].high) {
            return &the_runner.objects[i];
        }
    }
    return NULL;
}

/* Where `address` lies, for a person. Called in a signal handler: no locks, no heap. */
void runner_describe(rp_text_buffer *text, uint64_t address)
{
    uint64_t low = (uint64_t)(uintptr_t)the_runner.stack_low;
    rp_region_block block;
    if (address < RP_PAGE_BYTES) {
        rp_text_add(text, "a null pointer");
        if (address) {
            rp_text_add(text, ", %llu bytes in", (unsigned long long)address);
        }
    } else if (address >= low - RP_PAGE_BYTES && address < low) {
        rp_text_add(text, "the guard below the step's stack");
    } else if (rp_region_contains((const void *)(uintptr_t)address) &&
               rp_region_block_find((const void *)(uintptr_t)address, &block)) {
        uint64_t start = (uint64_t)(uintptr_t)block.start;
        bool behind = address >= start + block.size_bytes;
        rp_text_add(text, "%llu bytes %s a block of %llu bytes of the %s zone",
                    (unsigned long long)(behind            ? address - start - block.size_bytes
                                         : address < start ? start - address
                                                           : address - start),
                    behind            ? "behind"
                    : address < start ? "before"
                                      : "inside",
                    (unsigned long long)block.size_bytes,
                    rp_region_contains((const void *)(uintptr_t)address) == 1 ? "world" : "keep");
    } else if (rp_region_contains((const void *)(uintptr_t)address)) {
        rp_text_add(text, "memory of the region that belongs to no block");
    } else if (the_runner.world && range_name(address)) {
        rp_text_add(text, "%s", range_name(address));
    } else if (object_of(address)) {
        bool module = object_of(address) == the_runner.module.object;
        rp_text_add(text, "code or read-only data of %s",
                    module ? "the module" : object_of(address)->path);
    } else if (address >= RP_LINK_BASE && address < RP_LINK_BASE + sizeof(link_memory)) {
        rp_text_add(text, "memory shared with the host (the canvas ends before it)");
    } else {
        rp_text_add(text, "nothing of the program's");
    }
}

_Noreturn static void wait_for_the_end(void)
{
    for (;;) {
        pause();
    }
}

static void record_begin(link_crash *crash)
{
    crash->frame = the_runner.link->frame;
    crash->build = the_runner.link->build;
    crash->in_step = (uint32_t)the_runner.in_step;
}

_Noreturn static void record_publish(link_crash *crash, uint32_t kind)
{
    atomic_thread_fence(memory_order_seq_cst);
    crash->kind = kind;
    runner_send(&(link_message){.op = LINK_CRASHED, .status = RP_E_DIED});
    wait_for_the_end();
}

static bool overflowed(uint64_t address)
{
    uint64_t low = (uint64_t)(uintptr_t)the_runner.stack_low;
    return address >= low - RP_UNIT_BYTES && address < low;
}

/* Of a page fault the processor says whether it was a write. */
static bool guard_was_hit(const siginfo_t *info, const void *context)
{
    enum { PAGE_FAULT_WRITE = 2 };
    const greg_t *registers = ((const ucontext_t *)context)->uc_mcontext.gregs;
    return runner_fault_explain(info->si_addr, (registers[REG_ERR] & PAGE_FAULT_WRITE) != 0,
                                (uint64_t)registers[REG_RIP]);
}

/* A debugger has a breakpoint here. `text` is null for a signal, which most debuggers saw before.
 */
__attribute__((noinline)) void runner_failing(const char *text)
{
    __asm__ volatile("" : : "r"(text) : "memory");
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    runner_failing(NULL);
    static volatile sig_atomic_t depth;
    link_crash *crash = &the_runner.link->crash;
    if (depth++) {
        record_publish(crash,
                       LINK_CRASH_SIGNAL); /* a fault while recording: what there is must do */
    }
    record_begin(crash);
    crash->signal = number;
    crash->code = info->si_code;
    crash_capture(crash, context);
    bool has_address = number == SIGSEGV || number == SIGBUS;
    crash->address = has_address ? (uint64_t)(uintptr_t)info->si_addr : 0;
    uint32_t kind = number == SIGABRT && crash->text[0] ? LINK_CRASH_ASSERT : LINK_CRASH_SIGNAL;
    if (number == SIGABRT && __atomic_load_n(&the_runner.link->finding.count, __ATOMIC_ACQUIRE)) {
        kind = LINK_CRASH_HEAP; /* a free that could not be done: its report was written before */
    }
    if (has_address) {
        rp_text_buffer text = rp_text_buffer_over(crash->text, sizeof crash->text);
        runner_describe(&text, crash->address);
        kind = overflowed(crash->address)     ? LINK_CRASH_OVERFLOW
               : guard_was_hit(info, context) ? LINK_CRASH_HEAP
                                              : LINK_CRASH_SIGNAL;
    }
    record_publish(crash, kind);
}

/* The host's watchdog asks where a step that does not end is. */
static void on_watchdog(int number, siginfo_t *info, void *context)
{
    (void)info;
    link_crash *crash = &the_runner.link->crash;
    record_begin(crash);
    crash->signal = number;
    crash_capture(crash, context);
    record_publish(crash, LINK_CRASH_HANG);
}

void runner_fail_open(void)
{
    void *stack = rp_region_block_alloc(RP_ZONE_KEEP, SIGNAL_STACK_BYTES, RP_BLOCK_PAGES, 0,
                                        RP_BLOCK_GUARD_BEFORE);
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = SIGNAL_STACK_BYTES}, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof fatal_signals / sizeof fatal_signals[0]; i++) {
        sigdelset(&action.sa_mask, fatal_signals[i]);
    }
    for (size_t i = 0; i < sizeof fatal_signals / sizeof fatal_signals[0]; i++) {
        sigaction(fatal_signals[i], &action, NULL);
    }
    action.sa_sigaction = on_watchdog;
    sigaction(LINK_WATCHDOG_SIGNAL, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a full log is an error of a commit, not the end */
    signal(SIGINT, SIG_IGN);  /* Ctrl-C in the host's terminal is the host's to act on */
}

_Noreturn void runner_fail(uint32_t kind, int code, const char *text)
{
    runner_failing(text);
    link_crash *crash = &the_runner.link->crash;
    ucontext_t here;
    getcontext(&here);
    fflush(NULL);
    record_begin(crash);
    crash->signal = code;
    rp_text_copy(crash->text, sizeof crash->text, text);
    crash_capture(crash, &here);
    record_publish(crash, kind);
}

/* ---- the ways in which a program ends itself ---- */

static bool the_program_runs(void)
{
    return the_runner.link && the_runner.in_step;
}

static void ended(const char *how, int code)
{
    if (the_program_runs()) {
        char text[64];
        rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
        rp_text_add(&buffer, "%s(%d)", how, code);
        runner_fail(LINK_CRASH_EXIT, code, text);
    }
}

#define ENDS(name)                       \
    EXPORT _Noreturn void name(int code) \
    {                                    \
        ended(#name, code);              \
        syscall(SYS_exit_group, code);   \
        __builtin_unreachable();         \
    }

ENDS(exit)
ENDS(_exit)
ENDS(_Exit)
ENDS(quick_exit)

EXPORT _Noreturn void __assert_fail(const char *expression, const char *file, unsigned line,
                                    const char *function);
EXPORT _Noreturn void __assert_fail(const char *expression, const char *file, unsigned line,
                                    const char *function)
{
    char text[240];
    rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
    (void)function;
    rp_text_add(&buffer, "assertion failed: %s", expression);
    if (the_program_runs()) {
        runner_fail(LINK_CRASH_ASSERT, SIGABRT, text);
    }
    fprintf(stderr, "%s:%u: %s\n", file, line, text);
    abort();
}
