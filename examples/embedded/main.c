/* Frames, seek and loop inside a program that owns its main loop. examples/rollback/ goes on from
 * here.
 *
 * A few balls bounce in a box. Their positions lie on the deck's heap, a global counts the bounces:
 * both are state. 200 frames are played, frame 120 is brought back, and frames 120 to 150 are
 * repeated. The hash of a frame is the same each time it is made from the same state with the same
 * input.
 */
#include <reprise/deck.h>
#include <stdio.h>
#include <stdlib.h>

enum { BALLS = 8, WIDTH = 320 };

typedef struct ball {
    float x, speed;
} ball;

typedef struct input {
    int push; /* what the person does in a frame */
} input;

static unsigned bounces;

static void step(ball *balls, const input *in)
{
    for (int i = 0; i < BALLS; i++) {
        balls[i].x += balls[i].speed + (float)in->push;
        if (balls[i].x < 0 || balls[i].x > WIDTH) {
            balls[i].speed = -balls[i].speed;
            bounces++;
        }
    }
}

static void check(rp_status status)
{
    if (status != RP_OK) {
        fprintf(stderr, "embedded: %s\n", rp_error_last()->text);
        exit(1);
    }
}

/* In a loop the deck overwrites `in` with what was logged. */
static rp_frame_info play(rp_deck *deck, ball *balls, int push)
{
    input in = {push};
    rp_frame_info info;
    rp_frame_begin(deck, &in, sizeof in);
    step(balls, &in);
    check(rp_frame_end(deck, &info));
    rp_deck_idle(deck, 2000000); /* a game gives it what is left of the tick, here 2 ms */
    return info;
}

static void print(rp_deck *deck, const char *what, uint64_t frame)
{
    uint64_t hash;
    check(rp_state_hash(deck, frame, &hash));
    printf("%-22s frame %3llu  hash %016llx  bounces %u\n", what, (unsigned long long)frame,
           (unsigned long long)hash, bounces);
}

int main(void)
{
    rp_deck *deck;
    check(rp_deck_open(&(rp_deck_desc){.budget_bytes = 64 << 20}, &deck));
    check(rp_range(deck, &bounces, sizeof bounces, RP_ZONE_WORLD, "bounces"));
    ball *balls = rp_alloc_zeroed(rp_deck_heap(deck), BALLS, sizeof *balls);
    for (int i = 0; i < BALLS; i++) {
        balls[i].speed = 1.5f * (float)(i + 1);
    }
    for (int frame = 1; frame <= 200; frame++) {
        play(deck, balls, frame % 3 - 1);
        if (frame == 120 || frame == 150 || frame == 200) {
            print(deck, "played", (uint64_t)frame);
        }
    }
    check(rp_seek(deck, 120));
    print(deck, "sought", 120);
    check(rp_loop(deck, 120, 150));
    for (int i = 0; i < 3 * 30; i++) {
        rp_frame_info info = play(deck, balls, 1000); /* a push that the loop does not take */
        if (info.frame == 150) {
            print(deck, info.diverged ? "repeated, DIFFERS" : "repeated, the same", 150);
        }
    }
    rp_deck_status status;
    rp_deck_status_get(deck, &status);
    printf("history: frames %llu to %llu in %llu KiB\n", (unsigned long long)status.oldest_frame,
           (unsigned long long)status.newest_frame, (unsigned long long)status.history_bytes >> 10);
    rp_deck_close(deck);
    return 0;
}
