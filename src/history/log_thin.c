/* The budget: what goes first, and how much of it.
 *
 * In the background every second frame that a group still keeps is left out, so that about every
 * 2nd, 4th, 8th ... is kept, in proportion to age; at last the group's image alone. Where the
 * worker is late the groups whose turn it is lose all but their image at once. Then the oldest
 * groups go, and when nothing is packed the oldest raw records.
 */
#include "history/log_private.h"

enum {
    AGE_A_STRIDE = 8, /* records of age for each record of stride */
};

uint64_t log_soft_budget(const rp_log *log)
{
    uint64_t room = log->budget_bytes / 8 + log->coming_bytes;
    return log->budget_bytes - (room < log->budget_bytes / 2 ? room : log->budget_bytes / 2);
}

/* Whether a record lies outside, or at the group's end: then it stays whatever is thinned. */
static bool stays(const rp_log *log, uint64_t number, uint64_t index)
{
    return index <= log_group_at(log, number)->from || index >= log_group_end(log, number);
}

bool log_may_thin(const rp_log *log, uint64_t number)
{
    return stays(log, number, log->position) && stays(log, number, log->pinned);
}

bool log_thin_next(const rp_log *log, uint64_t *number)
{
    uint64_t newest = rp_log_last(log);
    double best = 1.0 / AGE_A_STRIDE;
    bool found = false;
    for (uint64_t at = log->groups.head; at + 1 < log->groups.tail; at++) {
        const log_group *group = log_group_at(log, at);
        double want = 2.0 * group->stride / (double)(newest - group->from);
        if (!group->bare && want < best && log_may_thin(log, at)) {
            best = want;
            *number = at;
            found = true;
        }
    }
    return found;
}

/* A job in hand reads the blobs of its group, if it has one. Others go without it: were it stopped
 * each time, a budget that is always full would let none come to an end. */
static void let_go(rp_log *log, uint64_t number)
{
    if (log->job_posted && log->job->kind != LOG_JOB_PACK && log->job->group == number) {
        log_work_stop(log);
    }
}

/* What thinning would come to in the end. */
static bool bare_next(rp_log *log)
{
    uint64_t number;
    bool found = log_thin_next(log, &number);
    if (found) {
        let_go(log, number);
        log_group_bare(log, number);
    }
    return found;
}

static bool drop_something(rp_log *log)
{
    if (bare_next(log)) {
        return true;
    }
    if (log_has_groups(log)) {
        bool may = log->position >= log_group_end(log, log->groups.head);
        if (may) {
            let_go(log, log->groups.head);
            log_group_drop(log);
        }
        return may;
    }
    if (log->records.head < log->position) {
        log_work_stop(log);
        log_evict(log);
        return true;
    }
    return false;
}

void log_fit_budget(rp_log *log, uint64_t coming_bytes)
{
    if (log_is_empty(log)) {
        return;
    }
    /* A drop may stop the job in hand. Where each frame needed one, no group could be closed and
     * nothing packed: so room is made for some frames at once. A raw frame that goes stops what
     * packs it, and the next job needs time. */
    const uint64_t most = log->budget_bytes;
    uint64_t limit = most, had = log->job_stop_count;
    while (log_counted_bytes(log, coming_bytes) > limit && drop_something(log)) {
        bool stopped = log->job_stop_count != had;
        limit = stopped ? most - most / 4 : log_has_groups(log) ? most - most / 16 : most;
    }
}
