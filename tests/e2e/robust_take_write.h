/* A take of all that a session's history holds, written in one go. */
#ifndef TESTS_E2E_ROBUST_TAKE_WRITE_H
#define TESTS_E2E_ROBUST_TAKE_WRITE_H

#include "session.h"

#include <take/writer.h>

typedef struct take_change {
    /* Called before each list is written; null: as it is. */
    void (*objects)(rp_take_object *objects, size_t count);
    uint64_t region_base; /* 0: this one's */
    bool thin;            /* all frames but the first that is written */
    bool without_builds;
} take_change;

/* The session stands where it stood afterwards, in the log and in the runner. */
void take_write(session *s, const char *path, const take_change *change);

#endif
