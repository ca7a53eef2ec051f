/* Which blocks are pointed to, conservatively: any aligned word that holds an address within a
 * block counts as a pointer to it. Roots are the calling thread's registers and stack, and what
 * rp_leak_root named; from there on through every live block.
 *
 * Layer: trace, internal.  Threads: while nobody else allocates.
 */
#ifndef RP_TRACE_REACH_H
#define RP_TRACE_REACH_H

#include "trace/report.h"

/* In report_block.state. */
enum { REACH_NO, REACH_INDIRECT, REACH_YES, REACH_NOT_ASKED, REACH_STATES };

/* `stack_from`: the stack of the calling thread counts from there on, as what lies below it is of
 * the report's own calls. Sorts the blocks by address and sets their states. False: there was not
 * enough memory to follow all pointers, so some blocks may be called unreachable that are not. */
bool rp_reach_mark(report_array *blocks, const void *stack_from);

#endif
