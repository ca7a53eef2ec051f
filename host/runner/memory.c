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
#include <region/region.h>
#include <reprise/debug.h>
#include <reprise/temp.h>
#include <reprise/trace.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <trace/trace.h>

static struct {
    rp_os_lock lock;
    uint64_t escapes;  /* of temp memory, before this frame */
    bool at_frame_end; /* the check runs */
    bool restored;     /* the world's bytes came from elsewhere: what was chosen is to be applied */
} side;

/* ---- what is found ---- */

static void finding_begin(link_finding *finding, uint32_t kind)
{
    finding->kind = kind;
    finding->offset_bytes = 0;
    finding->block = finding->size_bytes = finding->serial = 0;
    finding->allocator[0] = finding->text[0] = 0;
}

/* Who found it at a frame's end is the check, whose stack says nothing. */
static void finder_drop(char *text)
{
    static const char title[] = "\n  found at\n", told[] = "\n  found at the frame's end\n";
    char *start = strstr(text, title), *end = start;
    if (!start) {
        return;
    }
    end += sizeof title - 1;
    while (strncmp(end, "    ", 4) == 0) {
        size_t length = strcspn(end, "\n");
        end += length + (end[length] == '\n');
    }
    size_t room = (size_t)(end - start);
    if (room >= sizeof told - 1) {
        memcpy(start, told, sizeof told - 1);
        memmove(start + sizeof told - 1, end, strlen(end) + 1);
    }
}

/* By the thread that found it. The text goes to the host, which names the addresses in it. */
static bool on_error(const rp_debug_error *error, void *context)
{
    (void)context;
    link_finding *finding = &the_runner.link->finding;
    rp_os_lock_take(&side.lock);
    if (!finding->count) {
        finding_begin(finding, (uint32_t)error->kind);
        finding->offset_bytes = error->offset_bytes;
        finding->block = (uint64_t)(uintptr_t)error->block;
        finding->size_bytes = error->size_bytes;
        finding->serial = error->serial;
        rp_text_copy(finding->allocator, sizeof finding->allocator, error->allocator_name);
    }
    size_t length = strnlen(finding->text, sizeof finding->text - 1);
    rp_text_copy(finding->text + length, sizeof finding->text - length, error->text);
    if (side.at_frame_end) {
        finder_drop(finding->text + length);
    }
    __atomic_store_n(&finding->count, finding->count + 1, __ATOMIC_RELEASE);
    rp_os_lock_drop(&side.lock);
    return true;
}

/* Temp memory whose scope ended is a guard, too. */
static bool temp_explain(link_finding *finding, const void *address, const void *pc)
{
    char whose[400], place[32];
    if (!rp_region_is_guard(address) || !rp_temp_explain(address, whose, sizeof whose)) {
        return false;
    }
    finding_begin(finding, LINK_FINDING_TEMP_USED);
    rp_trace_symbolise(pc, true, place, sizeof place);
    rp_text_buffer text = rp_text_buffer_over(finding->text, sizeof finding->text);
    rp_text_add(&text,
                "reprise: use after scope: temp memory was touched after its scope had ended\n"
                "  at       %p, %s\n  touched at\n    %s\n",
                address, whose, place);
    return true;
}

static bool guard_explain(link_finding *finding, const void *address, int is_write, const void *pc)
{
    rp_trace_block block;
    finding_begin(finding, RP_DEBUG_GUARD_AFTER);
    if (!rp_debug_explain_fault(address, is_write, pc, finding->text, sizeof finding->text)) {
        return false;
    }
    if (rp_trace_find(address, &block)) {
        finding->offset_bytes = (const uint8_t *)address - (const uint8_t *)block.start;
        finding->block = (uint64_t)(uintptr_t)block.start;
        finding->size_bytes = block.record->size_bytes;
        finding->serial = block.record->serial;
        finding->kind = !block.live                 ? RP_DEBUG_ACCESS_AFTER_FREE
                        : finding->offset_bytes < 0 ? RP_DEBUG_GUARD_BEFORE
                                                    : RP_DEBUG_GUARD_AFTER;
        if (block.allocator) {
            rp_text_copy(finding->allocator, sizeof finding->allocator,
                         rp_allocator_name(block.allocator));
        }
    }
    return true;
}

