/* Threads that rest at a frame's end; see worker.h. */
#include "deck/deck_private.h"

#include "alloc/allocator.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/text.h"

enum { GO_NOT, GO_ON, GO_AWAY }; /* words of `go`: no frame, a frame, dismissed */

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

/* ---- the worker's side ---- */

static void become(rp_worker *worker, deck_worker_state state)
{
    deck_workers *all = &worker->deck->workers;
    store(&worker->state, state);
    if (load(&all->go) == GO_NOT) { /* the deck may wait for it */
        __atomic_fetch_add(&all->rested, 1, __ATOMIC_SEQ_CST);
        rp_os_word_wake(&all->rested);
    }
}

static rp_worker *take_place(deck_workers *all)
{
    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        if (load(&all->workers[i].state) == WORKER_NONE) {
            if (i >= all->count) {
                store(&all->count, i + 1);
            }
            return &all->workers[i];
        }
    }
    return NULL;
}

rp_status rp_worker_enter(rp_deck *deck, const char *name, rp_worker **worker)
{
    deck_workers *all = &deck->workers;
    rp_os_lock_take(&all->entering);
    rp_worker *made = take_place(all);
    if (made) {
        rp_text_copy(made->name, sizeof made->name, name ? name : "unnamed");
        made->deck = deck;
        store(&made->state, WORKER_RESTING);
        (void)rp_alloc_thread_attach(); /* without a place it allocates without caches */
    }
    rp_os_lock_drop(&all->entering);
    *worker = made;
    return made ? RP_OK
                : rp_fail(RP_E_LIMIT,
                          "worker '%s': %d are registered: use fewer threads, or leave before "
                          "others enter",
                          name ? name : "unnamed", WORKERS_MAX);
}

bool rp_worker_resume(rp_worker *worker)
{
    deck_workers *all = &worker->deck->workers;
    for (;;) {
        if (load(&all->dismissed)) {
            return false;
        }
        store(&worker->state, WORKER_RUNNING);
        if (load(&all->go) == GO_ON) {
            return true;
        }
        become(worker, WORKER_RESTING);
        rp_os_word_wait(&all->go, GO_NOT, UINT64_MAX);
    }
}

void rp_worker_rest(rp_worker *worker)
{
    become(worker, WORKER_RESTING);
}

bool rp_worker_poll(rp_worker *worker)
{
    if (load(&worker->deck->workers.go) == GO_ON) {
        return true;
    }
    rp_worker_rest(worker);
    return rp_worker_resume(worker);
}

void rp_worker_leave(rp_worker *worker)
{
    deck_workers *all = &worker->deck->workers;
    rp_os_lock_take(&all->world_lock);
    rp_alloc_thread_detach(); /* writes to the world, which the thread's end would do at any time */
    rp_os_lock_drop(&all->world_lock);
    rp_os_lock_take(&all->entering);
    become(worker, WORKER_NONE);
    rp_os_lock_drop(&all->entering);
}

/* ---- the deck's side ---- */

bool deck_workers_any(const rp_deck *deck)
{
    const deck_workers *all = &deck->workers;
    for (uint32_t i = 0; i < load(&all->count); i++) {
        if (load(&all->workers[i].state) != WORKER_NONE) {
            return true;
        }
    }
    return false;
}

void rp_workers_dismiss(rp_deck *deck)
{
    RP_ASSERT(!deck->in_frame);
    store(&deck->workers.dismissed, 1);
    /* Who is about to wait for `go` to change does not look at `dismissed` again before. */
    store(&deck->workers.go, GO_AWAY);
    rp_os_word_wake(&deck->workers.go);
}

void deck_workers_go(rp_deck *deck)
{
    deck_workers *all = &deck->workers;
    store(&all->go, GO_ON);
    if (load(&all->count)) {
        rp_os_word_wake(&all->go);
    }
}

static const rp_worker *running(const deck_workers *all)
{
    for (uint32_t i = 0; i < load(&all->count); i++) {
        if (load(&all->workers[i].state) == WORKER_RUNNING) {
            return &all->workers[i];
        }
    }
    return NULL;
}

rp_status deck_workers_stop(rp_deck *deck)
{
    deck_workers *all = &deck->workers;
    const uint64_t ms_ns = 1000000;
    uint64_t deadline_ns = 0;
    store(&all->go, GO_NOT);
    for (;;) {
        uint32_t rested = load(&all->rested);
        const rp_worker *worker = running(all);
        if (!worker) {
            return RP_OK;
        }
        uint64_t now_ns = rp_os_monotonic_ns();
        deadline_ns = deadline_ns ? deadline_ns : now_ns + all->park_ms * ms_ns;
        if (now_ns >= deadline_ns) {
            deck_workers_go(deck);
            return rp_fail(RP_E_TIMEOUT,
                           "frame %llu: worker '%s' did not rest within %u ms: let it call "
                           "rp_worker_poll more often; the frame is still open",
                           (unsigned long long)deck->frame + 1, worker->name, all->park_ms);
        }
        rp_os_word_wait(&all->rested, rested, deadline_ns);
    }
}
