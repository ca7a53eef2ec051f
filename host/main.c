/* The `reprise` command: finds the subcommand. */
#include "cmd_ctl.h"
#include "cmd_diff.h"
#include "cmd_doctor.h"
#include "cmd_export.h"
#include "cmd_flags.h"
#include "cmd_gdb.h"
#include "cmd_info.h"
#include "cmd_new.h"
#include "cmd_open.h"
#include "cmd_plot.h"
#include "cmd_run.h"
#include "cmd_strip.h"
#include "cmd_trim.h"
#include "cmd_types.h"
#include "cmd_verify.h"

#include <base/bits.h>
#include <reprise/version.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*function)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"new", cmd_new, "writes a small project that runs"},
    {"run", cmd_run, "runs a module; picks up each new build of it"},
    {"open", cmd_open, "goes on with a take, at any of its frames"},
    {"ctl", cmd_ctl, "drives a running program: pause, step, seek, loop, status"},
    {"types", cmd_types, "says what is known of the types of a running program's memory"},
    {"doctor", cmd_doctor, "says whether this machine and a program suit, and what is missing"},
    {"gdb", cmd_gdb, "attaches gdb to a running program, and follows it"},
    {"verify", cmd_verify, "replays takes and compares every frame"},
    {"info", cmd_info, "says what is in a take"},
    {"diff", cmd_diff, "says which fields or bytes differ between two frames of a take"},
    {"plot", cmd_plot, "draws a variable over the frames of a take"},
    {"export", cmd_export, "writes inputs, memory or a build of a take as a plain file"},
    {"trim", cmd_trim, "writes a part of a take as a take of its own"},
    {"strip", cmd_strip, "takes the memory of a scope out of a take"},
    {"cflags", cmd_cflags, "prints what to compile a module with"},
    {"ldflags", cmd_ldflags, "prints what to link a module with"},
};

static void help(FILE *to)
{
    fputs("usage: reprise COMMAND [ARGUMENTS]\n\nMakes C programs loop-live.\n\n", to);
    for (size_t i = 0; i < RP_COUNT_OF(commands); i++) {
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
    }
    fputs("\n`reprise COMMAND --help` tells more of each; --version prints the version.\n\n"
          "Example:\n  reprise new game && cd game && make && reprise run --build make ./game.so\n",
          to);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return 2;
    }
    for (size_t i = 0; i < RP_COUNT_OF(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].function(argc - 1, argv + 1);
        }
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("reprise " RP_VERSION_TEXT);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return 0;
    }
    fprintf(stderr, "reprise: %s: no such command: see `reprise --help`\n", argv[1]);
    return 2;
}
