/* `reprise run MODULE`. Layer: host.  Tests: tests/e2e/ */
#ifndef HOST_CMD_RUN_H
#define HOST_CMD_RUN_H

/* argv[0] is "run". Returns the exit code, as --help documents it. */
int cmd_run(int argc, char **argv);

#endif
