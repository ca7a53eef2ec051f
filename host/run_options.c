/* The command line of `reprise run`. See run.h. */
#include "run.h"
#include "tracking_text.h"

#include <base/bits.h>
#include <base/error.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void run_options_help(void)
{
    puts(
        "usage: reprise run [OPTIONS] MODULE.so\n"
        "\n"
        "Runs a module: shows it, takes its input, picks up each new build of it, keeps every\n"
        "frame. A module is a shared library with rp_module_step (see <reprise/stage.h>).\n"
        "\n"
        "  --build CMD          run CMD when a source changes; compile errors are shown\n"
        "  --source PATH        a folder or file whose changes start the build; default: the\n"
        "                       module's folder (may be given more than once)\n"
        "  --stage sdl|term|none   where it is shown; default: a window where there is a\n"
        "                       display, else the terminal, else none\n"
        "  --input FILE         take the input from a script (docs/start.md), not from a person\n"
        "  --take FILE          record all of it into FILE, which must not be there yet\n"
        "  --crash-takes DIR    a failure leaves a take of the ten seconds before it there\n"
        "  --frames N           end after frame N; without a stage as fast as it goes\n"
        "  --hashes             print `frame hash` for each frame\n"
        "  --synctest           run every frame twice from the same state and compare: what\n"
        "                       differs is named; with --frames the exit code is then 4\n"
        "  --resume             go on where the last run with --resume of this module ended, also\n"
        "                       where it was killed; keep in memory what the next one needs\n"
        "  --paced              with --stage none: at the frame rate, not as fast as it goes\n"
        "  --name NAME          name for `reprise ctl`; default: the module's name\n"
        "  --budget SIZE        history to keep beyond the newest frame, as 512M (default)\n"
        "  --tracking auto|wp-async|wp-sigbus|mprotect|compare\n"
        "                       how written pages are found; all but wp-async are slow\n"
        "  --check-threads      report threads that write while a frame is committed\n"
        "  --seed N             seed of the program's random numbers (1)\n"
        "  --time SECONDS       its wall clock at frame 0, since 1970; default: now, and with\n"
        "                       --stage none 946684800 (1 January 2000)\n"
        "  --watchdog SECONDS   a step that takes longer is a hang (2; 0: never)\n"
        "  --keep-lib PATTERN   a library that is not part of the state (more than once)\n"
        "  --types FILE         answers about types of heap blocks (docs/types.md); default:\n"
        "                       reprise.types beside the module\n"
        "  --debug NAME=MODES   debug modes of an allocator or a scope, as 'physics=end-of-page' "
        "or\n"
        "                       '*=canary,fill'; more than once; default: $REPRISE_DEBUG\n"
        "  --leaks              at the end: what lives that nothing points to, and its stacks\n"
        "  --size WxH, --rate HZ, --scale N   of the canvas; its rate; pixels of the window\n"
        "  --help               this text\n"
        "\n"
        "Keys: F1 shows them. F5 pause, F6 held: backwards, F7 mark in, out, end of the loop.\n"
        "\n"
        "Debug modes: trace stacks fill canary end-of-page start-of-page quarantine sampled "
        "failing\n"
        "leaks, or off (docs/memory). While it runs: `reprise ctl debug`, `reprise ctl memory`.\n"
        "\n"
        "Exit codes: 0 done · 1 it could not run · 2 wrong usage · 3 the program failed, or "
        "memory\n"
        "was found broken (without a stage) · 4 a frame came out different (--synctest with\n"
        "--frames) · 23 leaks (with --leaks, where nothing else failed)\n"
        "\n"
        "Examples:\n"
        "  reprise run --build make ./game.so\n"
        "  reprise run --stage none --input play.input --debug '*=canary' --leaks ./game.so");
}

