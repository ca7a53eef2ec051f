/* A program that is looked at from outside: started in a certain mode, its mappings read when it
 * starts, once they have settled, and at its end; ended where it does not end by itself.
 *
 * It is traced with ptrace, so that its last map can be read while it exits. Where tracing is not
 * allowed its maps are polled, and the last one may be missed. It runs in a session of its own, so
 * without a terminal; its input is empty. Only the process itself is looked at, not those that it
 * starts; what it leaves in its process group is ended with it.
 *
 * Layer: os.  Threads: one at a time (it waits for SIGCHLD).  Tests: tests/os/test_subject.c
 */
#ifndef RP_OS_SUBJECT_H
#define RP_OS_SUBJECT_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum rp_os_subject_mode {
    RP_OS_SUBJECT_AS_IS,
    RP_OS_SUBJECT_NO_RANDOMISATION,
    RP_OS_SUBJECT_LEGACY_LAYOUT, /* mappings from a third of the space upward */
    RP_OS_SUBJECT_UNLIMITED_STACK,
    RP_OS_SUBJECT_MODES
} rp_os_subject_mode;

typedef enum rp_os_moment {
    RP_OS_AT_START, /* executed, no instruction run */
    RP_OS_RUNNING,  /* each time that its map has changed, until it has settled */
    RP_OS_SETTLED,  /* its map has not changed for a tenth of a second while it waited, or
                         for a second */
    RP_OS_AT_END,   /* it exits, or is about to be ended */
    RP_OS_MOMENTS
} rp_os_moment;

typedef struct rp_os_mapping {
    uint64_t from, to;
    char permissions[5];
    const char *name; /* "" for anonymous memory; valid during the call */
} rp_os_mapping;

typedef void rp_os_mapping_fn(void *context, rp_os_moment moment, const rp_os_mapping *mapping);

/* The descriptor on which a subject may leave an answer. */
enum { RP_OS_SUBJECT_ANSWER_FD = 9, RP_OS_SUBJECT_ANSWER_BYTES = 256 };

typedef struct rp_os_subject_desc {
    char *const *argv; /* argv[0] is looked for in PATH where it has no slash; null at the end */
    rp_os_subject_mode mode;
    const char *const *environment; /* "NAME=value", added to the own; null at the end; or null */
    uint32_t limit_ms;              /* it is ended then, settled or not; 0: 2000 */
    bool show_output;               /* on standard error; else it goes nowhere */
    bool want_answer;
    rp_os_mapping_fn *visit; /* or null */
    void *context;
} rp_os_subject_desc;

typedef struct rp_os_subject_end {
    bool traced;              /* else AT_START and AT_END of one that ends soon may be missing */
    bool seen[RP_OS_MOMENTS]; /* at which moments its map was read */
    bool ended_itself;
    int exit_code, signal; /* where it did; the other is 0 */
    uint32_t run_ms;
    char program[1024]; /* the executable that it was in the end; "" where it was not seen */
    size_t answer_bytes;
    uint8_t answer[RP_OS_SUBJECT_ANSWER_BYTES];
} rp_os_subject_end;

/* Runs it to its end. RP_E_NOT_FOUND: there is no such program; RP_E_SYSTEM: it cannot be executed;
 * RP_E_UNSUPPORTED: this system does not allow the mode; RP_E_MEMORY. Blocks for as long as it
 * runs, at most limit_ms and what ending it takes. */
rp_status rp_os_subject_run(const rp_os_subject_desc *desc, rp_os_subject_end *end);

#endif
