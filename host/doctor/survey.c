/* Running the program and the prover in each mode, and keeping what was seen. */
#include "doctor/doctor.h"

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "prover/answer.h"
#include "region/region.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert((int)PROVE_ANSWER_FD == (int)RP_OS_SUBJECT_ANSWER_FD, "one descriptor");

/* A sanitizer's shadow is fixed and does not grow with the program. */
static const uint64_t shadow_bytes = UINT64_C(64) << 30;
/* What a program may map beyond what it was seen to map. */
enum { EMULATED_SLOWER = 5 };
static const uint64_t spare_bytes = UINT64_C(64) << 30, growth_most_bytes = UINT64_C(1) << 40;

const char *doctor_mode_name(rp_os_subject_mode mode)
{
    static const char *const names[] = {"as it is", "randomisation off", "legacy layout",
                                        "unlimited stack"};
    return names[mode];
}

const char *doctor_mode_id(rp_os_subject_mode mode)
{
    return address_mode_id(mode);
}

/* ---- what was seen ---- */

typedef struct run_view {
    doctor *d;
    rp_os_subject_mode mode;
    bool blocked;
    uint64_t mapped_bytes[RP_OS_MOMENTS];
} run_view;

static doctor_blocker *blocker_like(doctor *d, const rp_os_mapping *mapping)
{
    for (size_t i = 0; i < d->blocker_count; i++) {
        doctor_blocker *b = &d->blockers[i];
        bool same_place = b->from == mapping->from;
        if (strcmp(b->name, mapping->name) == 0 && (mapping->name[0] || same_place)) {
            return b;
        }
    }
    return d->blocker_count < DOCTOR_BLOCKERS_MAX ? &d->blockers[d->blocker_count++] : NULL;
}

static void note_blocker(doctor *d, rp_os_subject_mode mode, const rp_os_mapping *mapping)
{
    doctor_blocker *b = blocker_like(d, mapping);
    if (!b || (b->run_count && b->last_run == d->run_number)) {
        return;
    }
    if (!b->run_count) {
        *b = (doctor_blocker){.from = mapping->from, .to = mapping->to, .mode = mode};
        rp_text_copy(b->permissions, sizeof b->permissions, mapping->permissions);
        rp_text_copy(b->name, sizeof b->name, mapping->name);
    }
    b->run_count++;
    b->last_run = d->run_number;
}

/* A tool, or a library, that the file betrays. */
static void note_file(doctor *d, const char *name)
{
    const char *emulator = rp_os_emulator_of_file(name);
    if (emulator) {
        rp_text_copy(d->emulator, sizeof d->emulator, emulator);
    }
    if (rp_text_matches("*/libreprise.so*", name) ||
        rp_text_matches("*/libreprise-malloc.so*", name) ||
        rp_text_matches("*/reprise-runner", name)) {
        d->program.has_region = true;
    }
    for (size_t i = 0; i < DOCTOR_WORDS_MAX && d->emulator[0]; i++) {
        if (d->words[i][0] && strcmp(name, d->words[i]) == 0) {
            rp_text_copy(d->program.path, sizeof d->program.path, name);
        }
    }
}

static bool in_window(const rp_os_mapping *mapping)
{
    return mapping->from < RP_MODULE_LIMIT && mapping->to > RP_REGION_BASE;
}

void doctor_take_mapping(doctor *d, rp_os_subject_mode mode, const rp_os_mapping *mapping)
{
    rp_survey_add(&d->seen, mapping->from, mapping->to);
    if (mapping->name[0] == '/') {
        note_file(d, mapping->name);
    }
    if (in_window(mapping)) {
        note_blocker(d, mode, mapping);
    }
}

static void visit(void *context, rp_os_moment moment, const rp_os_mapping *mapping)
{
    run_view *view = context;
    uint64_t size_bytes = mapping->to - mapping->from;
    doctor_take_mapping(view->d, view->mode, mapping);
    view->blocked = view->blocked || in_window(mapping);
    if (size_bytes < shadow_bytes) {
        view->mapped_bytes[moment] += size_bytes;
    }
}

/* ---- runs ---- */

/* NAME=value, behind what the environment has under the name. */
static void append_variable(char *text, size_t capacity, const char *name, char separator,
                            const char *value)
{
    const char *before = getenv(name);
    if (before && before[0]) {
        snprintf(text, capacity, "%s=%s%c%s", name, before, separator, value);
    } else {
        snprintf(text, capacity, "%s=%s", name, value);
    }
}

