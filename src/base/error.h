/* Setting the error record. See include/reprise/status.h for reading it.
 *
 * Layer: base.  Threads: each thread has its own record.
 */
#ifndef RP_BASE_ERROR_H
#define RP_BASE_ERROR_H

#include <reprise/status.h>

/* Fills the record with `status` and a text "what: why: what to do"; returns `status`, so that a
 * call can end with `return rp_fail(…)`. The text is copied and cut at the record's size. */
__attribute__((format(printf, 2, 3))) rp_status rp_fail(rp_status status, const char *format, ...);

/* The same for a failed system call: keeps `system_code` (an errno value) in the record and appends
 * its text to the message. */
__attribute__((format(printf, 3, 4))) rp_status rp_fail_system(rp_status status, int system_code,
                                                               const char *format, ...);

/* Empties the record of the calling thread. */
void rp_error_clear(void);

#endif
