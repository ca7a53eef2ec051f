/* `reprise doctor`: the command line, and the order of things. */
#include "cmd_doctor.h"
#include "doctor/doctor.h"

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "os/os.h"
#include "region/region.h"

#include <reprise/version.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUICK_RUNS = 1, OWN_RUNS = 3, QUICK_LIMIT_MS = 2000, SURVEY_LIMIT_MS = 20000 };

static const char usage[] =
    "usage: reprise doctor [OPTIONS] [PROG [ARGUMENTS]]\n"
    "\n"
    "Says whether the region can lie at its static address on this machine and in PROG, which\n"
    "features of the kernel there are, and what to do about what is missing. Without PROG: in "
    "this\n"
    "command itself, whose kind is that of the processes of `reprise run`.\n"
    "\n"
    "PROG is run, with its arguments, without terminal and input: in four modes (as it is,\n"
    "without address randomisation, with the legacy layout, with an unlimited stack). One that "
    "does\n"
    "not end is ended once its memory map has settled. Then the base is used in a process of its\n"
    "kind, before its main function and instead of it.\n"
    "\n"
    "  --survey N       N runs and N proofs a mode (200 are many), and write " ADDRESS_FILE_NAME
    ",\n"
    "                   which `reprise run` checks itself against; without it: one of each\n"
    "  --file PATH      that file's name\n"
    "  --record         write it after a quick look, too\n"
    "  --no-record      do not write it\n"
    "  --limit SECONDS  of one run, at most (2; 20 with --survey)\n"
    "  --json           one JSON object instead of the table\n"
    "  --verbose        show what PROG prints, on standard error; else it goes nowhere\n"
    "  --help           this text\n"
    "\n"
    "exit codes\n"
    "  0 fine   1 it could not be found out   2 wrong usage\n"
    "  3 the base is not free, or cannot be used   4 it works, slower or with less room\n"
    "  5 a limit or a missing feature forbids to run   6 the project file does not fit\n"
    "  Of several the first of 3, 5, 6, 4 that is true.\n"
    "\n"
    "examples\n"
    "  reprise doctor\n"
    "  reprise doctor --survey 200 ./game --level 3\n"
    "  reprise doctor --json valgrind ./game\n";

static rp_status read_number(const char *option, const char *text, uint32_t most, uint32_t *value)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || n < 1 || n > most) {
        return rp_fail(RP_E_ARGUMENT,
                       "doctor: %s %s: it takes a number from 1 to %u: see `reprise doctor --help`",
                       option, text, most);
    }
    *value = (uint32_t)n;
    return RP_OK;
}

static rp_status read_option(doctor_options *o, int option, const char *value)
{
    uint32_t seconds = 0;
    rp_status status;
    switch (option) {
    case 's':
        o->survey = true;
        return read_number("--survey", value, 100000, &o->run_count);
    case 'l':
        status = read_number("--limit", value, 3600, &seconds);
        o->limit_ms = seconds * 1000;
        return status;
    case 'f':
        o->file = value;
        return RP_OK;
    case 'r':
        o->record = true;
        return RP_OK;
    case 'n':
        o->no_record = true;
        return RP_OK;
    case 'j':
        o->json = true;
        return RP_OK;
    case 'v':
        o->verbose = true;
        return RP_OK;
    default:
        return rp_fail(RP_E_ARGUMENT,
                       "doctor: unknown option, or its value is missing: see `reprise doctor "
                       "--help`");
    }
}

