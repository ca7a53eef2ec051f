/* The project's answers about types: what a reload could not tell, said once by a person.
 *
 *     # reprise.types
 *     World.user = struct Enemy        what the pointer `user` of struct World leads to
 *     scratch = bytes                  the variable `scratch`: nothing of ours is in it
 *     game.c:41 = Enemy                blocks that are allocated there (traced ones)
 *
 * Layer: host.  Tests: tests/host/test_type_answers.c, tests/e2e/play_types.sh
 * Format: docs/types.md
 */
#ifndef HOST_TYPE_ANSWERS_H
#define HOST_TYPE_ANSWERS_H

#include <module/plan.h>

typedef struct type_answers {
    rp_type_answer *first;
    char *text; /* that the answers point into */
} type_answers;

/* Zero answers where `path` is null or there is no such file. RP_E_FORMAT: a line that is none,
 * with its number; RP_E_SYSTEM, RP_E_MEMORY. */
rp_status type_answers_read(const char *path, type_answers *answers);
/* The same of text in memory, which is copied; `name` stands in the record. */
rp_status type_answers_parse(const char *text, size_t length, const char *name,
                             type_answers *answers);
void type_answers_drop(type_answers *answers);
/* Adds a line to the file, which is made if need be. RP_E_ARGUMENT: no such answer can be;
 * RP_E_BUSY: the file is there and does not begin as one of ours; RP_E_SYSTEM, RP_E_MEMORY. Where
 * it fails the file is what it was. */
rp_status type_answers_add(const char *path, const char *what, const char *type);

#endif
