/* Events that wait for the next poll: one thing that happened may be several events.
 *
 * Layer: host.  Threads: one.
 */
#ifndef HOST_STAGE_QUEUE_H
#define HOST_STAGE_QUEUE_H

#include "stage/stage.h"

enum { STAGE_QUEUE_MAX = 512 }; /* all keys released at once fit */

typedef struct stage_queue {
    stage_event events[STAGE_QUEUE_MAX];
    uint32_t first, count;
} stage_queue;

static inline bool stage_queue_full(const stage_queue *queue)
{
    return queue->count == STAGE_QUEUE_MAX;
}

/* Drops the event when the queue is full. */
static inline void stage_queue_push(stage_queue *queue, const stage_event *event)
{
    if (!stage_queue_full(queue)) {
        queue->events[(queue->first + queue->count++) % STAGE_QUEUE_MAX] = *event;
    }
}

static inline bool stage_queue_pop(stage_queue *queue, stage_event *event)
{
    if (!queue->count) {
        return false;
    }
    *event = queue->events[queue->first];
    queue->first = (queue->first + 1) % STAGE_QUEUE_MAX;
    queue->count--;
    return true;
}

#endif
