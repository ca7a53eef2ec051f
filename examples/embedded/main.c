/* A program with its own main loop, and a module that it reloads while it runs: frames, seek, loop,
 * reload. examples/rollback/ goes on from here.
 *
 *     example_embedded [--take FILE.take] BUILD.so [NEXT.so…]
 *
 * 60 frames are played under the first build, and 60 more under each of the others: the balls go on
 * from where they are, also where the edit changed their struct. Then a frame of the first build is
 * brought back, and carried to the last one; and a stretch is repeated, with the same result each
 * time. A real program would look at one file's time, and reload that. With --take all frames are
 * saved before that as a file, for `reprise info`, `diff` and `plot`.
 */
#include "game.h"

#include <reprise/reload.h>
#include <reprise/take.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES_A_BUILD = 60 };

static void check(rp_status status)
{
    if (status != RP_OK) {
        fprintf(stderr, "embedded: %s\n", rp_error_last()->text);
        exit(1);
    }
}

/* The functions of the build that the state is of: asked for each time, since a reload or a seek
 * brings another one. */
typedef void step_function(rp_allocator *, const input *);
typedef unsigned bounces_function(void);

static void *function(rp_deck *deck, const char *name)
{
    void *found = rp_deck_symbol(deck, name);
    if (!found) {
        fprintf(stderr, "embedded: build %u has no %s\n", rp_deck_build(deck), name);
        exit(1);
    }
    return found;
}

/* In a loop the deck overwrites `in` with what was logged. */
static rp_frame_info play(rp_deck *deck, int push)
{
    input in = {push};
    rp_frame_info info;
    step_function *step;
    rp_frame_begin(deck, &in, sizeof in);
    *(void **)&step = function(deck, "game_step");
    step(rp_deck_heap(deck), &in);
    check(rp_frame_end(deck, &info));
    rp_deck_idle(deck, 2000000); /* a game gives it what is left of the tick, here 2 ms */
    return info;
}

static void print(rp_deck *deck, const char *what)
{
    rp_deck_status status;
    bounces_function *bounces;
    *(void **)&bounces = function(deck, "game_bounces");
    rp_deck_status_get(deck, &status);
    printf("%-20s build %u  frame %3llu  bounces %u\n", what, rp_deck_build(deck),
           (unsigned long long)status.frame, bounces());
}

/* A build that is refused changes nothing: the one before plays on. */
static void reload(rp_deck *deck, const char *path)
{
    rp_reload report;
    if (rp_deck_reload(deck, &(rp_module_desc){.path = path}, &report) != RP_OK) {
        fprintf(stderr, "embedded: build %u goes on: %s\n", rp_deck_build(deck),
                rp_error_last()->text);
        return;
    }
    printf("%u variables carried, %llu objects converted\n", report.carried,
           (unsigned long long)report.objects_converted);
}

static void play_many(rp_deck *deck)
{
    for (int frame = 0; frame < FRAMES_A_BUILD; frame++) {
        play(deck, frame % 3 - 1);
    }
    print(deck, "played");
}

static void repeat(rp_deck *deck, uint64_t from, uint64_t to)
{
    unsigned differ = 0;
    check(rp_loop(deck, from, to));
    for (uint64_t frame = 0; frame < 3 * (to - from); frame++) {
        differ += play(deck, 1000).diverged != 0; /* a push that the loop does not take */
    }
    print(deck, differ ? "repeated, DIFFERS" : "repeated, the same");
    check(rp_loop(deck, 0, 0));
}

int main(int argc, char **argv)
{
    rp_deck *deck;
    const char *take = NULL;
    if (argc > 2 && strcmp(argv[1], "--take") == 0) {
        take = argv[2];
        argc -= 2, argv += 2;
    }
    if (argc < 2) {
        fprintf(stderr, "usage: example_embedded [--take FILE.take] BUILD.so [NEXT.so...]\n");
        return 2;
    }
    check(rp_deck_open(&(rp_deck_desc){.budget_bytes = 64 << 20}, &deck));
    check(rp_deck_load(deck, &(rp_module_desc){.path = argv[1]}));
    play_many(deck);
    for (int i = 2; i < argc; i++) {
        reload(deck, argv[i]);
        play_many(deck);
    }
    if (take) {
        check(rp_take_save(deck, take, 0, UINT64_MAX));
    }
    repeat(deck, (uint64_t)(argc - 1) * FRAMES_A_BUILD - 30, (uint64_t)(argc - 1) * FRAMES_A_BUILD);
    check(rp_seek(deck, 30));
    print(deck, "sought");
    reload(deck, argv[argc - 1]);
    print(deck, "carried");
    rp_deck_status status;
    rp_deck_status_get(deck, &status);
    printf("history: frames %llu to %llu in %llu KiB\n", (unsigned long long)status.oldest_frame,
           (unsigned long long)status.newest_frame, (unsigned long long)status.history_bytes >> 10);
    rp_deck_close(deck);
    return 0;
}
