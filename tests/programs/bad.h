/* The frame of a module that misbehaves in frame 100, and whenever X is pressed. Each bad_*.c
 * includes this and defines misbehave(). With -DMENDED the same program behaves.
 *
 * Its picture: a bar as long as the count of steps that were completed, 1 pixel each, modulo the
 * width.
 */
#ifndef PROGRAMS_BAD_H
#define PROGRAMS_BAD_H

#include <reprise/draw.h>

enum { BAD_FRAME = 100 };

static void misbehave(void);

static uint64_t steps_done;

void rp_module_step(rp_stage *stage)
{
    if (stage->frame == BAD_FRAME || rp_pressed(stage, RP_KEY_X)) {
#ifndef MENDED
        misbehave();
#else
        (void)misbehave;
#endif
    }
    steps_done++;
    rp_clear(stage->canvas, 0x102030);
    rp_fill(stage->canvas, 0, 80, (float)(steps_done % (uint64_t)stage->canvas->width_px), 20,
            0x40c0ff);
}

#endif
