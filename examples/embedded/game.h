/* What main.c and the module agree on. */
#ifndef GAME_H
#define GAME_H

#include <reprise/memory.h>

typedef struct input {
    int push; /* what the person does in a frame */
} input;

void game_step(rp_allocator *heap, const input *in);
unsigned game_bounces(void);

#endif
