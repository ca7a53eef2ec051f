/* `reprise info FILE.take`: what is in a take. Nothing of it is run.
 *
 * Layer: host.  Tests: tests/host/test_take.c
 */
#ifndef HOST_CMD_INFO_H
#define HOST_CMD_INFO_H

/* argv[0] is "info". Exit codes: 0 done, 1 cannot be read, 2 wrong usage, 3 read as far as it is
 * whole, which is not to its end. */
int cmd_info(int argc, char **argv);

#endif