enum {
    OPT_BUILD = 256,
    OPT_SOURCE,
    OPT_STAGE,
    OPT_INPUT,
    OPT_TAKE,
    OPT_CRASH_TAKES,
    OPT_FRAMES,
    OPT_HASHES,
    OPT_SYNCTEST,
    OPT_PACED,
    OPT_NAME,
    OPT_BUDGET,
    OPT_TRACKING,
    OPT_CHECK_THREADS,
    OPT_SEED,
    OPT_TIME,
    OPT_WATCHDOG,
    OPT_KEEP,
    OPT_TYPES,
    OPT_DEBUG,
    OPT_LEAKS,
    OPT_SIZE,
    OPT_RATE,
    OPT_SCALE,
    OPT_MODULE,
    OPT_AT,
    OPT_TRUST,
    OPT_PLAY,
    OPT_HISTORY,
    OPT_RESUME,
    OPT_HELP
};

static const struct option table[] = {
    {"build", required_argument, NULL, OPT_BUILD},
    {"source", required_argument, NULL, OPT_SOURCE},
    {"stage", required_argument, NULL, OPT_STAGE},
    {"input", required_argument, NULL, OPT_INPUT},
    {"take", required_argument, NULL, OPT_TAKE},
    {"crash-takes", required_argument, NULL, OPT_CRASH_TAKES},
    {"frames", required_argument, NULL, OPT_FRAMES},
    {"hashes", no_argument, NULL, OPT_HASHES},
    {"synctest", no_argument, NULL, OPT_SYNCTEST},
    {"paced", no_argument, NULL, OPT_PACED},
    {"name", required_argument, NULL, OPT_NAME},
    {"budget", required_argument, NULL, OPT_BUDGET},
    {"tracking", required_argument, NULL, OPT_TRACKING},
    {"check-threads", no_argument, NULL, OPT_CHECK_THREADS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"time", required_argument, NULL, OPT_TIME},
    {"watchdog", required_argument, NULL, OPT_WATCHDOG},
    {"keep-lib", required_argument, NULL, OPT_KEEP},
    {"types", required_argument, NULL, OPT_TYPES},
    {"debug", required_argument, NULL, OPT_DEBUG},
    {"leaks", no_argument, NULL, OPT_LEAKS},
    {"size", required_argument, NULL, OPT_SIZE},
    {"rate", required_argument, NULL, OPT_RATE},
    {"scale", required_argument, NULL, OPT_SCALE},
    {"module", required_argument, NULL, OPT_MODULE},
    {"frame", required_argument, NULL, OPT_AT},
    {"trust", no_argument, NULL, OPT_TRUST},
    {"play", no_argument, NULL, OPT_PLAY},
    {"history", required_argument, NULL, OPT_HISTORY},
    {"resume", no_argument, NULL, OPT_RESUME},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

/* Some are of one command alone: a take says what its world began with. */
static bool is_of_open(int option)
{
    return option == OPT_MODULE || option == OPT_AT || option == OPT_TRUST || option == OPT_PLAY ||
           option == OPT_HISTORY;
}

static bool is_of_run(int option)
{
    return option == OPT_SEED || option == OPT_TIME || option == OPT_SIZE || option == OPT_RATE ||
           option == OPT_RESUME;
}

static rp_status bad(const char *option, const char *value, const char *wanted)
{
    return rp_fail(RP_E_ARGUMENT, "run: %s %s: it takes %s: see `reprise run --help`", option,
                   value, wanted);
}

static rp_status number(const char *option, const char *text, uint64_t least, uint64_t most,
                        uint64_t *value)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || n < least || n > most) {
        char wanted[80];
        snprintf(wanted, sizeof wanted, "a number from %llu to %llu", (unsigned long long)least,
                 (unsigned long long)most);
        return bad(option, text, wanted);
    }
    *value = n;
    return RP_OK;
}

static rp_status number32(const char *option, const char *text, uint32_t most, uint32_t *value)
{
    uint64_t n = 0;
    rp_status status = number(option, text, 1, most, &n);
    *value = (uint32_t)n;
    return status;
}

