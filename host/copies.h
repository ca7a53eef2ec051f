/* The folder in which a host keeps its copies of builds.
 *
 *   $XDG_RUNTIME_DIR/reprise-Ab3dE9/     mode 0700, locked (flock) for as long as its host lives
 *       build-000001.so
 *
 * The copies go with the host. One that was killed leaves them; the next host that starts finds the
 * folder unlocked and clears it away. Only folders of this user, of this name and mode, and in them
 * only files named as copies are, are touched; links are not followed.
 *
 * Layer: host.  Threads: the main thread.  Tests: tests/host/test_copies.c,
 * tests/e2e/robust_host.sh
 */
#ifndef HOST_COPIES_H
#define HOST_COPIES_H

#include <reprise/status.h>

enum { COPIES_PATH_BYTES = 64 };

typedef struct copies {
    char path[COPIES_PATH_BYTES]; /* "": none */
    int lock;
} copies;

/* Makes the folder in $XDG_RUNTIME_DIR, else in /dev/shm, else in /tmp: copies are read once and
 * gone with the host, so memory is the place for them. RP_E_SYSTEM: none of them takes it. */
rp_status copies_open(copies *c);
/* Clears the folder away; one that was not opened is nothing. */
void copies_close(copies *c);

#endif
