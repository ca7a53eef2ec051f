/* `reprise trim FILE.take OUT.take`: a part of a take as a take of its own.
 *
 * Layer: host.  Tests: tests/host/test_take.c
 */
#ifndef HOST_CMD_TRIM_H
#define HOST_CMD_TRIM_H

/* argv[0] is "trim". Exit codes: 0 done, 1 could not be done, 2 wrong usage. */
int cmd_trim(int argc, char **argv);

#endif