static void progress(const doctor *d, const char *what, rp_os_subject_mode mode, uint32_t run)
{
    if (d->options.survey && isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%s, %s: %" PRIu32 " of %" PRIu32 "\033[K", what, doctor_mode_name(mode),
                run + 1, d->options.run_count);
    }
}

static void progress_end(const doctor *d)
{
    if (d->options.survey && isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
}

static void note_end(doctor *d, doctor_mode *mode, const run_view *view,
                     const rp_os_subject_end *end)
{
    mode->run_count++;
    mode->free_count += !view->blocked;
    mode->traced_count += end->traced;
    mode->ended_count += end->ended_itself;
    for (int i = 0; i < RP_OS_MOMENTS; i++) {
        /* RUNNING is several maps in one. */
        if (i != RP_OS_RUNNING && view->mapped_bytes[i] + spare_bytes > d->growth_bytes) {
            d->growth_bytes = view->mapped_bytes[i] + spare_bytes;
        }
    }
    d->growth_bytes = d->growth_bytes < growth_most_bytes ? d->growth_bytes : growth_most_bytes;
    if (end->ended_itself) {
        mode->exit_code = end->exit_code;
        mode->signal = end->signal;
    }
    if (end->program[0] && !d->emulator[0]) {
        rp_text_copy(d->program.path, sizeof d->program.path, end->program);
    }
}

static uint32_t limit_of_run(const doctor *d)
{
    return d->emulator[0] ? d->options.limit_ms * EMULATED_SLOWER : d->options.limit_ms;
}

static rp_status run_once(doctor *d, rp_os_subject_mode mode)
{
    /* LeakSanitizer stops other threads by ptrace, and gives up in a program that is traced. */
    char leaks[512];
    append_variable(leaks, sizeof leaks, "LSAN_OPTIONS", ':', "detect_leaks=0");
    const char *const environment[] = {leaks, NULL};
    run_view view = {.d = d, .mode = mode};
    rp_os_subject_desc desc = {.argv = d->options.program,
                               .mode = mode,
                               .environment = environment,
                               .limit_ms = limit_of_run(d),
                               .show_output = d->options.verbose,
                               .visit = visit,
                               .context = &view};
    rp_os_subject_end end;
    d->run_number++;
    rp_status status = rp_os_subject_run(&desc, &end);
    if (status == RP_OK) {
        note_end(d, &d->modes[mode], &view, &end);
    }
    return status;
}

static rp_status run_mode(doctor *d, rp_os_subject_mode mode)
{
    for (uint32_t i = 0; i < d->options.run_count; i++) {
        progress(d, "surveying", mode, i);
        rp_status status = run_once(d, mode);
        if (status == RP_E_UNSUPPORTED) {
            d->modes[mode].refused = true;
            return RP_OK;
        }
        if (status) {
            return status;
        }
    }
    return RP_OK;
}

/* ---- proofs ---- */

/* The provers stand where the runner does. */
static bool prover_path(const char *name, char *path, size_t capacity)
{
    char self[512];
    static const char *const places[] = {"%s/%s", "%s/../libexec/reprise/%s"};
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) {
        return false;
    }
    self[length] = 0;
    *strrchr(self, '/') = 0;
    for (size_t i = 0; i < RP_COUNT_OF(places); i++) {
        if (snprintf(path, capacity, places[i], self, name) < (int)capacity &&
            access(path, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

typedef struct proof {
    char prover[640], question[1200], preload[2048], asan[512];
    const char *environment[4];
    char *argv[2];
    rp_os_subject_desc desc;
} proof;

/* Memcheck marks each byte of a mapping: seconds for hundreds of GiB, so less is asked for there.
 */
static uint64_t proof_bytes(const doctor *d)
{
    bool marks = strcmp(d->emulator, "valgrind") == 0;
    return marks ? DOCTOR_VALGRIND_BYTES : RP_MODULE_LIMIT - RP_REGION_BASE;
}

/* The program with the prover in it, or for one that loads no libraries, a prover of its kind. */
static bool proof_prepare(const doctor *d, proof *p)
{
    bool is_static = d->program.kind == DOCTOR_STATIC || d->program.kind == DOCTOR_STATIC_PIE;
    const char *name = d->program.kind == DOCTOR_STATIC       ? "reprise-prove-static"
                       : d->program.kind == DOCTOR_STATIC_PIE ? "reprise-prove-static-pie"
                                                              : "reprise-prove.so";
    if (!prover_path(name, p->prover, sizeof p->prover)) {
        return false;
    }
    snprintf(p->question, sizeof p->question, PROVE_VARIABLE "=%" PRIx64 ":%" PRIx64 ":%s",
             RP_REGION_BASE, proof_bytes(d), d->program.path);
    append_variable(p->preload, sizeof p->preload, "LD_PRELOAD", ':', p->prover);
    /* It refuses to start behind another preloaded library otherwise. */
    append_variable(p->asan, sizeof p->asan, "ASAN_OPTIONS", ':', "verify_asan_link_order=0");
    p->environment[0] = p->question;
    p->environment[1] = is_static ? NULL : p->preload;
    p->environment[2] = p->asan;
    p->environment[3] = NULL;
    p->argv[0] = p->prover;
    p->argv[1] = NULL;
    p->desc = (rp_os_subject_desc){.argv = is_static ? p->argv : d->options.program,
                                   .environment = p->environment,
                                   .limit_ms = limit_of_run(d),
                                   .show_output = d->options.verbose,
                                   .want_answer = true};
    return true;
}

static void take_answer(doctor *d, rp_os_subject_mode mode, const rp_os_subject_end *end)
{
    prove_answer answer;
    doctor_mode *m = &d->modes[mode];
    if (end->answer_bytes != sizeof answer) {
        m->unanswered_count++;
        return;
    }
    memcpy(&answer, end->answer, sizeof answer);
    if (answer.magic != PROVE_MAGIC) {
        m->unanswered_count++;
        return;
    }
    m->proof_count++;
    if (answer.result == PROVE_GOOD) {
        m->proved_count++;
        m->least_proved_bytes = m->least_proved_bytes && m->least_proved_bytes < answer.size_bytes
                                    ? m->least_proved_bytes
                                    : answer.size_bytes;
    } else if (!d->proof_failed) {
        d->proof_failed = true;
        d->proof_result = answer.result;
        d->proof_system_code = answer.system_code;
        d->proof_mode = mode;
        d->proof_got = answer.got;
    }
}

static void prove_mode(doctor *d, proof *p, rp_os_subject_mode mode)
{
    rp_os_subject_end end;
    p->desc.mode = mode;
    for (uint32_t i = 0; i < d->options.run_count; i++) {
        progress(d, "proving", mode, i);
        if (rp_os_subject_run(&p->desc, &end) == RP_OK) {
            take_answer(d, mode, &end);
        } else {
            d->modes[mode].unanswered_count++;
        }
    }
}

static void prove(doctor *d)
{
    static proof p; /* some KiB, and one in a process */
    bool ready = !d->program.has_region && proof_prepare(d, &p);
    for (int mode = 0; mode < RP_OS_SUBJECT_MODES && ready; mode++) {
        if (!d->modes[mode].refused) {
            prove_mode(d, &p, (rp_os_subject_mode)mode);
        }
    }
}

/* ---- all of it ---- */

static void find_words(doctor *d)
{
    for (size_t i = 1; d->options.program[i] && i < DOCTOR_WORDS_MAX; i++) {
        if (!doctor_program_find(d->options.program[i], d->words[i], sizeof d->words[i])) {
            d->words[i][0] = 0;
        }
    }
}

/* Having the code is not enough: this command has it, too. */
static bool base_begins_a_mapping(const doctor *d)
{
    for (size_t i = 0; i < d->blocker_count; i++) {
        if (d->blockers[i].from == RP_REGION_BASE) {
            return true;
        }
    }
    return false;
}

/* Keeps what the maps told beside what the file tells. */
static void read_program(doctor *d)
{
    doctor_program of_file;
    char path[sizeof d->program.path];
    bool has_region = d->program.has_region;
    memcpy(path, d->program.path, sizeof path);
    doctor_program_read(path, &of_file);
    d->program = of_file;
    d->program.has_region = (d->program.has_region || has_region) && base_begins_a_mapping(d);
}

rp_status doctor_survey(doctor *d)
{
    rp_status status = RP_OK;
    find_words(d);
    for (int mode = 0; mode < RP_OS_SUBJECT_MODES && !status; mode++) {
        status = run_mode(d, (rp_os_subject_mode)mode);
    }
    if (!status) {
        read_program(d);
        prove(d);
    }
    progress_end(d);
    d->growth_bytes = d->growth_bytes ? d->growth_bytes : spare_bytes;
    d->default_free =
        rp_survey_grade_of(&d->seen, d->growth_bytes, RP_REGION_BASE, RP_MODULE_LIMIT, &d->grade);
    d->window_count = rp_survey_windows(&d->seen, d->growth_bytes, RP_MODULE_LIMIT - RP_REGION_BASE,
                                        d->windows, DOCTOR_WINDOWS_MAX);
    return status;
}
