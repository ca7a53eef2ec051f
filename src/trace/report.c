/* What the reports share. */
#include "trace/report.h"

#include "base/text.h"

void rp_report_over_budget(rp_zone zone, uint32_t scope, uint64_t live_bytes, uint64_t budget_bytes)
{
    char text[512], path[256];
    rp_trace_scope_path(zone, scope, path, sizeof path);
    rp_text_buffer line = rp_text_buffer_over(text, sizeof text);
    rp_text_add(&line, "reprise: scope %s: over its budget: ", path);
    rp_text_add_bytes(&line, live_bytes);
    rp_text_add(&line, " live, the budget is ");
    rp_text_add_bytes(&line, budget_bytes);
    rp_text_add(&line, ": raise it, or see who owns them with rp_report_tree\n");
    rp_os_error_write(text, line.length);
}
