/* The window through which slots are written by stores.
 *
 * The log's file is mapped read-only: a stray store of the program faults and history stays whole.
 * While a collect runs and the program rests, the part of the view that holds the offered slots is
 * made writable, and read-only again before the collect ends. To change the protection of small
 * pages costs 0.12 us each, twice, which is all that a store saves over pwritev; that of a huge
 * page costs as much as that of one small page. So the window opens only over huge pages of the
 * file: 7 us for both ways, and copying past the caches then takes half of what pwritev takes.
 *
 * Memory files have no huge pages by default, but can be collapsed into them (Linux 6.1). That
 * takes 0.2 ms and more for 2 MiB: in time that nobody waits for, or for a chunk that is about to
 * be filled wholly, where 512 fresh small pages would cost more. Where there are none, pwritev it
 * is.
 */
#include "base/assert.h"
#include "base/error.h"
#include "history/world_private.h"

#include <string.h>

enum {
    PAGES_LEAST = 12, /* fewer are written faster by pwritev than a window opens and closes, */
    PAGES_MOST = 48,  /* wherever that may be found to lie: */
    MANY_PAGES = 128,
    SAVED_NS = 400, /* by each page that is stored */
    TURN_NS_MOST = 100000,
    FILL_LEAST = 384,  /* slots of a chunk that are filled at once, */
    FILL_PAGES = 4096, /* by a collect as large as when a program starts */
    CHUNKS_AHEAD = 4,  /* kept huge ahead of the slots in use */
};

typedef enum world_chunk_state {
    CHUNK_UNKNOWN = 0,
    CHUNK_WANTED, /* written by calls since it is not huge */
    CHUNK_HUGE,
    CHUNK_REFUSED,
} world_chunk_state;

static uint8_t *chunk_start(const rp_world *world, uint32_t chunk)
{
    return (uint8_t *)(uintptr_t)world->view + (size_t)chunk * RP_OS_HUGE_BYTES;
}

uint8_t *world_window_slot(const rp_world *world, uint32_t slot)
{
    return (uint8_t *)(uintptr_t)world->view + (size_t)slot * RP_PAGE_BYTES;
}

/* A chunk of which nothing was ever touched has no page tables, which the system asks for. */
static bool make_huge(rp_world *world, uint32_t chunk)
{
    world_window *window = &world->window;
    uint8_t *start = chunk_start(world, chunk);
    if (window->refused || (uintptr_t)start % RP_OS_HUGE_BYTES != 0) {
        return false;
    }
    uint64_t begin_ns = rp_os_monotonic_ns();
    (void)*(volatile uint8_t *)start;
    rp_status status = rp_os_vm_collapse(start, RP_OS_HUGE_BYTES);
    window->collapse_ns = rp_os_monotonic_ns() - begin_ns;
    window->chunks[chunk] = status == RP_OK ? CHUNK_HUGE : CHUNK_REFUSED;
    world->stats.log_huge_count += status == RP_OK;
    return status == RP_OK;
}

/* ---- open and closed ---- */

static bool is_open(const world_window *window, uint32_t chunk)
{
    return chunk >= window->open_first && chunk < window->open_end;
}

static bool all_huge(const world_window *window, uint32_t first, uint32_t end)
{
    for (uint32_t chunk = first; chunk < end; chunk++) {
        if (window->chunks[chunk] != CHUNK_HUGE) {
            return false;
        }
    }
    return true;
}

/* A change of protection is felt by other processors where a thread of this process runs. */
static size_t pages_least(const world_window *window)
{
    size_t pages = rp_max_size((size_t)(window->turn_ns / SAVED_NS), PAGES_LEAST);
    return rp_min_size(pages, PAGES_MOST);
}

static rp_status set_writable(rp_world *world, uint32_t first, uint32_t end, bool writable)
{
    return rp_os_vm_protect(chunk_start(world, first), (size_t)(end - first) * RP_OS_HUGE_BYTES,
                            writable ? RP_OS_READ_WRITE : RP_OS_READ);
}

/* Goes on over huge chunks for as many slots as are still to come, and at least doubles what is
 * open, so that slots that lie apart take few steps. */
static uint32_t open_until(const world_window *window, uint32_t chunk, size_t pages_left)
{
    uint32_t least = window->open_end - window->open_first;
    uint32_t wanted = (uint32_t)((pages_left + WORLD_CHUNK_PAGES - 1) / WORLD_CHUNK_PAGES) + 1;
    uint32_t most = wanted > least ? wanted : least, end = chunk + 1;
    while (end < WORLD_FILE_CHUNKS && end - chunk < most && window->chunks[end] == CHUNK_HUGE) {
        end++;
    }
    return end;
}

/* What is open is one stretch: it grows upwards over huge chunks, or another takes its place, which
 * a few slots are not worth. Who wants many gets them from chunks in which many are free, if not in
 * one run (log_slots.c). */
