/* The debug side of memory in the runner: what a frame begins and ends with, what is found broken,
 * reports. See runner.h, src/trace/trace.h.
 *
 * Nothing here is paid for by a program that chose nothing: a frame's begin stores two numbers, its
 * end looks for blocks of other threads to send and for allocators with marks, of which there are
 * none.
 */
#include "runner.h"

#include <alloc/allocator.h>
#include <base/bits.h>
#include <base/error.h>
#include <os/os.h>
#include <reprise/debug.h>
#include <reprise/trace.h>
#include <string.h>
#include <trace/trace.h>

static struct {
    rp_os_lock lock;
    bool restored; /* the world's bytes came from elsewhere: what was chosen is to be applied */
} side;

/* ---- what is found ---- */

/* By the thread that found it. The text goes to the host, which names the addresses in it. */
static bool on_error(const rp_debug_error *error, void *context)
{
    (void)context;
    link_finding *finding = &the_runner.link->finding;
    rp_os_lock_take(&side.lock);
    if (!finding->count) {
        finding->kind = (uint32_t)error->kind;
        finding->offset_bytes = error->offset_bytes;
        finding->block = (uint64_t)(uintptr_t)error->block;
        finding->size_bytes = error->size_bytes;
        finding->serial = error->serial;
        rp_text_copy(finding->allocator, sizeof finding->allocator, error->allocator_name);
        finding->text[0] = 0;
    }
    size_t length = strnlen(finding->text, sizeof finding->text - 1);
    rp_text_copy(finding->text + length, sizeof finding->text - length, error->text);
    __atomic_store_n(&finding->count, finding->count + 1, __ATOMIC_RELEASE);
    rp_os_lock_drop(&side.lock);
    return true;
}

/* A fault in a signal handler: takes no lock. False: no guard of ours stands there. */
bool runner_fault_explain(const void *address, int is_write, uint64_t pc)
{
    link_finding *finding = &the_runner.link->finding;
    /* The reader takes addresses for those behind a call. */
    const void *behind = (const void *)(uintptr_t)(pc + 1);
    if (!rp_debug_explain_fault(address, is_write, behind, finding->text, sizeof finding->text)) {
        return false;
    }
    finding->kind = RP_DEBUG_GUARD_AFTER;
    finding->block = finding->size_bytes = finding->serial = 0;
    finding->offset_bytes = 0;
    finding->allocator[0] = 0;
    rp_trace_block block;
    if (rp_trace_find(address, &block)) {
        finding->offset_bytes = (const uint8_t *)address - (const uint8_t *)block.start;
        finding->block = (uint64_t)(uintptr_t)block.start;
        finding->size_bytes = block.record->size_bytes;
        finding->serial = block.record->serial;
        finding->kind = !block.live                 ? RP_DEBUG_ACCESS_AFTER_FREE
                        : finding->offset_bytes < 0 ? RP_DEBUG_GUARD_BEFORE
                                                    : RP_DEBUG_GUARD_AFTER;
    }
    finding->count = 1;
    return true;
}

/* ---- frames ---- */

rp_status runner_debug_open(void)
{
    the_runner.link->debug[LINK_DEBUG_BYTES - 1] = 0;
    rp_trace_symbols_defer(true);
    rp_debug_on_error(on_error, NULL);
    return rp_debug_parse(the_runner.link->debug);
}

rp_status runner_debug_set(void)
{
    the_runner.link->debug[LINK_DEBUG_BYTES - 1] = 0;
    return rp_debug_parse(the_runner.link->debug);
}

void runner_restored(void)
{
    side.restored = true;
}

void runner_frame_begin(void)
{
    the_runner.link->finding.count = 0;
    if (side.restored) {
        rp_trace_reconcile();
        side.restored = false;
    }
    rp_trace_frame_set(the_runner.link->frame);
    rp_trace_scope_reset();
}

void runner_frame_end(void)
{
    rp_alloc_thread_flush();
    if (rp_trace_is_marking()) {
        rp_debug_check();
    }
}
