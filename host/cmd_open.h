/* `reprise open FILE.take`. Layer: host.  Tests: tests/e2e/robust_open.sh, play_open.sh */
#ifndef HOST_CMD_OPEN_H
#define HOST_CMD_OPEN_H

/* argv[0] is "open". Returns the exit code, as --help documents it. */
int cmd_open(int argc, char **argv);

#endif
