#include "cmd_trim.h"

#include "take_file.h"

#include <base/bits.h>
#include <base/error.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <take/copy.h>

static const char help[] =
    "usage: reprise trim [--last TIME | --frames A-B] [--inputs] [--replace] FILE.take OUT.take\n"
    "\n"
    "Writes a part of a take as a take of its own, with the builds and all that belongs to its "
    "frames.\n"
    "A take that was cut off becomes one that was closed in order. Nothing of it is run.\n"
    "\n"
    "  --last TIME   its last seconds (10s) or frames (600)\n"
    "  --frames A-B  from frame A to frame B; each a number, first or last\n"
    "  --inputs      inputs alone: one state to begin with, and then inputs and hashes; the memory "
    "is\n"
    "                made anew by running it\n"
    "  --replace     OUT.take may be there already, where it is a take\n"
    "  --help        this text\n"
    "\n"
    "exit codes\n"
    "  0 done   1 could not be done   2 wrong usage\n"
    "\n"
    "examples\n"
    "  reprise trim --last 10s evening.take bug.take\n"
    "  reprise trim --frames 120-240 --inputs evening.take jump.take\n";

typedef struct trim {
    const char *last, *frames;
    bool inputs, replace;
    take_file file;
    rp_take_copy_desc part;
} trim;

static rp_status choose_last(trim *t)
{
    uint64_t count = t->file.overview.frame_count;
    char *end;
    double amount = strtod(t->last, &end);
    uint32_t rate = t->file.overview.environment.rate_hz;
    if (end == t->last || !(amount > 0) || !(amount < 1e15) || (*end && strcmp(end, "s") != 0)) {
        return rp_fail(RP_E_ARGUMENT, "--last %s: it takes seconds, as 10s, or frames, as 600",
                       t->last);
    }
    if (*end && !rate) {
        return rp_fail(RP_E_UNSUPPORTED,
                       "%s: does not say how many frames a second has: give frames, as --last 600",
                       t->file.path);
    }
    uint64_t wanted = (uint64_t)ceil(*end ? amount * rate : amount);
    t->part.first = wanted < count ? count - wanted : 0;
    return RP_OK;
}

static rp_status choose(trim *t)
{
    if (!t->file.overview.frame_count) {
        return rp_fail(RP_E_RANGE, "%s: has no frames", t->file.path);
    }
    t->part = (rp_take_copy_desc){.last = t->file.overview.frame_count - 1,
                                  .inputs_alone = t->inputs,
                                  .progress = take_file_progress,
                                  .context = (void *)(uintptr_t) "trim"};
    if (t->frames) {
        return take_file_span(&t->file, t->frames, &t->part.first, &t->part.last);
    }
    return t->last ? choose_last(t) : RP_OK;
}

static rp_status write_part(trim *t, const char *path)
{
    rp_take_file out;
    rp_take_writer *writer = NULL;
    rp_take_environment environment = t->file.overview.environment;
    environment.flags |= t->inputs ? RP_TAKE_INPUTS_ALONE : 0;
    rp_status status = rp_take_file_create(&out, path, t->replace);
    if (status) {
        return status;
    }
    rp_take_writer_desc desc = {.sink = rp_take_file_sink(&out),
                                .region_base = t->file.overview.header.region_base,
                                .created_wall_ns = rp_os_wall_ns(),
                                .environment = &environment};
    status = rp_take_writer_open(&desc, &writer);
    status = status ? status : rp_take_copy(t->file.take, &t->part, writer);
    status = status ? status : rp_take_writer_finish(writer);
    rp_take_writer_close(writer);
    rp_take_file_close(&out);
    return status;
}

static int read_options(trim *t, int argc, char **argv)
{
    static const struct option table[] = {
        {"last", required_argument, NULL, 'l'}, {"frames", required_argument, NULL, 'f'},
        {"inputs", no_argument, NULL, 'i'},     {"replace", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},       {0}};
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "h", table, NULL)) != -1;) {
        switch (option) {
        case 'l':
            t->last = optarg;
            break;
        case 'f':
            t->frames = optarg;
            break;
        case 'i':
            t->inputs = true;
            break;
        case 'r':
            t->replace = true;
            break;
        case 'h':
            return take_file_usage("trim", help, stdout);
        default:
            return take_file_usage("trim", help, stderr);
        }
    }
    return optind + 2 == argc && !(t->last && t->frames) ? -1
                                                         : take_file_usage("trim", help, stderr);
}

int cmd_trim(int argc, char **argv)
{
    trim t = {0};
    int code = read_options(&t, argc, argv);
    if (code >= 0) {
        return code;
    }
    rp_status status = take_file_open(&t.file, argv[optind]);
    status = status ? status : choose(&t);
    status = status ? status : write_part(&t, argv[optind + 1]);
    code = status ? take_file_failed("trim") : TAKE_EXIT_DONE;
    take_file_close(&t.file);
    return code;
}
