/* A coroutine that sleeps over frames inside protected functions, with a jump buffer that is used
 * frames later: it lives on in another process only with the same stack canary and pointer guard.
 * Compiled with -fstack-protector-all. */
#include <reprise/draw.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { STACK_BYTES = 64 << 10 };

static ucontext_t coroutine, step_context;
static char *stack;
static jmp_buf checkpoint;
static unsigned sum, jumps;

static void sleep_a_frame(void)
{
    char local[64]; /* protected: the canary stands behind it while the coroutine sleeps */
    memset(local, (int)sum, sizeof local);
    swapcontext(&coroutine, &step_context);
    sum += (unsigned char)local[sum % sizeof local];
}

static void work(unsigned depth)
{
    char local[32];
    memset(local, (int)depth, sizeof local);
    if (depth) {
        work(depth - 1);
    } else {
        sleep_a_frame();
        if (sum % 7 == 3) {
            longjmp(checkpoint, 1);
        }
    }
    sum += (unsigned char)local[depth % sizeof local];
}

static void live(void)
{
    for (;;) {
        if (setjmp(checkpoint)) {
            jumps++;
        }
        for (int i = 0; i < 40; i++) {
            sum += 1;
            work((unsigned)i % 9);
        }
    }
}

void rp_module_start(rp_stage *stage)
{
    (void)stage;
    stack = malloc(STACK_BYTES);
    getcontext(&coroutine);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = STACK_BYTES;
    makecontext(&coroutine, live, 0);
}

void rp_module_step(rp_stage *stage)
{
    swapcontext(&step_context, &coroutine);
    rp_clear(stage->canvas, sum * 2654435761u >> 8);
    rp_fill(stage->canvas, 0, 0, (float)(jumps % 300), 10, 0xffffff);
}
