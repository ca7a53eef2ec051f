/* Handing the written pages to the host. The entries go through the link's bulk; where one batch
 * does not hold them all the host takes them as they come. */
#include "runner.h"

#include <base/error.h>
#include <os/os.h>
#include <stdio.h>
#include <string.h>

typedef struct commit {
    uint32_t next_run;  /* in link->slot_runs */
    uint32_t used;      /* of that run */
    size_t entry_count; /* in the bulk */
    bool failed;
} commit;

enum { ENTRIES_MAX = LINK_BULK_BYTES / sizeof(rp_page_slot) };

/* Sends what the host must act on before the commit can go on, and waits for it. */
static bool ask(uint32_t op, uint64_t count)
{
    runner_send(&(link_message){.op = op, .a = count});
    link_message answer;
    return runner_receive(&answer) && answer.op == LINK_MORE_SLOTS && answer.status == RP_OK;
}

static bool slots(void *context, uint32_t want, rp_slot_run *run)
{
    commit *c = context;
    link_memory *link = the_runner.link;
    if (c->next_run >= link->slot_run_count) {
        if (!ask(LINK_NEED_SLOTS, want) || !link->slot_run_count) {
            c->failed = true;
            return false;
        }
        c->next_run = c->used = 0;
    }
    uint32_t left = link->slot_runs[c->next_run].count - c->used;
    run->first = link->slot_runs[c->next_run].first + c->used;
    run->count = left < want ? left : want;
    c->used += run->count;
    if (c->used == link->slot_runs[c->next_run].count) {
        c->next_run++;
        c->used = 0;
    }
    return true;
}

static bool entries(void *context, const rp_page_slot *batch, size_t count)
{
    commit *c = context;
    rp_page_slot *bulk = (rp_page_slot *)the_runner.link->bulk;
    while (count) {
        if (c->entry_count == ENTRIES_MAX) {
            if (!ask(LINK_ENTRIES, c->entry_count)) {
                c->failed = true;
                return false;
            }
            c->entry_count = 0;
        }
        size_t room = ENTRIES_MAX - c->entry_count;
        size_t part = count < room ? count : room;
        memcpy(bulk + c->entry_count, batch, part * sizeof *bulk);
        c->entry_count += part;
        batch += part;
        count -= part;
    }
    return true;
}

/* Said once; how often it was is in the status. */
static void lost_tell(uint64_t lost_count)
{
    if (lost_count && !the_runner.link->lost_count) {
        fprintf(stderr, "reprise: tracking of written pages was lost: the program mapped pages of "
                        "its state anew or moved them: they were compared instead, which is "
                        "complete but slow: keep such memory out of the state\n");
    }
    the_runner.link->lost_count = lost_count;
}

rp_status runner_commit(link_message *answer)
{
    commit c = {0};
    uint64_t begin_ns = rp_os_monotonic_ns();
    rp_status status = rp_world_collect(the_runner.world, slots, entries, &c);
    if (status) {
        return status;
    }
    rp_world_stats_get(the_runner.world, &the_runner.link->world);
    the_runner.link->collect_ns = rp_os_monotonic_ns() - begin_ns;
    lost_tell(the_runner.link->world.lost_count);
    answer->a = c.entry_count;
    return RP_OK;
}
