/* What the reports share: a writer for text and JSON, and where the figures come from.
 *
 * A report is written piece by piece through an rp_report_writer and takes no memory of the heaps
 * that it is about: what it must remember lies in pages of the keep zone.
 *
 * Layer: trace, internal.  Tests: tests/trace/test_report*.c
 */
#ifndef RP_TRACE_REPORT_H
#define RP_TRACE_REPORT_H

#include "trace/tables.h"

/* One line on standard error: a scope's budget is spent. */
void rp_report_over_budget(rp_zone zone, uint32_t scope, uint64_t live_bytes,
                           uint64_t budget_bytes);

#endif
