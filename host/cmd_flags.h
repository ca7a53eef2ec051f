/* `reprise cflags` and `reprise ldflags`: what to compile and link a module with.
 *
 * Layer: host.  Tests: tests/e2e/robust_flags.sh
 */
#ifndef HOST_CMD_FLAGS_H
#define HOST_CMD_FLAGS_H

/* argv[0] is the command's name. Prints one line; returns the exit code. */
int cmd_cflags(int argc, char **argv);
int cmd_ldflags(int argc, char **argv);

#endif
