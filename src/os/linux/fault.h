/* Where tests make system calls fail. Each call of this layer whose failure is reported goes
 * through RP_OS_CALL (result -1) or RP_OS_MAP (result MAP_FAILED). Built with RP_FAULTS, the k-th
 * of them on the calling thread fails with a chosen errno and is not made; without it the macros
 * are the calls.
 *
 *     rp_os_fault_set(3, ENOMEM);   // the third call from here on fails, the others are made
 *     …
 *     rp_os_fault_set(0, 0);        // no more failures; the count starts anew
 *
 * Hints, clean-up and probes, whose failure nobody is told of, do not go through here.
 *
 * Layer: os.  Threads: setting and count are the calling thread's.  Use: tests/support/fault.h
 */
#ifndef RP_OS_LINUX_FAULT_H
#define RP_OS_LINUX_FAULT_H

#include <stddef.h>

#ifdef RP_FAULTS

/* `k` counts from 1; 0: none fails. Starts the count anew. */
void rp_os_fault_set(size_t k, int system_code);
/* The k-th fails and all behind it, `count` in a row; k > 0. */
void rp_os_fault_set_run(size_t k, size_t count, int system_code);
/* Calls through the seam since rp_os_fault_set. */
size_t rp_os_fault_count(void);
/* Until the next rp_os_fault_set calls are made and not counted: for a test that looks at the
 * result. */
void rp_os_fault_pause(void);
/* Counts one call. Non-zero when it is to fail; errno is set then. */
int rp_os_fault_next(void);

/* From here on no write to a stream of this thread takes more than `size_bytes`; 0: as many as it
 * likes. */
void rp_os_fault_shorten_to(size_t size_bytes);
size_t rp_os_fault_shorten(size_t size_bytes);

/* From here on this process takes the kernel for one without light guards. Before their first use.
 */
void rp_os_fault_hide_light_guards(void);
int rp_os_fault_light_guards_hidden(void);

/* From here on the process takes the kernel for one without these rungs of write tracking: a bit
 * each, 1 << rp_os_rung; and without protection of pages that are not there (before Linux 6.4). */
enum { RP_OS_FAULT_NO_UNPOPULATED = 1 << 8 };
void rp_os_fault_hide_rungs(unsigned rungs);
int rp_os_fault_rung_hidden(int rung);

#define RP_OS_CALL(call) (rp_os_fault_next() ? -1 : (call))
#define RP_OS_MAP(call) (rp_os_fault_next() ? MAP_FAILED : (call))

#else

#define rp_os_fault_pause() ((void)0)
#define rp_os_fault_shorten(size_bytes) (size_bytes)
#define rp_os_fault_light_guards_hidden() 0
#define rp_os_fault_rung_hidden(rung) 0
#define RP_OS_CALL(call) (call)
#define RP_OS_MAP(call) (call)

#endif
#endif
