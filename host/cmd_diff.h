/* `reprise diff FILE.take FRAME FRAME`: which bytes differ between two frames.
 *
 * Layer: host.  Tests: tests/host/test_take.c
 */
#ifndef HOST_CMD_DIFF_H
#define HOST_CMD_DIFF_H

/* argv[0] is "diff". Exit codes: 0 equal, 1 cannot be read, 2 wrong usage, 3 they differ. */
int cmd_diff(int argc, char **argv);

#endif