static bool open_chunk(rp_world *world, uint32_t chunk, uint32_t slots, size_t pages_left)
{
    world_window *window = &world->window;
    uint32_t first = chunk, end = open_until(window, chunk, pages_left);
    bool any = window->open_end > window->open_first;
    bool joins = any && chunk >= window->open_end && all_huge(window, window->open_end, chunk);
    if (joins) {
        first = window->open_end;
    } else if ((any && slots < pages_least(window) && pages_left < MANY_PAGES) ||
               world_window_close(world) != RP_OK) {
        return false;
    }
    uint64_t begin_ns = rp_os_monotonic_ns();
    if (set_writable(world, first, end, true) != RP_OK) {
        return false;
    }
    /* Opened and closed again: an average over some eight times. */
    uint64_t turn_ns = 2 * (rp_os_monotonic_ns() - begin_ns);
    turn_ns = turn_ns < TURN_NS_MOST ? turn_ns : TURN_NS_MOST;
    window->turn_ns = window->turn_ns - window->turn_ns / 8 + turn_ns / 8;
    window->open_first = joins ? window->open_first : first;
    window->open_end = end;
    return true;
}

rp_status world_window_close(rp_world *world)
{
    world_window *window = &world->window;
    if (window->open_first == window->open_end) {
        return RP_OK;
    }
    rp_status status = set_writable(world, window->open_first, window->open_end, false);
    if (status != RP_OK) { /* all of the view needs no mapping to be split */
        window->refused = true;
        status = set_writable(world, 0, WORLD_FILE_CHUNKS, false);
    }
    if (status == RP_OK) {
        window->open_first = window->open_end = 0;
    }
    return status;
}

/* ---- the way of a run ---- */

/* The log gives memory of its file back by whole chunks, which are then not huge any more, without
 * telling anybody (log_room.c). Costs 1 us where the chunk is there. */
static bool is_there(const rp_world *world, uint32_t chunk)
{
    return rp_os_vm_resident(chunk_start(world, chunk), RP_OS_HUGE_BYTES) == RP_OS_HUGE_BYTES;
}

static bool can_open(rp_world *world, rp_slot_run part, size_t pages_left)
{
    world_window *window = &world->window;
    uint32_t chunk = part.first / WORLD_CHUNK_PAGES;
    if (window->refused) {
        return false;
    }
    if (window->chunks[chunk] == CHUNK_HUGE && !is_open(window, chunk) && !is_there(world, chunk)) {
        window->chunks[chunk] = CHUNK_UNKNOWN;
    }
    if (window->chunks[chunk] != CHUNK_HUGE) {
        bool fills = part.count >= FILL_LEAST && pages_left >= FILL_PAGES;
        if (!fills || window->chunks[chunk] == CHUNK_REFUSED || !make_huge(world, chunk)) {
            return false;
        }
    }
    return is_open(window, chunk) ||
           (pages_left >= pages_least(window) && open_chunk(world, chunk, part.count, pages_left));
}

uint32_t world_window_open(rp_world *world, rp_slot_run run, size_t pages_left, uint32_t *by_call)
{
    world_window *window = &world->window;
    uint32_t chunk = run.first / WORLD_CHUNK_PAGES;
    uint32_t in_chunk = WORLD_CHUNK_PAGES - run.first % WORLD_CHUNK_PAGES;
    rp_slot_run part = {run.first, run.count < in_chunk ? run.count : in_chunk};
    window->next_chunk = part.count >= PAGES_LEAST ? chunk : window->next_chunk;
    *by_call = 0;
    if (can_open(world, part, pages_left)) {
        return part.count;
    }
    if (window->chunks[chunk] == CHUNK_UNKNOWN && part.count >= PAGES_LEAST) {
        window->chunks[chunk] = CHUNK_WANTED;
    }
    window->turn_ns -= window->turn_ns / 64; /* what was found once is tried again some time */
    *by_call = part.count;
    return 0;
}

/* ---- in time that nobody waits for ---- */

/* Slots are taken round the file, so those behind the last ones are next; and what was written by
 * calls will be written again. WORLD_FILE_CHUNKS: nothing to do. */
static uint32_t next_to_make(const world_window *window)
{
    uint32_t next = window->next_chunk;
    for (uint32_t chunk = next; chunk < next + CHUNKS_AHEAD && chunk < WORLD_FILE_CHUNKS; chunk++) {
        if (window->chunks[chunk] == CHUNK_UNKNOWN || window->chunks[chunk] == CHUNK_WANTED) {
            return chunk;
        }
    }
    const uint8_t *chunks = window->chunks;
    const uint8_t *found = memchr(chunks + next, CHUNK_WANTED, WORLD_FILE_CHUNKS - next);
    found = found ? found : memchr(chunks, CHUNK_WANTED, next);
    return found ? (uint32_t)(found - chunks) : WORLD_FILE_CHUNKS;
}

void world_window_tend(rp_world *world, const world_tending *tending)
{
    world_window *window = &world->window;
    while (!window->refused) {
        uint32_t chunk = next_to_make(window);
        if (chunk == WORLD_FILE_CHUNKS) {
            return;
        }
        if (!world_tend_may(tending, window->collapse_ns)) {
            window->collapse_ns -= window->collapse_ns / 16; /* one slow one is no rule */
            return;
        }
        if (!make_huge(world, chunk)) {
            return;
        }
    }
}
