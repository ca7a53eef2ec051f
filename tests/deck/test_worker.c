/* Workers of a small job system beside the deck: jobs that write, jobs that allocate and free, and
 * seeks and loops in between while the threads live.
 */
#include "base/bits.h"
#include "region/region.h"
#include "support/test.h"

#include <pthread.h>
#include <reprise/deck.h>
#include <reprise/worker.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 4, JOBS = 24, CELL_WORDS = 6000, BLOCKS = 60 };

/* ---- the world ---- */

typedef struct job_state {
    uint64_t random;
    uint64_t cells[CELL_WORDS];
    uint32_t *blocks[BLOCKS]; /* each filled with its first word */
    uint32_t counts[BLOCKS];  /* of words */
} job_state;

typedef struct world {
    uint32_t frame, seed;
    job_state jobs[JOBS];
} world;

/* A place of its own: what comes out does not depend on who runs it, or when. */
static void write_cells(world *w, uint32_t job)
{
    job_state *state = &w->jobs[job];
    uint64_t dice = test_random(&state->random);
    uint32_t start = (uint32_t)(dice % CELL_WORDS), count = (uint32_t)(dice >> 32) % 900;
    for (uint32_t i = 0; i < count; i++) {
        state->cells[(start + i) % CELL_WORDS] += dice * (i + 1) + w->seed;
    }
}

static bool block_is_whole(const job_state *state, uint32_t i)
{
    for (uint32_t k = 1; k < state->counts[i]; k++) {
        if (state->blocks[i][k] != state->blocks[i][0]) {
            return false;
        }
    }
    return true;
}

/* Blocks that another worker made are freed by this one. */
static void churn_blocks(rp_allocator *heap, world *w, uint32_t job)
{
    job_state *state = &w->jobs[job];
    for (int n = 0; n < 20; n++) {
        uint64_t dice = test_random(&state->random);
        uint32_t i = (uint32_t)(dice % BLOCKS), words = 1 + (uint32_t)(dice >> 20) % 300;
        words = dice % 31 == 0 ? words * 100 : words;
        ck_assert(block_is_whole(state, i));
        rp_free(state->blocks[i]);
        state->blocks[i] = rp_alloc(heap, words * sizeof(uint32_t));
        state->counts[i] = words;
        for (uint32_t k = 0; k < words; k++) {
            state->blocks[i][k] = (uint32_t)dice;
        }
    }
}

/* What the blocks hold, wherever they lie. */
static uint64_t walk(const world *w)
{
    uint64_t sum = w->frame;
    for (uint32_t job = 0; job < JOBS; job++) {
        const job_state *state = &w->jobs[job];
        for (uint32_t i = 0; i < BLOCKS; i++) {
            ck_assert(block_is_whole(state, i));
            sum = sum * 31 + state->counts[i] + (state->counts[i] ? state->blocks[i][0] : 0);
        }
        for (uint32_t i = 0; i < CELL_WORDS; i += 11) {
            sum = sum * 31 + state->cells[i];
        }
    }
    return sum;
}

/* ---- the job system ---- */

typedef struct pool {
    rp_deck *deck;
    rp_allocator *heap;
    world *world;
    bool churn; /* else write_cells */
    pthread_t threads[THREADS];
    int thread_count;
    pthread_mutex_t lock;
    pthread_cond_t wanted, done;
    uint32_t next, finished; /* jobs of this frame */
    bool quit;
    atomic_uint entered;
} pool;

static void run_job(pool *p, uint32_t job)
{
    if (p->churn) {
        churn_blocks(p->heap, p->world, job);
    } else {
        write_cells(p->world, job);
    }
}

/* The next job; JOBS: none will come. */
static uint32_t take_job(pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->next == JOBS && !p->quit) {
        pthread_cond_wait(&p->wanted, &p->lock);
    }
    uint32_t job = p->quit ? JOBS : p->next++;
    pthread_mutex_unlock(&p->lock);
    return job;
}

