/* `reprise types`: what is known of the types of a running program's memory.
 *
 * Layer: host.  Tests: tests/host/test_types_command.c, tests/e2e/play_survey.sh
 */
#ifndef HOST_CMD_TYPES_H
#define HOST_CMD_TYPES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* argv[0] is "types". Exit codes: 0 done, 1 refused by the program, 2 wrong usage, 3 nobody there.
 */
int cmd_types(int argc, char **argv);
/* The table of an answer; false, and nothing printed: it is not one. */
bool types_table(const json_t *answer, FILE *to);

#endif
