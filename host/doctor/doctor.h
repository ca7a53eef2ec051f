/* `reprise doctor`: what is shared by its parts.
 *
 *   program.c   what kind of program it is        survey.c    running it, proving the base in it
 *   findings.c  what is wrong, why, what to do     address_file.c   the project file
 *   text.c      the table                         json.c      the same for programs
 *
 * Layer: host.  Threads: the main thread.  Design: docs/internals/doctor.md
 * Tests: tests/host/test_doctor.c, tests/e2e/doctor_*.sh
 */
#ifndef HOST_DOCTOR_DOCTOR_H
#define HOST_DOCTOR_DOCTOR_H

#include "doctor/address_file.h"

#include <jansson.h>
#include <os/machine.h>
#include <os/subject.h>
#include <region/survey.h>
#include <reprise/deck.h>

#define DOCTOR_VALGRIND_BYTES (UINT64_C(16) << 30)

/* Ordered by weight: of several findings the heaviest gives the exit code. */
enum {
    DOCTOR_EXIT_FINE = 0,
    DOCTOR_EXIT_FAILED = 1,
    DOCTOR_EXIT_USAGE = 2,
    DOCTOR_EXIT_BASE = 3,      /* the base is not free, or could not be used */
    DOCTOR_EXIT_LESS = 4,      /* it works: slower, or with less room */
    DOCTOR_EXIT_FORBIDDEN = 5, /* a limit or a missing feature forbids to run */
    DOCTOR_EXIT_FILE = 6       /* the project file was made for something else */
};

enum {
    DOCTOR_BLOCKERS_MAX = 16,
    DOCTOR_WINDOWS_MAX = 8,
    DOCTOR_FINDINGS_MAX = 24,
    DOCTOR_WORDS_MAX = 16
};

typedef enum doctor_kind {
    DOCTOR_UNKNOWN, /* no ELF file of this machine, as a script */
    DOCTOR_PIE,
    DOCTOR_NOT_PIE,
    DOCTOR_STATIC,
    DOCTOR_STATIC_PIE,
    DOCTOR_LIBRARY
} doctor_kind;

typedef struct doctor_program {
    char path[1024]; /* the executable, as the maps name it */
    doctor_kind kind;
    bool sanitizers[RP_SURVEY_SANITIZERS];
    bool has_region; /* it opens Reprise's region itself */
    char build_id[48];
} doctor_program;

/* A mapping within the window. */
typedef struct doctor_blocker {
    uint64_t from, to;
    char permissions[5], name[160];
    rp_os_subject_mode mode;
    uint32_t run_count; /* in which it was seen, here or elsewhere under the same name */
    uint32_t last_run;
} doctor_blocker;

typedef struct doctor_mode {
    bool refused; /* this system does not allow it */
    uint32_t run_count, free_count, traced_count, ended_count;
    uint32_t proof_count, proved_count; /* without an answer: in neither */
    uint32_t unanswered_count;
    uint64_t least_proved_bytes;
    int exit_code, signal; /* of the last run that ended by itself */
} doctor_mode;

typedef enum doctor_weight {
    DOCTOR_NOTE,
    DOCTOR_LESS,
    DOCTOR_FILE,
    DOCTOR_FORBIDDEN,
    DOCTOR_BASE
} doctor_weight;

typedef struct doctor_finding {
    doctor_weight weight;
    const char *id; /* "base-taken" */
    char what[200], why[400], remedy[300];
} doctor_finding;

/* A rung of write tracking's ladder, best first. */
typedef struct doctor_rung {
    const char *name, *cost;
    bool present;
} doctor_rung;
enum { DOCTOR_RUNGS_MAX = 6 };

typedef struct doctor_options {
    char *const *program; /* its words; null at the end */
    uint32_t run_count;   /* a mode */
    uint32_t limit_ms;    /* a run */
    bool itself;          /* no program was named: it is this command */
    bool survey, json, verbose, record, no_record;
    const char *file;
} doctor_options;

typedef struct doctor {
    doctor_options options;
    rp_os_machine machine;
    rp_os_feature features[RP_OS_FEATURES_MAX];
    size_t feature_count;
    doctor_rung rungs[DOCTOR_RUNGS_MAX];
    size_t rung_count;
    doctor_program program;
    char emulator[24]; /* that the program runs in; "": none */
    doctor_mode modes[RP_OS_SUBJECT_MODES];
    rp_survey_cells seen;
    uint64_t growth_bytes; /* the most that the program had mapped, sanitizers' shadows left out */
    doctor_blocker blockers[DOCTOR_BLOCKERS_MAX];
    size_t blocker_count;
    uint32_t run_number;
    char words[DOCTOR_WORDS_MAX][512]; /* the command's words as files, to find a program that
                                          another one runs; "": none */
    bool proof_failed;                 /* with the first answer that was not good: */
    uint32_t proof_result;
    int proof_system_code;
    rp_os_subject_mode proof_mode;
    uint64_t proof_got;
    bool default_free;
    rp_survey_grade grade;
    rp_survey_window windows[DOCTOR_WINDOWS_MAX];
    size_t window_count;
    doctor_finding findings[DOCTOR_FINDINGS_MAX];
    size_t finding_count;
    char recorded[512]; /* where the result was written; "": nowhere */
} doctor;

/* ---- program.c ---- */
const char *doctor_kind_name(doctor_kind kind);
/* What the file is. False: no ELF file of 64 bits, or it cannot be read; the kind is unknown then.
 */
bool doctor_program_read(const char *path, doctor_program *program);
/* The file that `word` runs, looked for in PATH where it has no slash, without links; false: none.
 */
bool doctor_program_find(const char *word, char *path, size_t capacity);

/* ---- survey.c ---- */
const char *doctor_mode_name(rp_os_subject_mode mode);
const char *doctor_mode_id(rp_os_subject_mode mode);
/* Runs the program, then the prover, in each mode; fills what is known of it. RP_E_NOT_FOUND,
 * RP_E_SYSTEM: it cannot be run. */
rp_status doctor_survey(doctor *d);
/* Takes one mapping of a run; a part of the above for the tests. */
void doctor_take_mapping(doctor *d, rp_os_subject_mode mode, const rp_os_mapping *mapping);

/* ---- findings.c ---- */
/* Machine, features and rungs. */
void doctor_examine(doctor *d);
/* Findings, from all that was filled in before. */
void doctor_conclude(doctor *d);
__attribute__((format(printf, 4, 5))) void doctor_find(doctor *d, doctor_weight weight,
                                                       const char *id, const char *what, ...);
__attribute__((format(printf, 2, 3))) void doctor_because(doctor *d, const char *why, ...);
__attribute__((format(printf, 2, 3))) void doctor_remedy(doctor *d, const char *what_to_do, ...);
int doctor_exit_code(const doctor *d);

/* ---- text.c, json.c ---- */
void doctor_print_text(const doctor *d);
/* A new reference. */
json_t *doctor_json(const doctor *d);

/* ---- the project file ---- */
/* Whether the result is to be written. */
bool doctor_records(const doctor_options *options);
void doctor_fill_address_file(const doctor *d, address_file *file);

#endif
