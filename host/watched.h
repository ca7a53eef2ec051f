/* What steps watched and checked (reprise/watch.h), frame by frame, under the build that runs and
 * under the one before it.
 *
 *   frame 88:  now    build 2: fox (312, 96) · score 30
 *              before build 1: fox (312, 101) · score 28     → "score" differs from frame 88 on
 *
 * A frame that is made from other input than before loses what was before: there is nothing to
 * compare. The last WATCHED_FRAMES frames are kept.
 *
 * Layer: host.  Threads: the main thread.  Tests: tests/host/test_watched.c,
 * tests/e2e/play_reload.sh
 */
#ifndef HOST_WATCHED_H
#define HOST_WATCHED_H

#include "link.h"

#include <stdbool.h>

enum { WATCHED_FRAMES = 16384, WATCHED_DIFFERENCES = 64, WATCHED_TEXT = 64 };

typedef struct watched_layer {
    uint32_t build; /* 0: nothing */
    uint32_t watch_count, check_count;
    double origin_x, origin_y;
    link_watch *watches; /* owned, with the checks */
    link_check *checks;
} watched_layer;

typedef struct watched_frame {
    uint64_t frame;
    watched_layer now, before;
} watched_frame;

/* The first frame in which a check had another value under the new build. */
typedef struct watched_difference {
    char name[LINK_WATCH_NAME_BYTES];
    uint64_t frame;
    uint32_t old_build, new_build;
    char old_text[WATCHED_TEXT], new_text[WATCHED_TEXT];
} watched_difference;

typedef struct watched {
    watched_frame *frames; /* WATCHED_FRAMES: frame n is at n % WATCHED_FRAMES; null: nothing yet */
    watched_difference differences[WATCHED_DIFFERENCES]; /* one a name, of the newest build */
    int difference_count;
    uint32_t build;    /* that `differences` and the counts are of */
    uint64_t compared; /* values */
    uint64_t left_out; /* that a frame had too many of */
} watched;

/* All zero is empty. */
void watched_clear(watched *w);
/* Takes what a step left in the link, which is not believed: counts, kinds, names and numbers are
 * checked. `same_input`: the frame was made before, from the same input. Returns the difference
 * that is new, or null. Without memory the frame is left out. */
const watched_difference *watched_note(watched *w, const link_watched *from, uint64_t frame,
                                       uint32_t build, bool same_input);
/* A frame as it was under an earlier build: the next watched_note of it, from the same input,
 * compares with this. Nothing without memory. */
void watched_recall(watched *w, const link_watched *from, uint64_t frame, uint32_t build);
/* What is known of a frame; null: nothing. */
const watched_frame *watched_at(const watched *w, uint64_t frame);
/* The names of the points that frames (from, to] watched, at most `capacity`. */
int watched_points(const watched *w, uint64_t from, uint64_t to,
                   char names[][LINK_WATCH_NAME_BYTES], int capacity);
/* The point of that name in a layer; null: it has none. */
const link_watch *watched_point(const watched_layer *layer, const char *name);
void watched_check_text(const link_check *check, char *text, size_t capacity);

#endif