static void job_done(pool *p)
{
    pthread_mutex_lock(&p->lock);
    if (++p->finished == JOBS) {
        pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *context)
{
    pool *p = context;
    rp_worker *worker;
    char name[32];
    uint32_t number = atomic_load(&p->entered), job;
    snprintf(name, sizeof name, "jobs %u", number);
    ck_ok(rp_worker_enter(p->deck, name, &worker));
    atomic_fetch_add(&p->entered, 1);
    while ((job = take_job(p)) < JOBS && rp_worker_resume(worker)) {
        run_job(p, job);
        job_done(p);
        rp_worker_rest(worker);
    }
    rp_worker_leave(worker);
    return NULL;
}

static void start_threads(pool *p, int count)
{
    p->quit = false;
    atomic_store(&p->entered, 0);
    for (p->thread_count = 0; p->thread_count < count; p->thread_count++) {
        ck_assert_int_eq(pthread_create(&p->threads[p->thread_count], NULL, work, p), 0);
        while (atomic_load(&p->entered) <= (unsigned)p->thread_count) {
            sched_yield();
        }
    }
}

static void join_threads(pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_broadcast(&p->wanted);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->thread_count; i++) {
        pthread_join(p->threads[i], NULL);
    }
    p->thread_count = 0;
}

static pool *open_pool(rp_tracking tracking, bool churn)
{
    static pool one;
    one = (pool){.churn = churn, .next = JOBS};
    pthread_mutex_init(&one.lock, NULL);
    pthread_cond_init(&one.wanted, NULL);
    pthread_cond_init(&one.done, NULL);
    rp_deck_desc desc = {.reserve_bytes = RP_GIB(4), .tracking = tracking};
    ck_ok(rp_deck_open(&desc, &one.deck));
    one.heap = rp_heap_create(&(rp_heap_desc){.name = "jobs"});
    one.world = rp_new(rp_deck_heap(one.deck), world, 1);
    for (uint32_t i = 0; i < JOBS; i++) {
        one.world->jobs[i].random = i * 77 + 5;
    }
    start_threads(&one, THREADS);
    return &one;
}

static void close_pool(pool *p)
{
    rp_workers_dismiss(p->deck);
    join_threads(p);
    rp_deck_close(p->deck);
}