static rp_status size(const char *text, size_t *bytes)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    const char *units = "KMGT", *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? (unsigned)(unit - units + 1) * 10 : 0;
    bool whole = end != text && text[0] != '-' && (!*end || (unit && !end[1]));
    if (!whole || errno || !n || n > (UINT64_C(1) << 46) >> shift) {
        return bad("--budget", text, "a size as 64M or 2G");
    }
    *bytes = (size_t)n << shift;
    return RP_OK;
}

static rp_status tracking(const char *text, rp_tracking *value)
{
    return tracking_read(text, value) ? RP_OK : bad("--tracking", text, TRACKING_NAMES);
}

static rp_status add(const char *option, const char **list, int *count, const char *value)
{
    if (*count == RUN_LIST_MAX) {
        return bad(option, value, "at most 32 of them");
    }
    list[(*count)++] = value;
    return RP_OK;
}

static rp_status canvas_size(run_options *o, const char *text)
{
    unsigned width, height;
    char rest;
    if (sscanf(text, "%ux%u%c", &width, &height, &rest) != 2 || !width || !height || width > 4096 ||
        height > 4096) {
        return bad("--size", text, "WIDTHxHEIGHT, each from 1 to 4096");
    }
    o->width_px = width;
    o->height_px = height;
    return RP_OK;
}

static rp_status seconds(const char *option, const char *text, uint64_t *ns, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value <= most)) {
        return bad(option, text, "a number of seconds");
    }
    *ns = (uint64_t)(value * 1e9);
    return RP_OK;
}

static rp_status stage_name(run_options *o, const char *text)
{
    if (strcmp(text, "sdl") && strcmp(text, "term") && strcmp(text, "none")) {
        return bad("--stage", text, "sdl, term or none");
    }
    o->stage = text;
    return RP_OK;
}

/* Options that are said or not. */
static bool *flag_of(run_options *o, int option)
{
    switch (option) {
    case OPT_HASHES:
        return &o->hashes;
    case OPT_SYNCTEST:
        return &o->synctest;
    case OPT_PACED:
        return &o->paced;
    case OPT_CHECK_THREADS:
        return &o->check_threads;
    case OPT_LEAKS:
        return &o->leaks;
    case OPT_TRUST:
        return &o->trust;
    case OPT_PLAY:
        return &o->plays;
    case OPT_RESUME:
        return &o->resumes;
    default:
        return NULL;
    }
}

/* Options that are taken as they are. */
static const char **text_of(run_options *o, int option)
{
    switch (option) {
    case OPT_BUILD:
        return &o->build;
    case OPT_INPUT:
        return &o->input;
    case OPT_TAKE:
        return &o->take;
    case OPT_CRASH_TAKES:
        return &o->crash_takes;
    case OPT_NAME:
        return &o->name;
    case OPT_TYPES:
        return &o->types;
    case OPT_MODULE:
        return &o->module;
    case OPT_AT:
        return &o->at;
    default:
        return NULL;
    }
}

