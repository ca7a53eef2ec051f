/* The region and the debug side for a program that has no deck. Layer: trace. */
#include "trace/trace.h"

rp_status rp_memory_open(const rp_memory_desc *desc)
{
    static const rp_memory_desc defaults;
    desc = desc ? desc : &defaults;
    rp_status status = rp_region_create(&(rp_region_desc){.reserve_bytes = desc->reserve_bytes});
    if (status != RP_OK) {
        return status;
    }
    status = rp_trace_open(desc->debug);
    if (status != RP_OK) {
        rp_region_destroy();
    }
    return status;
}

void rp_memory_close(void)
{
    if (rp_region_is_open()) {
        rp_region_destroy();
    }
}
