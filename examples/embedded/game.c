/* The module that main.c reloads: a few balls in a box. Change a number, or put a field into
 * `ball`, build it again, and the balls go on from where they are.
 */
#include "game.h"

enum { BALLS = 8, WIDTH = 320 };

typedef struct ball {
    float x, speed;
} ball;

static ball *balls;
static unsigned bounces;

void game_step(rp_allocator *heap, const input *in)
{
    if (!balls) {
        balls = rp_new(heap, ball, BALLS);
        for (int i = 0; i < BALLS; i++) {
            balls[i].speed = 1.5f * (float)(i + 1);
        }
    }
    for (int i = 0; i < BALLS; i++) {
        balls[i].x += balls[i].speed + (float)in->push;
        if (balls[i].x < 0 || balls[i].x > WIDTH) {
            balls[i].speed = -balls[i].speed;
            bounces++;
        }
    }
}

unsigned game_bounces(void)
{
    return bounces;
}