static rp_status option_read(run_options *o, int option, const char *value)
{
    uint64_t n = 0;
    rp_status status = RP_OK;
    bool *flag = flag_of(o, option);
    const char **text = text_of(o, option);
    if (flag) {
        *flag = true;
        return RP_OK;
    }
    if (text) {
        *text = value;
        return RP_OK;
    }
    switch (option) {
    case OPT_SOURCE:
        return add("--source", o->sources, &o->source_count, value);
    case OPT_STAGE:
        return stage_name(o, value);
    case OPT_FRAMES:
        return number("--frames", value, 1, UINT64_C(1) << 40, &o->frames);
    case OPT_BUDGET:
        return size(value, &o->budget_bytes);
    case OPT_TRACKING:
        return tracking(value, &o->tracking);
    case OPT_SEED:
        return number("--seed", value, 0, UINT64_MAX, &o->seed);
    case OPT_TIME:
        o->fixed_time = true;
        return seconds("--time", value, &o->start_wall_ns, 1e10);
    case OPT_WATCHDOG:
        status = seconds("--watchdog", value, &n, 86400);
        o->watchdog_ms = (uint32_t)(n / 1000000u);
        return status;
    case OPT_KEEP:
        return add("--keep-lib", o->keep, &o->keep_count, value);
    case OPT_DEBUG:
        return debug_choices_add(&o->debug, value);
    case OPT_SIZE:
        return canvas_size(o, value);
    case OPT_RATE:
        return number32("--rate", value, 1000, &o->rate_hz);
    case OPT_SCALE:
        status = number("--scale", value, 1, 16, &n);
        o->scale = (int)n;
        return status;
    case OPT_HISTORY:
        o->history = UINT64_MAX;
        return strcmp(value, "all") == 0
                   ? RP_OK
                   : number("--history", value, 0, UINT64_C(1) << 40, &o->history);
    default:
        return rp_fail(RP_E_ARGUMENT,
                       "run: unknown option or missing value: see `reprise run --help`");
    }
}

/* Every block is known, with its stack, but those of libraries that are no state. What was chosen
 * by a name goes before it. */
static const char leaks_settings[] = "*=trace,stacks,leaks;keep=off";

/* The option wins over the environment. */
static rp_status debug_complete(run_options *o)
{
    const char *environment = getenv("REPRISE_DEBUG");
    if (!o->debug.text[0] && environment) {
        rp_status status = debug_choices_add(&o->debug, environment);
        if (status) {
            rp_error why = *rp_error_last();
            return rp_fail(why.status, "REPRISE_DEBUG: %s", why.text);
        }
    }
    debug_choices_text chosen = o->debug;
    if (o->leaks) {
        o->debug = (debug_choices_text){0};
        debug_choices_add(&o->debug, leaks_settings);
        return debug_choices_add(&o->debug, chosen.text);
    }
    return RP_OK;
}

static rp_status options_read(int argc, char **argv, bool opening, run_options *o, bool *help)
{
    const char *command = opening ? "open" : "run";
    optind = 0;
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == OPT_HELP) {
            *help = true;
            return RP_OK;
        }
        if (option == '?' || (opening ? is_of_run(option) : is_of_open(option))) {
            return rp_fail(RP_E_ARGUMENT,
                           "%s: %s: unknown option, or its value is missing: see "
                           "`reprise %s --help`",
                           command, argv[optind - 1], command);
        }
        rp_status status = option_read(o, option, optarg);
        if (status) {
            return status;
        }
    }
    if (optind + 1 != argc) {
        return rp_fail(RP_E_ARGUMENT, "%s: %s: say which %s to %s: see `reprise %s --help`",
                       command,
                       optind == argc ? (opening ? "no take" : "no module")
                       : opening      ? "more than one take"
                                      : "more than one module",
                       opening ? "take" : "module", command, command);
    }
    return RP_OK;
}

static const run_options options_at_first = {.budget_bytes = RP_MIB(512),
                                             .seed = 1,
                                             .watchdog_ms = 2000,
                                             .width_px = 320,
                                             .height_px = 180,
                                             .rate_hz = 60};

rp_status run_options_read(int argc, char **argv, run_options *o, bool *help)
{
    *o = options_at_first;
    *help = false;
    rp_status status = options_read(argc, argv, false, o, help);
    if (status || *help) {
        return status;
    }
    o->module = argv[optind];
    return debug_complete(o);
}

rp_status run_options_read_open(int argc, char **argv, run_options *o, bool *help)
{
    *o = options_at_first;
    o->history = OPEN_HISTORY_FRAMES;
    *help = false;
    rp_status status = options_read(argc, argv, true, o, help);
    if (status || *help) {
        return status;
    }
    o->opens = argv[optind];
    if (o->build && !o->module) {
        return rp_fail(RP_E_ARGUMENT, "open: --build: say with --module which file it makes");
    }
    return debug_complete(o);
}
