/* The k-th call to the system fails, k = 1, 2, … until the attempt succeeds.
 *
 *     static rp_status attempt(void *context) { … create, and destroy what was made … }
 *     fault_each_call(attempt, &context, ENOMEM);
 *
 * Each failure must come back as a status with a text, and leave no file descriptor open. The
 * attempt undoes its own success. Without RP_FAULTS (release builds) it is run once, plainly.
 *
 * The rest, such as that the object can still be used, is for the attempt or its caller to check.
 */
#ifndef TESTS_SUPPORT_FAULT_H
#define TESTS_SUPPORT_FAULT_H

#include "os/linux/fault.h"
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>

typedef rp_status fault_attempt(void *context);

static inline int fault_open_descriptors(void)
{
    const int highest = 1024;
    int open_now = 0;
    for (int fd = 0; fd < highest; fd++) {
        open_now += fcntl(fd, F_GETFD) >= 0;
    }
    return open_now;
}

#ifdef RP_FAULTS

enum { FAULT_MOST_CALLS = 100000 };

static inline void fault_check_failure(rp_status status, size_t k)
{
    ck_assert_msg(status < 0, "call %zu failed: status %d is no error", k, status);
    ck_assert_int_eq(rp_error_last()->status, status);
    ck_assert_msg(rp_error_last()->text[0], "call %zu failed: no text says so", k);
}

/* Runs the attempt once with the k-th call failing. Returns whether there was a k-th call. */
static inline int fault_one_call(fault_attempt *attempt, void *context, int system_code, size_t k,
                                 int may_recover)
{
    int descriptors = fault_open_descriptors();
    rp_os_fault_set(k, system_code);
    rp_status status = attempt(context);
    size_t calls = rp_os_fault_count();
    rp_os_fault_set(0, 0);
    ck_assert_msg(fault_open_descriptors() == descriptors, "call %zu failed: descriptors leaked",
                  k);
    if (calls < k) {
        ck_ok(status);
        return 0;
    }
    ck_assert_msg(status || may_recover, "call %zu failed and nobody was told", k);
    if (status) {
        fault_check_failure(status, k);
    }
    return 1;
}

static inline size_t fault_each(fault_attempt *attempt, void *context, int system_code,
                                int may_recover)
{
    size_t k = 1;
    while (k < FAULT_MOST_CALLS && fault_one_call(attempt, context, system_code, k, may_recover)) {
        k++;
    }
    ck_assert_uint_lt(k, FAULT_MOST_CALLS);
    return k - 1;
}

#else

static inline size_t fault_each(fault_attempt *attempt, void *context, int system_code,
                                int may_recover)
{
    (void)system_code, (void)may_recover;
    printf("skipped: built without RP_FAULTS, no call can be made to fail\n");
    ck_ok(attempt(context));
    return 0;
}

#endif

/* Returns how many calls were made to fail. None of the failures may be swallowed. */
static inline size_t fault_each_call(fault_attempt *attempt, void *context, int system_code)
{
    return fault_each(attempt, context, system_code, 0);
}

/* The same for an attempt that may succeed in another way when a call fails. */
static inline size_t fault_each_call_or_recover(fault_attempt *attempt, void *context,
                                                int system_code)
{
    return fault_each(attempt, context, system_code, 1);
}

#endif
