/* Options of commands whose words are not getopt's, as they stand before and behind a command.
 *
 * Layer: host.  Users: cmd_ctl.c, cmd_gdb.c, cmd_types.c  Tests: tests/host/test_ctl.c
 */
#ifndef HOST_OPTION_H
#define HOST_OPTION_H

#include <stdbool.h>

/* Whether argv[*i] is `option` with a value, "--name VALUE" or "--name=VALUE". Then *value points
 * to it, and *i to the last word that was used. */
bool option_takes_value(const char *option, int argc, char **argv, int *i, const char **value);

#endif