static rp_status read_options(int argc, char **argv, doctor_options *o, bool *help)
{
    static const struct option table[] = {
        {"survey", required_argument, NULL, 's'},
        {"limit", required_argument, NULL, 'l'},
        {"file", required_argument, NULL, 'f'},
        {"record", no_argument, NULL, 'r'},
        {"no-record", no_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    *o = (doctor_options){.file = ADDRESS_FILE_NAME};
    optind = 0;
    opterr = 0;
    /* '+': what follows PROG is its own. */
    for (int option; (option = getopt_long(argc, argv, "+", table, NULL)) != -1;) {
        if (option == 'h') {
            *help = true;
            return RP_OK;
        }
        rp_status status = read_option(o, option, optarg);
        if (status) {
            return status;
        }
    }
    o->program = optind < argc ? argv + optind : NULL;
    if (o->record && o->no_record) {
        return rp_fail(RP_E_ARGUMENT, "doctor: --record and --no-record: give one of them");
    }
    return RP_OK;
}

/* A module has no main function to run. */
static rp_status check_program(const doctor_options *o)
{
    doctor_program program;
    char path[1024];
    if (!o->program || !doctor_program_find(o->program[0], path, sizeof path)) {
        return RP_OK; /* the first run says what is wrong with it */
    }
    if (doctor_program_read(path, &program) && program.kind == DOCTOR_LIBRARY) {
        return rp_fail(RP_E_ARGUMENT,
                       "doctor: %s: is a library, not a program: `reprise run` loads it into a "
                       "process of its own, which `reprise doctor` without a program looks at",
                       o->program[0]);
    }
    return RP_OK;
}

/* What is written is one line a value. */
static void copy_plain(char *to, size_t capacity, const char *from)
{
    rp_text_copy(to, capacity, from);
    for (; *to; to++) {
        *to = (unsigned char)*to < ' ' || *to == 0x7f ? '?' : *to;
    }
}

static void date_of_today(char *text, size_t capacity)
{
    time_t now = (time_t)(rp_os_wall_ns() / UINT64_C(1000000000));
    struct tm day;
    text[0] = 0;
    if (gmtime_r(&now, &day)) {
        strftime(text, capacity, "%Y-%m-%d", &day);
    }
}

void doctor_fill_address_file(const doctor *d, address_file *file)
{
    const rp_os_machine *m = &d->machine;
    *file = (address_file){.base = RP_REGION_BASE,
                           .end = RP_MODULE_LIMIT,
                           .reserve_bytes = RP_REGION_RESERVE_BYTES,
                           .page_bytes = m->page_bytes,
                           .address_bits = m->address_bits,
                           .randomisation_bits = m->randomisation_bits};
    rp_text_copy(file->architecture, sizeof file->architecture, m->architecture);
    copy_plain(file->kernel, sizeof file->kernel, m->kernel);
    rp_text_copy(file->kind, sizeof file->kind, doctor_kind_name(d->program.kind));
    rp_text_copy(file->build_id, sizeof file->build_id, d->program.build_id);
    rp_text_copy(file->version, sizeof file->version, RP_VERSION_TEXT);
    copy_plain(file->program, sizeof file->program, d->program.path);
    date_of_today(file->date, sizeof file->date);
    for (int i = 0; i < RP_OS_SUBJECT_MODES; i++) {
        const doctor_mode *mode = &d->modes[i];
        file->modes[i] = (address_counts){mode->run_count, mode->free_count, mode->proved_count};
    }
}

bool doctor_records(const doctor_options *options)
{
    return options->record || (options->survey && !options->no_record);
}

/* A survey that found the base unusable is not written: there is nothing to check against. */
static rp_status record(doctor *d)
{
    address_file file;
    int code = doctor_exit_code(d);
    if (!doctor_records(&d->options) || code == DOCTOR_EXIT_BASE || code == DOCTOR_EXIT_FORBIDDEN) {
        return RP_OK;
    }
    doctor_fill_address_file(d, &file);
    rp_status status = address_file_write(d->options.file, &file);
    if (!status) {
        rp_text_copy(d->recorded, sizeof d->recorded, d->options.file);
    }
    return status;
}

static void print(const doctor *d)
{
    if (!d->options.json) {
        doctor_print_text(d);
        return;
    }
    json_t *all = doctor_json(d);
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

static int fail(int code)
{
    fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
    return code;
}

int cmd_doctor(int argc, char **argv)
{
    static doctor d; /* large, and one in a process */
    static char self[] = "/proc/self/exe", version[] = "--version";
    static char *const own[] = {self, version, NULL};
    bool help = false;
    doctor_options options;
    if (read_options(argc, argv, &options, &help)) {
        return fail(DOCTOR_EXIT_USAGE);
    }
    if (help) {
        fputs(usage, stdout);
        return DOCTOR_EXIT_FINE;
    }
    if (check_program(&options)) {
        return fail(DOCTOR_EXIT_USAGE);
    }
    d = (doctor){.options = options};
    if (!options.run_count) {
        d.options.run_count = options.program ? QUICK_RUNS : OWN_RUNS;
    }
    if (!options.limit_ms) {
        d.options.limit_ms = options.survey ? SURVEY_LIMIT_MS : QUICK_LIMIT_MS;
    }
    if (!options.program) {
        d.options.program = own;
        d.options.itself = true;
    }
    doctor_examine(&d);
    rp_status status = doctor_survey(&d);
    if (status) {
        return fail(DOCTOR_EXIT_FAILED);
    }
    doctor_conclude(&d);
    status = record(&d);
    print(&d);
    return status ? fail(DOCTOR_EXIT_FAILED) : doctor_exit_code(&d);
}
