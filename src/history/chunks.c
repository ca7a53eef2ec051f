/* The region's huge pages: which of them were split, and making them whole again.
 *
 * The first store into a protected huge page splits it (15 to 29 us), and from then on a scan walks
 * its 512 small pages (0.6 to 1.7 us) where it looked at one thing (0.07 us). A chunk that was not
 * written for some frames is collapsed again, in time that nobody waits for. That is worth while
 * where it then rests for longer than the next split costs, some 16 frames: a chunk that was split
 * again sooner has to rest for twice as long the next time.
 *
 * Being wrong here costs time and no content: a chunk is collapsed only where the tracker says that
 * nothing in it was written since the last collect.
 */
#include "history/world_private.h"

enum {
    REST_FRAMES = 16,
    PATIENCE_MOST = 6, /* doublings of it */
    LOOKS_A_TEND = 4096,
};

/* A word: split now | made huge by us | doublings of the rest | number of the collect in which it
 * was last written, or in which it was made huge. */
#define CHUNK_SPLIT (UINT32_C(1) << 31)
#define CHUNK_MADE (UINT32_C(1) << 30)
#define CHUNK_PATIENCE_SHIFT 27
#define CHUNK_NUMBER_MASK ((UINT32_C(1) << CHUNK_PATIENCE_SHIFT) - 1)

static uint32_t patience_of(uint32_t word)
{
    return word >> CHUNK_PATIENCE_SHIFT & 7;
}

static uint32_t frames_since(const rp_world *world, uint32_t word)
{
    return (world->hot.collect_number - word) & CHUNK_NUMBER_MASK;
}

static uint32_t rest_of(uint32_t patience)
{
    return (uint32_t)REST_FRAMES << patience;
}

static uint32_t word_of(const rp_world *world, uint32_t flags, uint32_t patience)
{
    return flags | patience << CHUNK_PATIENCE_SHIFT |
           (world->hot.collect_number & CHUNK_NUMBER_MASK);
}

static void touch(rp_world *world, uint32_t chunk)
{
    uint32_t *word = &world->chunks.words.words[chunk], patience = patience_of(*word);
    if (*word & CHUNK_MADE) {
        bool soon = frames_since(world, *word) < rest_of(patience);
        patience = !soon ? 0 : patience < PATIENCE_MOST ? patience + 1 : patience;
    }
    world->stats.split_count += !(*word & CHUNK_SPLIT);
    *word = word_of(world, CHUNK_SPLIT, patience);
}

/* What is written as a whole was written while it was not protected, and stays huge. */
void world_chunks_touched(rp_world *world, uint32_t page, uint32_t count)
{
    uint32_t first = page / WORLD_CHUNK_PAGES, last = (page + count - 1) / WORLD_CHUNK_PAGES;
    if (!count || page >= RP_PAGE_EXTRA ||
        rp_sparse_need(&world->chunks.words, first, last - first + 1) != RP_OK) {
        return;
    }
    for (uint32_t chunk = first; chunk <= last; chunk++) {
        uint32_t start = chunk * WORLD_CHUNK_PAGES;
        bool whole = page <= start && page + count >= start + WORLD_CHUNK_PAGES;
        if (!whole || world->chunks.words.words[chunk] & CHUNK_SPLIT) {
            touch(world, chunk);
        }
    }
}

/* ---- in time that nobody waits for ---- */

static bool is_hot(const rp_world *world, uint32_t page)
{
    for (size_t i = 0; i < world->hot.run_count; i++) {
        world_run run = world->hot.runs[i];
        if (run.page < page + WORLD_CHUNK_PAGES && run.page + run.count > page) {
            return true;
        }
    }
    return false;
}

static bool is_scratch(const rp_world *world, const uint8_t *start)
{
    return start < world->scratch_end && start + RP_OS_HUGE_BYTES > world->scratch_start;
}

static bool wants_huge(const rp_world *world, uint32_t chunk)
{
    uint32_t word = rp_sparse_get(&world->chunks.words, chunk), page = chunk * WORLD_CHUNK_PAGES;
    return word & CHUNK_SPLIT && frames_since(world, word) >= rest_of(patience_of(word)) &&
           !is_hot(world, page) && !is_scratch(world, world_page_start(page));
}

/* Returns false where tracking fails: then the next gather compares everything. */
static bool make_huge(rp_world *world, uint32_t chunk)
{
    uint32_t *word = &world->chunks.words.words[chunk];
    rp_os_huge result;
    uint64_t begin_ns = rp_os_monotonic_ns();
    rp_status status = rp_os_track_make_huge(&world->tracker,
                                             world_page_start(chunk * WORLD_CHUNK_PAGES), &result);
    if (status != RP_OK) {
        world->unknown = true;
        return false;
    }
    if (result == RP_OS_HUGE_MADE || result == RP_OS_HUGE_ALREADY) {
        world->stats.split_count--;
        world->stats.collapse_count += result == RP_OS_HUGE_MADE;
        *word = word_of(world, CHUNK_MADE, patience_of(*word));
    } else { /* asked again after another rest, a longer one where the system refused */
        *word = word_of(world, CHUNK_SPLIT,
                        result == RP_OS_HUGE_WRITTEN ? patience_of(*word) : PATIENCE_MOST);
    }
    if (result == RP_OS_HUGE_MADE || result == RP_OS_HUGE_REFUSED) {
        world->chunks.collapse_ns = rp_os_monotonic_ns() - begin_ns;
    }
    return true;
}

/* The frames in between may write anywhere, so the look goes on where it ended. */
void world_chunks_tend(rp_world *world, const world_tending *tending)
{
    rp_region_span spans[RP_REGION_SPANS];
    if (world_compares(world) || rp_os_track_takes_signals(&world->tracker) || world->unknown) {
        return;
    }
    rp_region_committed(RP_ZONE_WORLD, spans);
    rp_region_span units = spans[RP_REGION_SPANS - 1];
    uint32_t first = world_page_of(units.start) / WORLD_CHUNK_PAGES;
    uint32_t count = (uint32_t)(units.size_bytes / RP_OS_HUGE_BYTES);
    uint32_t looks = count < LOOKS_A_TEND ? count : LOOKS_A_TEND;
    world_chunks *chunks = &world->chunks;
    for (; looks > 0 && world->stats.split_count > 0; looks--) {
        chunks->next = chunks->next + 1 < count ? chunks->next + 1 : 0;
        if (!wants_huge(world, first + chunks->next)) {
            continue;
        }
        if (!world_tend_may(tending, chunks->collapse_ns)) {
            chunks->collapse_ns -= chunks->collapse_ns / 16; /* one slow one is no rule */
            chunks->next = chunks->next ? chunks->next - 1 : count - 1;
            return;
        }
        if (!make_huge(world, first + chunks->next)) {
            return;
        }
    }
}
