/* A deck while memory runs out: under limits that are lowered to what the process has and raised
 * bit by bit, each frame either is kept or is refused with the reason and taken back; after the
 * limit is lifted all kept frames are as they were, and more can be made.
 */
#include "base/bits.h"
#include "base/error.h"
#include "support/test.h"

#include <reprise/deck.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { BLOCKS = 96, FRAMES = 400, WARM = 3, STEPS = 20, WIDE_PAGES = 6000 };

typedef struct state {
    uint32_t frame;
    uint8_t *blocks[BLOCKS];
    uint32_t sizes_bytes[BLOCKS];
    uint8_t *wide; /* WIDE_PAGES pages, of which each frame touches more */
} state;

/* What each frame held when it was committed: outside the world. */
static uint64_t noted_hash[FRAMES], noted_sum[FRAMES];

static uint64_t sum_of(const state *s)
{
    uint64_t sum = s->frame;
    for (uint32_t page = 0; page < WIDE_PAGES; page++) {
        sum = (sum ^ s->wide[page * 4096]) * UINT64_C(0x100000001b3);
    }
    for (int i = 0; i < BLOCKS; i++) {
        for (uint32_t at = 0; s->blocks[i] && at < s->sizes_bytes[i]; at += 512) {
            sum = (sum ^ s->blocks[i][at]) * UINT64_C(0x100000001b3);
        }
    }
    return sum;
}

/* Makes blocks, writes into some, frees some. An allocation that fails is left out, as a program
 * may do. */
static void step(rp_deck *deck, state *s, uint64_t random)
{
    s->frame++;
    uint32_t most = s->frame * 90 < WIDE_PAGES ? s->frame * 90 : WIDE_PAGES;
    for (uint32_t n = 0; n < most / 4; n++) {
        s->wide[test_random(&random) % most * 4096] ^= (uint8_t)(1 + s->frame);
    }
    for (int n = 0; n < 4; n++) {
        uint64_t dice = test_random(&random);
        uint32_t i = (uint32_t)(dice % BLOCKS);
        if (s->blocks[i] && dice >> 60 == 0) {
            rp_free(s->blocks[i]);
            s->blocks[i] = NULL;
        } else if (!s->blocks[i]) {
            s->sizes_bytes[i] = (uint32_t)(1 + (dice >> 20) % 64) * 4096;
            s->blocks[i] = rp_alloc_zeroed(rp_deck_heap(deck), 1, s->sizes_bytes[i]);
        }
        if (s->blocks[i]) {
            uint32_t from = (uint32_t)(dice >> 32) % s->sizes_bytes[i];
            memset(s->blocks[i] + from, (int)dice, s->sizes_bytes[i] - from);
        }
    }
}

static rlim_t virtual_bytes(int resource)
{
    unsigned long long size = 0, text, data = 0, other;
    FILE *statm = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(statm);
    ck_assert_int_eq(
        fscanf(statm, "%llu %llu %llu %llu %llu %llu", &size, &other, &other, &text, &other, &data),
        6);
    fclose(statm);
    return (rlim_t)(resource == RLIMIT_AS ? size : data) * 4096;
}

/* RLIMIT_FSIZE holds for memory files, too; what history holds lies at the front of its file. */
static rlim_t now_bytes(int resource, const rp_deck *deck)
{
    rp_deck_status status;
    rp_deck_status_get(deck, &status);
    return resource == RLIMIT_FSIZE ? status.world_bytes + status.history_bytes
                                    : virtual_bytes(resource);
}

static void limit_set(int resource, rlim_t bytes)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(resource, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    ck_assert_int_eq(setrlimit(resource, &limit), 0);
}

typedef struct run {
    rp_deck *deck;
    state *s;
    uint64_t seed; /* an attempt is not made the same way again */
    uint32_t kept, refused, lost;
} run;

/* Whether the state is that of the frame which the deck says. */
static void check_now(run *r)
{
    rp_deck_status status;
    uint64_t hash;
    rp_deck_status_get(r->deck, &status);
    r->lost += status.lost;
    if (status.lost) {
        return;
    }
    ck_assert_uint_eq(r->s->frame, status.frame);
    ck_assert_uint_eq(sum_of(r->s), noted_sum[status.frame]);
    if (rp_state_hash(r->deck, status.frame, &hash) == RP_OK) { /* it may want memory, too */
        noted_hash[status.frame] = noted_hash[status.frame] ? noted_hash[status.frame] : hash;
        ck_assert_uint_eq(hash, noted_hash[status.frame]);
    }
}

/* Large, so that the log's own memory grows in each frame. */
static uint8_t input[60000];

