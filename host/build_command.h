/* The command that makes a build: `sh -c COMMAND` in a process group of its own, its output kept.
 *
 * A small process of ours stands between the host and the shell. It leads the group, and the kernel
 * tells it when the host dies, so that no compiler outlives the host, whatever ended it. What the
 * command leaves running in its group ends with it.
 *
 * Layer: host.  Threads: the host's main thread, which must live as long as the command.
 * Tests: tests/host/test_build_command.c
 */
#ifndef HOST_BUILD_COMMAND_H
#define HOST_BUILD_COMMAND_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    BUILD_COMMAND_TAIL_BYTES = 16 << 10, /* of the output that is kept at least */
    BUILD_COMMAND_LINE_BYTES = 512,      /* of a line that names an error */
    BUILD_COMMAND_TEXT_BYTES = BUILD_COMMAND_TAIL_BYTES + BUILD_COMMAND_LINE_BYTES + 2
};

typedef struct build_command {
    pid_t pid;         /* of the group; 0: none runs */
    int ended, output; /* descriptors that become readable: the end, the output; -1: none */
    int exit_code;     /* of the last that ended: its own, or 128 + the signal */
    char tail[2 * BUILD_COMMAND_TAIL_BYTES];
    size_t tail_length;
    char line[BUILD_COMMAND_LINE_BYTES]; /* that is being collected */
    size_t line_length;
    char error[BUILD_COMMAND_LINE_BYTES]; /* the first line that names an error; "" none */
} build_command;

void build_command_init(build_command *command);
/* Starts it; none may run. RP_E_SYSTEM, RP_E_LIMIT: no process could be made. */
rp_status build_command_start(build_command *command, const char *text);
/* Takes what it has written. True: it has ended, once. Never blocks. */
bool build_command_poll(build_command *command);
/* The output from the first line that names an error on; where that line is older than what is
 * kept, it comes first; where no line does, all that is kept. Returns the length. */
size_t build_command_text(const build_command *command, char *text, size_t capacity);
/* Ends the whole group at once; safe when none runs. */
void build_command_stop(build_command *command);

#endif