/* In the handler of a thread that wrote while a frame was committed; the first of a frame is told.
 */
void runner_intruder_tell(void *context, const rp_os_intruder *who)
{
    (void)context;
    static atomic_flag telling = ATOMIC_FLAG_INIT;
    link_finding *finding = &the_runner.link->finding;
    if (atomic_flag_test_and_set(&telling)) {
        return;
    }
    if (!__atomic_load_n(&finding->count, __ATOMIC_ACQUIRE)) {
        char place[32] = "a system call";
        finding_begin(finding, LINK_FINDING_THREAD_WRITE);
        finding->block = (uint64_t)(uintptr_t)who->address;
        if (who->pc) {
            rp_trace_symbolise((const void *)(uintptr_t)(who->pc + 1), true, place, sizeof place);
        }
        rp_text_buffer text = rp_text_buffer_over(finding->text, sizeof finding->text);
        rp_text_add(&text,
                    "reprise: write during a commit: thread %llu (%s) wrote while frame %llu was "
                    "committed: let it rest at a frame's end\n  at       %p, ",
                    (unsigned long long)who->thread, who->name,
                    (unsigned long long)the_runner.link->frame, who->address);
        runner_describe(&text, (uint64_t)(uintptr_t)who->address);
        rp_text_add(&text,
                    "\n  written at\n    %s\n  the write waited, and belongs to the next "
                    "frame\n",
                    place);
        __atomic_store_n(&finding->count, 1, __ATOMIC_RELEASE);
    }
    atomic_flag_clear(&telling);
}

/* In a signal handler: takes no lock. */
bool runner_fault_explain(const void *address, int is_write, uint64_t pc)
{
    link_finding *finding = &the_runner.link->finding;
    const void *behind = (const void *)(uintptr_t)(pc + 1); /* read as if it were behind a call */
    if (!temp_explain(finding, address, behind) &&
        !guard_explain(finding, address, is_write, behind)) {
        return false;
    }
    finding->count = 1;
    return true;
}

/* Kept pointers are told on standard error, one by one, at their scope's end; here is the sum. */
static void kept_pointers_find(void)
{
    link_finding *finding = &the_runner.link->finding;
    uint64_t new = rp_temp_escape_count() - side.escapes;
    if (new && !finding->count) {
        finding_begin(finding, LINK_FINDING_TEMP_KEPT);
        rp_text_buffer text = rp_text_buffer_over(finding->text, sizeof finding->text);
        rp_text_add(&text,
                    "reprise: temp memory was kept: %llu pointers into it were held when its scope "
                    "ended\n",
                    (unsigned long long)new);
        finding->count = 1;
    }
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

void runner_module_watch(void)
{
    enum { WATCHED_MOST = 12 }; /* of 16: the others are the program's */
    static size_t watched;
    const rp_world_range *ranges;
    size_t count = rp_world_ranges(the_runner.world, &ranges);
    for (size_t i = the_runner.library_ranges; i < count && watched < WATCHED_MOST; i++) {
        watched += rp_temp_watch(ranges[i].start, ranges[i].size_bytes);
    }
}

void runner_frame_begin(void)
{
    the_runner.link->finding.count = 0;
    if (side.restored) {
        rp_trace_reconcile();
        side.restored = false;
    }
    rp_trace_frame_set(the_runner.link->frame);
    rp_region_tick((uint32_t)the_runner.link->frame);
    rp_trace_scope_reset();
    side.escapes = rp_temp_escape_count();
}

void runner_frame_end(void)
{
    if (!__libc_single_threaded) { /* else nobody waits for what was freed here */
        rp_alloc_thread_flush();
    }
    kept_pointers_find();
    if (rp_trace_is_marking()) {
        side.at_frame_end = true;
        rp_debug_check();
        side.at_frame_end = false;
    }
}
