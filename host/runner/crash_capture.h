/* What a signal handler keeps of the moment of a crash: the registers and the stack, from which the
 * host unwinds when the process is gone.
 *
 * Layer: host (the runner).  Tests: tests/host/test_symbols.c
 */
#ifndef HOST_RUNNER_CRASH_CAPTURE_H
#define HOST_RUNNER_CRASH_CAPTURE_H

#include "../link.h"

/* Fills registers, stack_start, stack_bytes and stack from the ucontext_t that the handler (or
 * getcontext) was given; the other members are the caller's. Async-signal-safe; must run on another
 * stack than the one that crashed. The copy begins below the stack pointer, at the red zone; where
 * those pages cannot be read, as after a stack overflow, it begins at the first that can. */
void crash_capture(link_crash *to, const void *ucontext);

#endif
