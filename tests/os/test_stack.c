/* Calling on another stack. */
#include "base/bits.h"
#include "os/os.h"
#include "support/test.h"

#include <execinfo.h>
#include <fenv.h>
#include <signal.h>
#include <string.h>
#include <unwind.h>

enum { STACK_PAGES = 64, MOST_FRAMES = 64 };
#define STACK_BYTES (STACK_PAGES * RP_PAGE_BYTES)

static uint8_t *stack;

static void *fresh_stack(void)
{
    stack = rp_os_vm_reserve(STACK_BYTES);
    ck_assert_ptr_nonnull(stack);
    ck_ok(rp_os_vm_commit(stack, STACK_BYTES));
    return stack + STACK_BYTES;
}

static uint32_t mxcsr(void)
{
    uint32_t word;
    __asm__ volatile("stmxcsr %0" : "=m"(word));
    return word;
}

static uint16_t x87(void)
{
    uint16_t word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word;
}

static void set_controls(uint32_t sse, uint16_t fpu)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(sse));
    __asm__ volatile("fldcw %0" : : "m"(fpu));
}

typedef struct seen {
    uintptr_t frame;
    uint64_t calls;
    uint32_t sse;
    uint16_t fpu;
} seen;

static void look(void *context)
{
    seen *s = context;
    s->frame = (uintptr_t)__builtin_frame_address(0);
    s->sse = mxcsr();
    s->fpu = x87();
    s->calls++;
    set_controls(0x1f80 | 0x6000, 0x0f7f); /* the callee's own change must not come back */
}

TEST(the_function_runs_once_on_the_given_stack_with_its_argument)
{
    seen s = {0};
    void *top = fresh_stack();
    rp_os_call_on_stack(top, look, &s);
    ck_assert_uint_eq(s.calls, 1);
    ck_assert_uint_lt(s.frame, (uintptr_t)top);
    ck_assert_uint_gt(s.frame, (uintptr_t)top - RP_PAGE_BYTES);
}

TEST(the_stack_is_aligned_whatever_top_is_given)
{
    uint8_t *top = fresh_stack();
    for (size_t off = 0; off < 32; off++) {
        seen s = {0};
        rp_os_call_on_stack(top - off, look, &s);
        ck_assert_uint_eq(s.frame % 16, 0);
        ck_assert_uint_lt(s.frame, (uintptr_t)top - off);
    }
}

/* An image of the stack is the same each time: nothing of the caller's is left on it. */
TEST(the_first_frame_lies_at_the_same_place_from_any_caller)
{
    seen near = {0}, far = {0};
    void *top = fresh_stack();
    rp_os_call_on_stack(top, look, &near);
    volatile uint8_t deeper[5000];
    deeper[0] = 1;
    rp_os_call_on_stack(top, look, &far);
    ck_assert_uint_eq(near.frame, far.frame + !deeper[0]);
}

TEST(control_words_are_the_defaults_inside_and_the_callers_again_after)
{
    seen s = {0};
    void *top = fresh_stack();
    const uint32_t sse =
        0x1f80 | 0x8040 | 0x2000; /* flush to zero, denormals are zero, round down */
    set_controls(sse, 0x027f);    /* 53-bit precision */
    rp_os_call_on_stack(top, look, &s);
    uint32_t sse_after = mxcsr();
    uint16_t fpu_after = x87();
    set_controls(0x1f80, 0x037f);
    ck_assert_uint_eq(s.sse, 0x1f80);
    ck_assert_uint_eq(s.fpu, 0x037f);
    ck_assert_uint_eq(sse_after, sse);
    ck_assert_uint_eq(fpu_after, 0x027f);
}

static void call_deeper(void *context)
{
    seen *s = context;
    uintptr_t *depth = (uintptr_t *)s;
    if (*depth) {
        --*depth;
        rp_os_call_on_stack((uint8_t *)__builtin_frame_address(0) - 2048, call_deeper, context);
        s->calls++;
    }
}

TEST(calls_nest)
{
    seen s = {.frame = 10};
    rp_os_call_on_stack(fresh_stack(), call_deeper, &s);
    ck_assert_uint_eq(s.calls, 10);
}

/* ---- walking back through it ------------------------------------------------------------------
 */

typedef struct trace {
    void *frames[MOST_FRAMES];
    int count;
} trace;

static void take_trace(void *context)
{
    trace *t = context;
    t->count = backtrace(t->frames, MOST_FRAMES);
}

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *context, void *to)
{
    trace *t = to;
    if (t->count == MOST_FRAMES) {
        return _URC_END_OF_STACK;
    }
    t->frames[t->count++] = (void *)_Unwind_GetIP(context);
    return _URC_NO_REASON;
}

static void unwind(void *context)
{
    ((trace *)context)->count = 0;
    _Unwind_Backtrace(note_frame, context);
}

/* Both traces end in the callers of the test; the innermost frames (the tracer, a sanitizer's
 * wrapper of it, the test at another line) may differ. */
static void check_same_callers(const trace *inside, const trace *outside)
{
    const int innermost = 4;
    ck_assert_int_gt(outside->count, innermost + 1);
    ck_assert_int_ge(inside->count, outside->count);
    for (int i = 1; i <= outside->count - innermost; i++) {
        ck_assert_ptr_eq(inside->frames[inside->count - i], outside->frames[outside->count - i]);
    }
}

TEST(a_backtrace_goes_through_to_the_callers)
{
    trace inside, outside;
    take_trace(&outside);
    rp_os_call_on_stack(fresh_stack(), take_trace, &inside);
    check_same_callers(&inside, &outside);
    unwind(&outside);
    rp_os_call_on_stack(fresh_stack(), unwind, &inside);
    check_same_callers(&inside, &outside);
}

/* A profiler that knows frame pointers alone gets there too. */
static void walk_frame_pointers(void *context)
{
    trace *t = context;
    void **frame = __builtin_frame_address(0);
    t->count = 0;
    while (t->count < 4) {
        t->frames[t->count++] = frame[1];
        frame = frame[0];
    }
}

static __attribute__((noinline)) void *frame_of_caller(trace *inside, void *top)
{
    rp_os_call_on_stack(top, walk_frame_pointers, inside);
    return __builtin_return_address(0);
}

TEST(frame_pointers_lead_through_to_the_callers)
{
    trace inside;
    void *here = frame_of_caller(&inside, fresh_stack());
    ck_assert_ptr_eq(inside.frames[2], here);
}
