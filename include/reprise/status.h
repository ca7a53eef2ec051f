/* Status codes and the error record.
 *
 * Every call that can fail for a reason outside the program (the system, a file, a module, a user)
 * returns an rp_status. Zero is success, everything else is negative. The text that tells a person
 * what happened, why, and what to do about it is kept in a record of the calling thread and stays
 * there until the next failing call of that thread.
 *
 * Layer: base.  Threads: the record is thread-local.  Tests: tests/base/test_status.c
 */
#ifndef REPRISE_STATUS_H
#define REPRISE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_status {
    RP_OK = 0,
    RP_E_ARGUMENT = -1,    /* the caller passed something that can never work */
    RP_E_MEMORY = -2,      /* out of memory, or over a cap */
    RP_E_SYSTEM = -3,      /* a system call failed; the record holds its code */
    RP_E_TAKEN = -4,       /* the address range is used by something else */
    RP_E_LIMIT = -5,       /* a resource limit forbids it */
    RP_E_UNSUPPORTED = -6, /* this kernel, CPU or build cannot do it */
    RP_E_FORMAT = -7,      /* a file is not what it should be, or is damaged */
    RP_E_INCOMPLETE = -8,  /* a file is still being written */
    RP_E_NOT_FOUND = -9,   /* no such file, symbol, frame, … */
    RP_E_BUDGET = -10,     /* the history's budget cannot hold it */
    RP_E_MODULE = -11,     /* the module lacks something or refused to load */
    RP_E_CHANGED = -12,    /* a type changed in a way that cannot be carried over */
    RP_E_DIED = -13,       /* the runner ended */
    RP_E_TIMEOUT = -14,    /* the runner did not answer in time */
    RP_E_BUSY = -15,       /* somebody else holds it */
    RP_E_RANGE = -16,      /* a frame or number outside what there is */
    RP_E_CLOSED = -17,     /* the display, terminal or peer went away */
} rp_status;

/* The short text of a code, such as "out of memory". Never null; static storage. */
const char *rp_status_text(rp_status status);

typedef struct rp_error {
    rp_status status; /* of the last failing call on this thread; RP_OK where none failed */
    int system_code;  /* errno of it, or 0 */
    char text[480];   /* "what: why: what to do", always terminated */
} rp_error;

/* The record of the calling thread. Never null; valid until the thread ends. */
const rp_error *rp_error_last(void);

#ifdef __cplusplus
}
#endif
#endif
