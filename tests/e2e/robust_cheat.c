/* A module that is honest but for one frame, in which it keeps what the processor's own clock says:
 * in a global, or, with -DCHEAT_HEAP, in a block. */
#include <reprise/stage.h>
#include <stdlib.h>
#include <x86intrin.h>

enum { CHEAT_FRAME = 150 };

extern uint64_t cheated, honest, *block; /* global, so that no build is without one */
uint64_t cheated, honest, *block;

void rp_module_start(rp_stage *stage)
{
    (void)stage;
    block = calloc(4, sizeof *block);
}

void rp_module_step(rp_stage *stage)
{
    honest += stage->frame;
#ifdef CHEAT_HEAP
    uint64_t *place = &block[2];
#else
    uint64_t *place = &cheated;
#endif
    *place = stage->frame == CHEAT_FRAME ? __rdtsc() : stage->frame;
}
