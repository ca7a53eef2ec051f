/* `reprise gdb`: starts gdb with the script host/gdb/reprise-gdb.py, which attaches it to the
 * runner of a program and keeps it there. The script is carried in this program and handed over in
 * memory. */
#include "cmd_gdb.h"
#include "control/control.h"
#include "embed.h"
#include "option.h"

#include <base/error.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOBODY = 3 };
enum { PATH_BYTES = 512, STATUS_TIMEOUT_MS = 10000, OWN_ARGUMENTS = 6 };

typedef struct gdb_options {
    const char *name, *socket, *program;
    char **rest; /* gdb's own */
    int rest_count;
    bool help;
} gdb_options;

static void print_help(void)
{
    puts(
        "usage: reprise gdb [OPTIONS] [NAME] [-- GDB-ARGUMENTS]\n"
        "\n"
        "Attaches gdb to a program that `reprise run` shows: NAME, \"game\" for ./game.so, or the\n"
        "one that runs. gdb follows from runner to runner: after a failure, a new build or a "
        "seek.\n"
        "\n"
        "inside gdb, beside its own commands\n"
        "  reprise status         build, frame, what the runner is at\n"
        "  reprise back [N]       to the state N frames earlier\n"
        "  reprise seek FRAME     to the state after a frame\n"
        "  reprise step [N]       to the end of the Nth frame from here\n"
        "  reprise continue       plays on, from runner to runner\n"
        "  reprise watch EXPR     stops at the end of a frame that left another value\n"
        "  reprise unwatch [EXPR] ends that\n"
        "  help reprise           more of each\n"
        "\n"
        "options\n"
        "  --name NAME     as NAME\n"
        "  --socket PATH   the program's control socket\n"
        "  --gdb PROGRAM   another gdb, with Python (gdb)\n"
        "  --help          this text\n"
        "\n"
        "exit codes\n"
        "  1 gdb cannot be started   2 wrong usage   3 nobody there   otherwise gdb's own\n"
        "\n"
        "examples\n"
        "  reprise gdb game\n"
        "  reprise gdb game -- -ex 'break kill_player' -ex 'reprise continue'");
}

static rp_status read_options(int argc, char **argv, gdb_options *options)
{
    options->program = "gdb";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            options->rest = argv + i + 1;
            options->rest_count = argc - i - 1;
            break;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            options->help = true;
        } else if (argv[i][0] != '-' && !options->name) {
            options->name = argv[i];
        } else if (!option_takes_value("--name", argc, argv, &i, &options->name) &&
                   !option_takes_value("--socket", argc, argv, &i, &options->socket) &&
                   !option_takes_value("--gdb", argc, argv, &i, &options->program)) {
            return rp_fail(RP_E_ARGUMENT,
                           "gdb: %s: no such option, or its value is missing: what is gdb's own "
                           "stands behind --: see `reprise gdb --help`",
                           argv[i]);
        }
    }
    return RP_OK;
}

/* In a file of memory that gdb inherits. */
static rp_status script_make(int *fd)
{
    const embed_file *script = &gdb_files[0];
    *fd = memfd_create("reprise-gdb", 0);
    if (*fd < 0 || write(*fd, script->bytes, script->size_bytes) != (ssize_t)script->size_bytes) {
        return rp_fail_system(RP_E_SYSTEM, errno, "gdb: no memory for its script");
    }
    return RP_OK;
}

/* Does not return where gdb could be started. */
static rp_status start(const gdb_options *options, const char *path)
{
    int fd;
    char source[160];
    rp_status status = script_make(&fd);
    char **arguments = calloc((size_t)options->rest_count + OWN_ARGUMENTS, sizeof *arguments);
    if (status || !arguments) {
        free(arguments);
        return status ? status : rp_fail(RP_E_MEMORY, "gdb: no memory for its arguments");
    }
    snprintf(source, sizeof source,
             "python exec(compile(open('/proc/self/fd/%d').read(), 'reprise-gdb.py', 'exec'))", fd);
    char *own[] = {(char *)(uintptr_t)options->program, "-q", "-ex", source};
    memcpy(arguments, own, sizeof own);
    if (options->rest_count) {
        memcpy(arguments + sizeof own / sizeof own[0], options->rest,
               (size_t)options->rest_count * sizeof *arguments);
    }
    setenv("REPRISE_GDB_SOCKET", path, 1);
    execvp(options->program, arguments);
    int error = errno;
    free(arguments);
    return rp_fail_system(RP_E_SYSTEM, error,
                          "gdb: cannot start %s: install gdb, or name one with --gdb",
                          options->program);
}

static int complain(int code)
{
    fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
    return code;
}

int cmd_gdb(int argc, char **argv)
{
    gdb_options options = {0};
    char path[PATH_BYTES];
    json_t *request, *answer = NULL;
    if (read_options(argc, argv, &options)) {
        return complain(EXIT_USAGE);
    }
    if (options.help) {
        print_help();
        return EXIT_DONE;
    }
    rp_status status = control_choose("gdb", options.name, options.socket, path, sizeof path);
    if (status) {
        return complain(status == RP_E_NOT_FOUND ? EXIT_NOBODY : EXIT_USAGE);
    }
    request = json_pack("{s:s}", "cmd", "status");
    status = control_ask(path, request, STATUS_TIMEOUT_MS, &answer);
    json_decref(request);
    json_decref(answer);
    if (status) {
        return complain(EXIT_NOBODY);
    }
    start(&options, path);
    return complain(EXIT_FAILED);
}
