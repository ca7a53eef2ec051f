/* Return addresses by frame pointers, interned.
 *
 * A frame is two words: the caller's frame pointer, then the return address. The way is followed
 * upwards only, and only through memory that is known to be a stack of this thread:
 *
 *   the stack it was made with   limits found once a thread
 *   a stack in the region        the region's block around it, asked each time
 *   any other                    each page beyond the first is asked for, 0.3 us a page
 *
 * Code without frame pointers uses the register for something else: the way ends there, or goes on
 * at the next frame that has one. So such stacks are short, or lack frames.
 */
#include "base/bits.h"
#include "region/region.h"
#include "trace/tables.h"

#include <string.h>

static const rp_intern_shape shape = {.bucket_count = 1u << 15, .chunk_limit = 1024, .colour = 13};

enum { FIRST_CODE_ADDRESS = 4096 };

typedef struct stack_walk {
    uintptr_t low, high; /* readable */
    uintptr_t frame;
    bool ask; /* pages from `high` on may be asked for */
} stack_walk;

/* Of the thread, and not of the world: where its stacks lie. */
static _Thread_local struct {
    bool known;
    rp_os_extent stacks[2];
} limits __attribute__((tls_model("initial-exec")));

static bool within(stack_walk *walk, const void *start, size_t size_bytes)
{
    if (walk->frame - (uintptr_t)start >= size_bytes) {
        return false;
    }
    walk->high = (uintptr_t)start + size_bytes;
    return true;
}

static void find_limits(stack_walk *walk)
{
    if (!limits.known) {
        limits.known = true;
        rp_os_stacks_of_thread(limits.stacks);
    }
    if (within(walk, limits.stacks[0].start, limits.stacks[0].size_bytes) ||
        within(walk, limits.stacks[1].start, limits.stacks[1].size_bytes)) {
        return;
    }
    rp_region_block block;
    if (rp_region_contains((void *)walk->frame) &&
        rp_region_block_find((void *)walk->frame, &block) &&
        within(walk, block.start, block.size_bytes)) {
        return;
    }
    walk->high = rp_align_down(walk->frame, RP_PAGE_BYTES) + RP_PAGE_BYTES;
    walk->ask = !rp_region_contains((void *)walk->frame);
}

/* Extends the walk to the page with the end of the frame, where that can be read. */
static bool reach(stack_walk *walk, uintptr_t frame)
{
    const uintptr_t farthest = RP_KIB(64);
    uintptr_t last = frame + 2 * sizeof(uintptr_t) - 1;
    if (!walk->ask || last - walk->high > farthest ||
        !rp_os_vm_readable((void *)walk->high, last - walk->high + 1)) {
        return false;
    }
    walk->high = rp_align_down(last, RP_PAGE_BYTES) + RP_PAGE_BYTES;
    return true;
}

static bool readable(stack_walk *walk, uintptr_t frame)
{
    return frame > walk->low && frame % sizeof(uintptr_t) == 0 &&
           (frame <= walk->high - 2 * sizeof(uintptr_t) || reach(walk, frame));
}

/* The next return address; 0: the way ends. Reads other functions' frames. */
__attribute__((no_sanitize("address", "thread"))) static uintptr_t step(stack_walk *walk)
{
    if (!readable(walk, walk->frame)) {
        return 0;
    }
    const uintptr_t *frame = (const uintptr_t *)walk->frame;
    uintptr_t back = frame[1];
    walk->low = walk->frame;
    walk->frame = frame[0];
    return back >= FIRST_CODE_ADDRESS ? back : 0;
}

/* Our own frames lie between here and the caller; there are not many. */
static bool skip_to(stack_walk *walk, uintptr_t caller)
{
    const int most_of_ours = 16;
    for (int i = 0; i < most_of_ours; i++) {
        uintptr_t back = step(walk);
        if (back == caller || !back) {
            return back == caller;
        }
    }
    return false;
}

__attribute__((noinline)) size_t rp_trace_stack_walk(const void *caller, uintptr_t *addresses,
                                                     size_t capacity)
{
    stack_walk walk = {.frame = (uintptr_t)__builtin_frame_address(0)};
    find_limits(&walk);
    walk.low = walk.frame - 1;
    size_t count = 0;
    addresses[count++] = (uintptr_t)caller;
    if (!skip_to(&walk, (uintptr_t)caller)) {
        return count;
    }
    while (count < capacity && (addresses[count] = step(&walk)) != 0) {
        count++;
    }
    return count;
}

uint32_t rp_trace_stack(rp_zone zone, const void *caller)
{
    uintptr_t addresses[RP_TRACE_STACK_MOST];
    rp_trace_tables *tables = caller ? rp_trace_tables_of(zone) : NULL;
    rp_intern *stacks = tables ? rp_trace_table(tables, zone, &tables->stacks, &shape) : NULL;
    if (!stacks) {
        return 0;
    }
    size_t count = rp_trace_stack_walk(caller, addresses, RP_TRACE_STACK_MOST);
    return rp_intern_id(stacks, addresses, count * sizeof addresses[0]);
}

size_t rp_trace_stack_get(rp_zone zone, uint32_t id, const void **addresses, size_t capacity)
{
    const rp_trace_tables *tables = rp_trace_tables_if_any(zone);
    size_t bytes = 0;
    const uintptr_t *kept =
        tables && tables->stacks ? rp_intern_key(tables->stacks, id, &bytes) : NULL;
    size_t count = rp_min_size(bytes / sizeof *kept, capacity);
    for (size_t i = 0; i < count; i++) {
        addresses[i] = (const void *)kept[i];
    }
    return kept ? count : 0;
}