static void make_frame(run *r)
{
    rp_deck_status begun;
    memset(input, (int)r->s->frame, sizeof input);
    rp_frame_begin(r->deck, input, sizeof input);
    rp_deck_status_get(r->deck, &begun);
    if (begun.lost) { /* nothing to make a step of */
        ck_assert_int_ne(rp_frame_end(r->deck, NULL), RP_OK);
        ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "state was lost"));
        r->refused++;
        return;
    }
    check_now(r);
    step(r->deck, r->s, test_random(&r->seed));
    uint32_t frame = r->s->frame;
    ck_assert_uint_lt(frame, FRAMES);
    uint64_t sum = sum_of(r->s);
    rp_status status = rp_frame_end(r->deck, NULL);
    if (status == RP_OK) {
        noted_sum[frame] = sum;
        noted_hash[frame] = 0;
        r->kept++;
    } else {
        r->refused++;
        ck_assert_msg(status == RP_E_MEMORY || status == RP_E_SYSTEM || status == RP_E_LIMIT,
                      "%d: %s", status, rp_error_last()->text);
        bool taken = strstr(rp_error_last()->text, "was taken back");
        ck_assert_msg(taken || strstr(rp_error_last()->text, "state was lost"), "%s",
                      rp_error_last()->text);
    }
    check_now(r);
}

/* Any frame that is kept, while there is little memory: it comes back as it was, or nothing
 * changes. */
static void seek_somewhere(run *r)
{
    rp_deck_status status;
    rp_deck_status_get(r->deck, &status);
    uint64_t span = status.newest_frame - status.oldest_frame + 1;
    uint64_t frame = status.oldest_frame + test_random(&r->seed) % span;
    if (rp_seek(r->deck, frame) != RP_OK) {
        ck_assert_msg(rp_error_last()->text[0], "a seek failed without a text");
    }
    check_now(r);
    (void)rp_seek(r->deck, status.frame); /* else it goes on from there */
    check_now(r);
}

static void check_all(run *r)
{
    rp_deck_status status;
    rp_deck_status_get(r->deck, &status);
    uint32_t found = 0;
    for (uint64_t frame = status.oldest_frame; frame <= status.newest_frame; frame++) {
        if (rp_seek(r->deck, frame) == RP_OK) {
            check_now(r);
            found++;
        }
    }
    ck_assert_uint_gt(found, 1);
}

static void run_out_of(int resource, rlim_t step_bytes)
{
    rp_deck_desc desc = {
        .reserve_bytes = RP_GIB(1), .budget_bytes = RP_MIB(24), .input_bytes = sizeof input};
    run r = {.seed = test_seed()};
    ck_ok(rp_deck_open(&desc, &r.deck));
    r.s = rp_alloc_zeroed(rp_deck_heap(r.deck), 1, sizeof *r.s);
    r.s->wide = rp_alloc_zeroed(rp_deck_heap(r.deck), WIDE_PAGES, 4096);
    ck_assert_ptr_nonnull(r.s->wide);
    noted_sum[0] = sum_of(r.s);
    for (int i = 0; i < WARM; i++) {
        make_frame(&r);
    }
    ck_assert_uint_eq(r.refused, 0);
    rlim_t least = now_bytes(resource, r.deck);
    for (rlim_t i = 0; i < STEPS; i++) {
        limit_set(resource, RLIM_INFINITY); /* reading /proc wants memory */
        rlim_t now = resource == RLIMIT_FSIZE ? least : now_bytes(resource, r.deck);
        bool lifted = resource == RLIMIT_DATA && i % 4 == 3;
        limit_set(resource, lifted ? RLIM_INFINITY
                                   : now + (resource == RLIMIT_FSIZE ? i : i % 8) * step_bytes);
        for (int n = 0; n < 4; n++) {
            make_frame(&r);
        }
        seek_somewhere(&r);
    }
    limit_set(resource, RLIM_INFINITY);
    printf("%u frames kept, %u refused, the state lost %u times\n", r.kept, r.refused, r.lost);
    if (resource != RLIMIT_AS) { /* what is reserved needs no more */
        ck_assert_uint_gt(r.refused, 0);
    }
    uint32_t refused = r.refused, lost = r.lost;
    for (int i = 0; i < 20; i++) {
        make_frame(&r);
    }
    ck_assert_uint_eq(r.refused, refused);
    ck_assert_uint_eq(r.lost, lost);
    check_all(&r);
    rp_deck_close(r.deck);
}

TEST(frames_are_kept_or_refused_while_writable_memory_runs_out)
{
    run_out_of(RLIMIT_DATA, 32 << 10);
}

TEST(frames_are_kept_or_refused_while_address_space_runs_out)
{
    run_out_of(RLIMIT_AS, 32 << 10);
}

TEST(frames_are_kept_or_refused_while_the_file_of_history_cannot_grow)
{
    signal(SIGXFSZ, SIG_IGN);
    run_out_of(RLIMIT_FSIZE, 512 << 10);
}
