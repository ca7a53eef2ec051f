/* `reprise gdb`: a debugger at the runner of a running program.
 *
 * Layer: host.
 */
#ifndef HOST_CMD_GDB_H
#define HOST_CMD_GDB_H

int cmd_gdb(int argc, char **argv);

#endif