static rp_moment frame(pool *p, uint32_t input, rp_frame_info *info)
{
    rp_moment moment = rp_frame_begin(p->deck, &input, sizeof input);
    p->world->frame++;
    p->world->seed += input;
    pthread_mutex_lock(&p->lock);
    p->next = p->finished = 0;
    pthread_cond_broadcast(&p->wanted);
    while (p->finished < JOBS) {
        pthread_cond_wait(&p->done, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    ck_ok(rp_frame_end(p->deck, info));
    return moment;
}

static uint64_t hash_at(const pool *p, uint64_t frame_number)
{
    uint64_t hash;
    ck_ok(rp_state_hash(p->deck, frame_number, &hash));
    return hash;
}

/* ---- jobs with places of their own ---- */

static void loop_and_seek(rp_tracking tracking)
{
    enum { FRAMES = 60 };
    static uint64_t hashes[FRAMES + 1], walks[FRAMES + 1];
    uint64_t random = test_seed();
    pool *p = open_pool(tracking, false);
    rp_frame_info info;
    for (uint32_t i = 1; i <= FRAMES; i++) {
        frame(p, i, &info);
        hashes[i] = hash_at(p, i);
        walks[i] = walk(p->world);
    }
    for (int i = 0; i < 40; i++) {
        uint64_t to = 1 + test_random(&random) % FRAMES;
        ck_ok(rp_seek(p->deck, to));
        ck_assert_uint_eq(walk(p->world), walks[to]);
    }
    ck_ok(rp_loop(p->deck, 20, 40));
    for (int i = 0; i < 6 * 20; i++) {
        ck_assert_int_eq(frame(p, 999, &info), RP_MOMENT_REPLAY);
        ck_assert_uint_eq(info.diverged, 0);
        ck_assert_uint_eq(hash_at(p, info.frame), hashes[info.frame]);
    }
    close_pool(p);
}

TEST(jobs_with_places_of_their_own_come_out_the_same_with_tracked_pages)
{
    loop_and_seek(RP_TRACKING_AUTO);
}

TEST(jobs_with_places_of_their_own_come_out_the_same_with_compared_pages)
{
    loop_and_seek(RP_TRACKING_COMPARE);
}

/* ---- jobs that allocate ---- */

/* Threads keep their places in the allocators' caches while the caches themselves are taken back to
 * what they were, or to before there were any. */
static void seek_under_living_caches(rp_tracking tracking)
{
    enum { MOST = 4000 };
    static uint64_t walks[MOST];
    int rounds = getenv("RP_LONG") ? 300 : 40;
    uint64_t random = test_seed(), at = 0;
    pool *p = open_pool(tracking, true);
    rp_frame_info info;
    frame(p, 0, &info);
    walks[1] = walk(p->world);
    for (int round = 0; round < rounds; round++) {
        for (uint64_t count = test_random(&random) % 8; count; count--) {
            frame(p, 0, &info);
            walks[info.frame] = walk(p->world);
        }
        ck_assert(rp_region_check(RP_ZONE_WORLD));
        at = 1 + test_random(&random) % info.frame;
        ck_ok(rp_seek(p->deck, at));
        ck_assert_uint_eq(walk(p->world), walks[at]);
        ck_assert(rp_region_check(RP_ZONE_WORLD));
        if (round % 10 == 9) { /* other threads take the places over */
            join_threads(p);
            start_threads(p, 1 + round / 10 % THREADS);
            ck_ok(rp_seek(p->deck, at)); /* what the ends of threads wrote is dropped */
            ck_assert_uint_eq(walk(p->world), walks[at]);
        }
        info.frame = at;
    }
    ck_ok(rp_seek(p->deck, 0)); /* no cache was made yet */
    for (uint32_t i = 1; i < 5; i++) {
        frame(p, 0, &info);
    }
    ck_assert_uint_eq(info.frame, 4);
    walk(p->world);
    close_pool(p);
}

TEST(caches_of_living_threads_are_right_after_seeks_with_tracked_pages)
{
    seek_under_living_caches(RP_TRACKING_AUTO);
}

TEST(caches_of_living_threads_are_right_after_seeks_with_compared_pages)
{
    seek_under_living_caches(RP_TRACKING_COMPARE);
}

/* ---- jobs over several frames ---- */

typedef struct long_job {
    rp_deck *deck;
    uint64_t *counter; /* of the world */
    atomic_bool started, deaf;
    bool dismissed;
} long_job;

static void *work_long(void *context)
{
    long_job *job = context;
    rp_worker *worker;
    ck_ok(rp_worker_enter(job->deck, "long job", &worker));
    atomic_store(&job->started, true);
    bool goes_on = rp_worker_resume(worker);
    while (goes_on) {
        job->counter[0]++;
        job->counter[1]++; /* a commit in between would show */
        goes_on = atomic_load(&job->deaf) || rp_worker_poll(worker);
    }
    job->dismissed = true;
    rp_worker_leave(worker);
    return NULL;
}

static pthread_t start_long(long_job *job, uint32_t park_ms)
{
    pthread_t thread;
    ck_ok(
        rp_deck_open(&(rp_deck_desc){.reserve_bytes = RP_GIB(1), .park_ms = park_ms}, &job->deck));
    job->counter = rp_alloc_zeroed(rp_deck_heap(job->deck), 2, sizeof *job->counter);
    ck_assert_int_eq(pthread_create(&thread, NULL, work_long, job), 0);
    while (!atomic_load(&job->started)) {
        sched_yield();
    }
    return thread;
}

static void end_long(long_job *job, pthread_t thread)
{
    rp_workers_dismiss(job->deck);
    pthread_join(thread, NULL);
    ck_assert(job->dismissed);
    rp_deck_close(job->deck);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

TEST(a_job_over_several_frames_parks_at_each_end)
{
    enum { FRAMES = 100 };
    static long_job job;
    uint64_t counts[FRAMES + 1];
    pthread_t thread = start_long(&job, 0);
    for (int i = 1; i <= FRAMES; i++) {
        rp_frame_begin(job.deck, NULL, 0);
        nap();
        ck_ok(rp_frame_end(job.deck, NULL));
        counts[i] = job.counter[0];
        ck_assert_uint_eq(job.counter[1], counts[i]);
        nap();
        ck_assert_uint_eq(job.counter[0], counts[i]); /* between frames it rests */
    }
    ck_assert_uint_gt(counts[FRAMES], 0);
    for (int i = FRAMES; i > 0; i -= 9) {
        ck_ok(rp_seek(job.deck, (uint64_t)i));
        ck_assert_uint_eq(job.counter[0], counts[i]);
        ck_assert_uint_eq(job.counter[1], counts[i]);
    }
    end_long(&job, thread);
}

TEST(a_worker_that_does_not_rest_is_named_and_the_frame_stays_open)
{
    static long_job job;
    pthread_t thread = start_long(&job, 30);
    atomic_store(&job.deaf, true);
    rp_frame_begin(job.deck, NULL, 0);
    nap();
    rp_status status;
    do { /* until it runs, at the latest then */
        status = rp_frame_end(job.deck, NULL);
        if (status == RP_OK) {
            rp_frame_begin(job.deck, NULL, 0);
            nap();
        }
    } while (status == RP_OK);
    ck_assert_int_eq(status, RP_E_TIMEOUT);
    ck_assert_ptr_nonnull(
        strstr(rp_error_last()->text, "worker 'long job' did not rest within 30"));
    atomic_store(&job.deaf, false);
    ck_ok(rp_frame_end(job.deck, NULL));
    ck_assert_uint_eq(job.counter[0], job.counter[1]);
    end_long(&job, thread);
}

/* ---- threads that come and go ---- */

static void *work_once(void *context)
{
    rp_deck *deck = context;
    rp_worker *worker;
    uint64_t *blocks[50];
    ck_ok(rp_worker_enter(deck, "short", &worker));
    if (rp_worker_resume(worker)) {
        for (int i = 0; i < 50; i++) {
            blocks[i] = rp_new(rp_deck_heap(deck), uint64_t, 1 + i);
        }
        for (int i = 0; i < 50; i++) {
            rp_free(blocks[i]);
        }
        rp_worker_rest(worker);
    }
    rp_worker_leave(worker);
    return NULL;
}

/* The end of a thread gives its caches back, which writes to the world. */
TEST(threads_may_end_while_frames_are_made_and_sought)
{
    enum { ROUNDS = 40, EACH = 3 };
    pthread_t threads[ROUNDS][EACH];
    rp_deck *deck;
    ck_ok(rp_deck_open(&(rp_deck_desc){.reserve_bytes = RP_GIB(1)}, &deck));
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EACH; i++) {
            ck_assert_int_eq(pthread_create(&threads[round][i], NULL, work_once, deck), 0);
        }
        for (int i = 0; i < 8; i++) {
            rp_frame_begin(deck, NULL, 0);
            ck_ok(rp_frame_end(deck, NULL));
        }
        ck_ok(rp_seek(deck, (uint64_t)round));
        rp_frame_begin(deck, NULL, 0);
        for (int i = 0; i < EACH && round > 0; i++) {
            pthread_join(threads[round - 1][i], NULL);
        }
        ck_ok(rp_frame_end(deck, NULL));
    }
    for (int i = 0; i < EACH; i++) {
        rp_frame_begin(deck, NULL, 0);
        pthread_join(threads[ROUNDS - 1][i], NULL);
        ck_ok(rp_frame_end(deck, NULL));
    }
    ck_assert(rp_region_check(RP_ZONE_WORLD));
    rp_deck_close(deck);
}

TEST(there_is_an_end_to_how_many_workers_register)
{
    static rp_worker *workers[257];
    rp_deck *deck;
    ck_ok(rp_deck_open(&(rp_deck_desc){.reserve_bytes = RP_GIB(1)}, &deck));
    for (int i = 0; i < 256; i++) {
        ck_ok(rp_worker_enter(deck, "one of many", &workers[i]));
    }
    ck_assert_int_eq(rp_worker_enter(deck, "last", &workers[256]), RP_E_LIMIT);
    ck_assert_ptr_null(workers[256]);
    rp_worker_leave(workers[7]);
    ck_ok(rp_worker_enter(deck, "again", &workers[7]));
    for (int i = 0; i < 256; i++) {
        rp_worker_leave(workers[i]);
    }
    rp_deck_close(deck);
}

TEST_ABORTS(a_deck_with_workers_is_not_closed)
{
    rp_worker *worker;
    rp_deck *deck;
    ck_ok(rp_deck_open(&(rp_deck_desc){.reserve_bytes = RP_GIB(1)}, &deck));
    ck_ok(rp_worker_enter(deck, "left behind", &worker));
    rp_deck_close(deck);
}
