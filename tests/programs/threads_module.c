/* A program whose thread does not rest at a frame's end: it adds to a number in the state all the
 * time. tests/e2e/robust_tracking.sh */
#include <pthread.h>
#include <reprise/stage.h>
#include <stdlib.h>

static volatile unsigned char *shared;
static pthread_t worker;

static void *add_for_ever(void *at)
{
    pthread_setname_np(pthread_self(), "restless");
    for (;;) {
        for (int page = 0; page < 64; page++) {
            ((volatile unsigned char *)at)[page * 4096]++;
        }
    }
    return NULL;
}

void rp_module_step(rp_stage *stage)
{
    if (!shared) {
        shared = calloc(64, 4096);
        pthread_create(&worker, NULL, add_for_ever, (void *)shared);
    }
    shared[63 * 4096 + 1] = (unsigned char)stage->frame;
}
