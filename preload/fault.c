/* The last words of a program that goes wrong: the stack of a misused call, and what is known of
 * the address of a fault.
 */
#include "alloc/allocator.h"
#include "base/text.h"
#include "preload/preload.h"
#include "preload/symbolise.h"
#include "trace/trace.h"

#include <reprise/debug.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

static void put(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        /* nowhere to say it */
    }
}

/* ---- the stack of a misuse ---- */

enum { STACK_MOST = 48 };

typedef struct stack {
    uintptr_t addresses[STACK_MOST];
    size_t count;
} stack;

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *into)
{
    stack *s = into;
    uintptr_t address = _Unwind_GetIP(context);
    if (s->count == STACK_MOST || !address) {
        return _URC_END_OF_STACK;
    }
    s->addresses[s->count++] = address;
    return _URC_NO_REASON;
}

static void print_line(void *context, size_t index, const char *text)
{
    char line[SYMBOLISE_LINE_BYTES + 32];
    rp_text_buffer buffer = rp_text_buffer_over(line, sizeof line);
    (void)context;
    rp_text_add(&buffer, "    #%zu %s\n", index, text);
    put(line);
}

/* From the program's call on: what is above it is this library's. */
static void print_stack(void)
{
    extern char __ehdr_start[], _end[]; /* of this library */
    stack all = {.count = 0};
    _Unwind_Backtrace(step, &all);
    size_t first = 0;
    while (first < all.count && all.addresses[first] - (uintptr_t)__ehdr_start <
                                    (uintptr_t)_end - (uintptr_t)__ehdr_start) {
        first++;
    }
    malloc_symbolise(all.addresses + first, all.count - first, print_line, NULL);
}

static void (*explain_before)(rp_misuse_kind kind, const rp_allocator *allocator,
                              const void *address, const void *caller);

/* Before the line that names the misuse, and the end. Locks may be held: nothing is allocated. */
static void explain(rp_misuse_kind kind, const rp_allocator *allocator, const void *address,
                    const void *caller)
{
    explain_before(kind, allocator, address, caller);
    rp_trace_block block;
    if (!rp_trace_find(address, &block)) { /* else the report above has the stack */
        put("reprise: memory is misused in this call:\n");
        print_stack();
    }
}

/* ---- faults ---- */

enum { FAULT_STACK_BYTES = 64 << 10, REPORT_BYTES = 8 << 10 };

static struct sigaction actions_before[NSIG];

/* Says what it knows and gives the signal back: the instruction faults again, and then whoever
 * handled it before us does, or the process ends by it. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    static char report[REPORT_BYTES];
    const ucontext_t *at = context;
    const int write_bit = 2; /* of the page fault's error code on x86 */
    int is_write = (at->uc_mcontext.gregs[REG_ERR] & write_bit) != 0;
    const void *pc = (const void *)(uintptr_t)at->uc_mcontext.gregs[REG_RIP];
    if (rp_debug_explain_fault(info->si_addr, is_write, pc, report, sizeof report)) {
        put(report);
    }
    sigaction(number, &actions_before[number], NULL);
}

/* A stack of its own, since the fault may be the stack's end. Other threads have none. */
static void give_stack(void)
{
    void *memory =
        mmap(NULL, FAULT_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
        sigaltstack(&(stack_t){.ss_sp = memory, .ss_size = FAULT_STACK_BYTES}, NULL);
    }
}

static void handle(int number)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, &actions_before[number]);
}

void preload_watch_faults(void)
{
    give_stack();
    handle(SIGSEGV);
    handle(SIGBUS);
}

void preload_watch_misuse(void)
{
    static rp_debug_ops ops;
    const rp_debug_ops *before = rp_debug_ops_get();
    if (before && before->explain) {
        ops = *before;
        explain_before = before->explain;
        ops.explain = explain;
        rp_debug_ops_set(&ops);
    }
}
