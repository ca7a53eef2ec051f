/* Each call to the system fails in turn while a program opens, chooses modes, allocates and ends.
 */
#include "support/fault.h"
#include "trace/debug_fixture.h"

#include <errno.h>

static rp_status use(rp_allocator *a)
{
    uint8_t *blocks[8] = {0};
    rp_status status = RP_OK;
    for (size_t i = 0; i < RP_COUNT_OF(blocks) && status == RP_OK; i++) {
        blocks[i] = rp_alloc(a, 10 + i * i * 1000);
        status = blocks[i] ? RP_OK : rp_error_last()->status;
        if (blocks[i]) {
            memset(blocks[i], 1, 10 + i * i * 1000);
        }
    }
    for (size_t i = 0; i < RP_COUNT_OF(blocks); i++) {
        rp_free(blocks[i]);
    }
    return status;
}

static rp_status open_use_close(void *context)
{
    rp_region_desc desc = {.reserve_bytes = RP_GIB(1)};
    rp_status status = rp_region_create(&desc);
    if (status != RP_OK) {
        return status;
    }
    status = rp_trace_open(context);
    rp_allocator *a = status == RP_OK ? rp_heap_create(&(rp_heap_desc){.name = "h"}) : NULL;
    if (status == RP_OK) {
        status = a ? use(a) : rp_error_last()->status;
    }
    rp_allocator_destroy(a);
    no_errors();
    rp_region_destroy();
    return status;
}

TEST(every_failing_system_call_is_told_or_made_up_for)
{
    static char *const settings[] = {"h=trace,stacks", "h=canary,fill,quarantine",
                                     "h=end-of-page,start-of-page,quarantine", "h=sampled=2"};
    rp_debug_on_error(told_add, NULL);
    for (size_t i = 0; i < RP_COUNT_OF(settings); i++) {
        fault_each_call_or_recover(open_use_close, settings[i], ENOMEM);
    }
}
