/* Frames with names: places to go back to. A bookmark is the number of a frame and stays when the
 * frame is made again, as in a loop or under another build.
 *
 * Layer: host.  Threads: one.  Tests: tests/host/test_bookmarks.c, tests/e2e/play_control.sh
 */
#ifndef HOST_BOOKMARKS_H
#define HOST_BOOKMARKS_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BOOKMARKS_MOST = 100, BOOKMARK_NAME_BYTES = 64 };

#define BOOKMARK_NOWHERE UINT64_MAX /* the frame of one that was taken away */

typedef struct bookmark {
    uint64_t frame;
    char name[BOOKMARK_NAME_BYTES];
} bookmark;

/* Of all zero: none. */
typedef struct bookmarks {
    bookmark items[BOOKMARKS_MOST]; /* by frame, then as they were made */
    size_t count;
} bookmarks;

/* A name that there is goes to that frame. Null: "mark-1" or the next that is free. RP_E_ARGUMENT:
 * a name that could be meant for a frame (a number, "first", "last"), that is too long, or not to
 * be shown; RP_E_LIMIT: there are BOOKMARKS_MOST. *put: the one that was made. */
rp_status bookmarks_put(bookmarks *b, const char *name, uint64_t frame, const bookmark **put);
/* RP_E_NOT_FOUND, with a text that names those that there are. */
rp_status bookmarks_remove(bookmarks *b, const char *name);
rp_status bookmarks_find(const bookmarks *b, const char *name, uint64_t *frame);
/* The nearest one before a frame, or behind it; null: none. */
const bookmark *bookmarks_before(const bookmarks *b, uint64_t frame);
const bookmark *bookmarks_behind(const bookmarks *b, uint64_t frame);
/* The last one that was put at a frame; null: none. */
const bookmark *bookmarks_at(const bookmarks *b, uint64_t frame);

#endif
