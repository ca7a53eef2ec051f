/* Watching directories through inotify: which file in which of them changed, and how.
 *
 * Layer: host.  Threads: one at a time for each watch.  Tests: tests/host/test_watch.c,
 * test_builds.c
 */
#ifndef HOST_WATCH_H
#define HOST_WATCH_H

#include <reprise/status.h>
#include <stdbool.h>

typedef struct watch watch;

enum { WATCH_DIRECTORY_MAX = 512 };

typedef enum watch_change {
    WATCH_WRITTEN,   /* a file was closed after writing, or moved into place */
    WATCH_TOUCHED,   /* a file was created, linked or written to, and may not be whole */
    WATCH_REMOVED,   /* a file was deleted or moved away */
    WATCH_DIRECTORY, /* a directory appeared; where depth allows it is watched from now on */
    WATCH_ENDED,     /* the watched directory itself went away; its id is free again */
    WATCH_MISSED,    /* the kernel dropped events: anything may have changed */
} watch_change;

typedef struct watch_event {
    watch_change change;
    int directory;    /* id; -1 with WATCH_MISSED */
    unsigned tags;    /* of the directory */
    const char *name; /* in the directory; "" with the last two. Until the next call. */
} watch_event;

rp_status watch_open(watch **out);
void watch_close(watch *w); /* null is nothing */
int watch_fd(const watch *w);
/* Watches a directory and those `depth` levels below it, but for hidden ones and links. `tags` come
 * back with its events; a directory that is watched already gets them in addition. RP_E_NOT_FOUND:
 * no such directory. RP_E_LIMIT: more than WATCH_DIRECTORY_MAX, or than the system allows. */
rp_status watch_add(watch *w, const char *directory, int depth, unsigned tags, int *id);
const char *watch_path(const watch *w, int id);
/* The next event; false: none now. Never blocks. */
bool watch_next(watch *w, watch_event *event);

#endif
