/* Where things stand on a stage, and text cut to fit: what the window and the terminal share.
 *
 * Layer: host.  Threads: none.  Tests: tests/stage/test_layout.c
 */
#ifndef HOST_STAGE_LAYOUT_H
#define HOST_STAGE_LAYOUT_H

#include "stage/stage.h"

/* Code points in UTF-8 text: the columns it takes, since the stages show none that are wide. */
int stage_columns(const char *text);

/* Cuts `text` at `columns`, with an ellipsis where something is lost. In place. */
void stage_cut(char *text, int columns);

/* Copies the next line of `text`, at most `columns` wide, into `line`; breaks at spaces where it
 * can. Returns the rest, or null after the last line. At least one code point is taken each time.
 */
const char *stage_wrap(const char *text, int columns, char *line, size_t capacity);

/* The panel's lines wrapped to `columns`: rows of a text block. Lines that were wrapped go on
 * indented by two. What does not fit `capacity` is counted in the last row. Returns the rows. */
int stage_panel_rows(const stage_view *view, int columns, char rows[][STAGE_LINE_CHARS],
                     int capacity);

/* Where `frame` is between the oldest and the newest: 0 … 1; with one frame 1. */
double stage_fraction(const stage_view *view, uint64_t frame);

/* "0.42 ms · F1 help", the right end of the status line; empty when `columns` do not hold it. */
void stage_hint_text(const stage_view *view, char *text, size_t capacity, int columns);

/* The largest size of a picture in an area: a whole factor when it fits at all, else shrunk with
 * its shape kept; centred. Never empty when the area is not. */
stage_rect stage_fit(stage_rect area, int width_px, int height_px);

/* A window's parts: `unit` window pixels are one pixel of the font. */
typedef struct stage_layout {
    int unit;
    stage_rect area;  /* for the picture */
    stage_rect bar;   /* under it */
    stage_rect track; /* of the timeline, in the bar */
} stage_layout;
stage_layout stage_layout_of(int width_px, int height_px);

#endif
