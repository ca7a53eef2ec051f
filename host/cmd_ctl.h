/* `reprise ctl`: drives a running host through its control socket.
 *
 * Layer: host.  Tests: tests/host/test_ctl.c
 */
#ifndef HOST_CMD_CTL_H
#define HOST_CMD_CTL_H

/* argv[0] is "ctl". Returns the exit code, as --help documents it. */
int cmd_ctl(int argc, char **argv);

#endif
