/* What is wrong, why, and what to do about it. */
#include "doctor/doctor.h"

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "history/log.h"
#include "os/os.h"
#include "prover/answer.h"
#include "region/region.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    KERNEL_MAPPINGS = 65530, /* the kernel's default of vm.max_map_count */
    FEW_WATCHES = 4096       /* a source tree may have that many folders */
};
static const uint64_t region_least_bytes = UINT64_C(1) << 30; /* a region's default minimum */
/* The view of history's file, and room for libraries, copies and a fresh runner's preparations. */
static const uint64_t runner_bytes = RP_LOG_FILE_BYTES + (UINT64_C(16) << 30);

/* ---- the list ---- */

static doctor_finding *last_finding(doctor *d)
{
    return &d->findings[d->finding_count - 1];
}

void doctor_find(doctor *d, doctor_weight weight, const char *id, const char *what, ...)
{
    va_list arguments;
    d->finding_count += d->finding_count < DOCTOR_FINDINGS_MAX;
    doctor_finding *f = last_finding(d);
    *f = (doctor_finding){.weight = weight, .id = id};
    va_start(arguments, what);
    vsnprintf(f->what, sizeof f->what, what, arguments);
    va_end(arguments);
}

void doctor_because(doctor *d, const char *why, ...)
{
    va_list arguments;
    va_start(arguments, why);
    vsnprintf(last_finding(d)->why, sizeof last_finding(d)->why, why, arguments);
    va_end(arguments);
}

void doctor_remedy(doctor *d, const char *what_to_do, ...)
{
    va_list arguments;
    va_start(arguments, what_to_do);
    vsnprintf(last_finding(d)->remedy, sizeof last_finding(d)->remedy, what_to_do, arguments);
    va_end(arguments);
}

int doctor_exit_code(const doctor *d)
{
    static const int codes[] = {
        [DOCTOR_NOTE] = DOCTOR_EXIT_FINE, [DOCTOR_LESS] = DOCTOR_EXIT_LESS,
        [DOCTOR_FILE] = DOCTOR_EXIT_FILE, [DOCTOR_FORBIDDEN] = DOCTOR_EXIT_FORBIDDEN,
        [DOCTOR_BASE] = DOCTOR_EXIT_BASE,
    };
    doctor_weight heaviest = DOCTOR_NOTE;
    for (size_t i = 0; i < d->finding_count; i++) {
        heaviest = d->findings[i].weight > heaviest ? d->findings[i].weight : heaviest;
    }
    return codes[heaviest];
}

/* ---- write tracking ---- */

static bool rung_works(rp_os_rung rung)
{
    rp_os_tracker tracker;
    bool opened = rp_os_track_open(&tracker, rung) == RP_OK;
    rp_os_track_close(&tracker);
    return opened;
}

/* The ladder, best first; `reprise run` takes the first that is there. Behind it stands "compare",
 * which works everywhere. */
static const struct {
    const char *name, *cost;
    rp_os_rung rung;
} ladder[] = {
    {"wp-async", "the kernel notes written pages; a frame costs by what it wrote",
     RP_OS_RUNG_ASYNC},
    {"wp-sigbus", "a signal at the first write into each 16 pages, some 4 us", RP_OS_RUNG_SIGBUS},
    {"mprotect", "the same by page protection, some 5 us", RP_OS_RUNG_MPROTECT},
};

void doctor_examine(doctor *d)
{
    rp_os_machine_get(&d->machine);
    d->feature_count = rp_os_features(d->features);
    for (size_t i = 0; i < RP_COUNT_OF(ladder); i++) {
        d->rungs[d->rung_count++] =
            (doctor_rung){ladder[i].name, ladder[i].cost, rung_works(ladder[i].rung)};
    }
    d->rungs[d->rung_count++] = (doctor_rung){
        "compare", "all pages are compared each frame; a frame costs by what there is", true};
}

/* ---- the base ---- */

static const char *sanitizer_of(const doctor_program *program)
{
    static const char *const owners[RP_SURVEY_SANITIZERS] = {"shadow memory of AddressSanitizer",
                                                             "shadow memory of ThreadSanitizer",
                                                             "shadow memory of MemorySanitizer"};
    for (int i = 0; i < RP_SURVEY_SANITIZERS; i++) {
        if (program->sanitizers[i]) {
            return owners[i];
        }
    }
    return NULL;
}

static void add_blockers(const doctor *d, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    for (size_t i = 0; i < d->blocker_count && i < 3; i++) {
        const doctor_blocker *b = &d->blockers[i];
        rp_text_add(&buffer, "%s%" PRIx64 "-%" PRIx64 " %s %s%s(%s), %s, in %" PRIu32 " runs",
                    i ? "; " : "", b->from, b->to, b->permissions, b->name, b->name[0] ? " " : "",
                    rp_os_mapping_owner(b->name, b->to - b->from, sanitizer_of(&d->program)),
                    doctor_mode_name(b->mode), b->run_count);
    }
    if (d->blocker_count > 3) {
        rp_text_add(&buffer, "; and %zu more", d->blocker_count - 3);
    }
}

static void find_taken(doctor *d)
{
    char who[380];
    uint32_t taken = 0, runs = 0;
    for (int i = 0; i < RP_OS_SUBJECT_MODES; i++) {
        taken += d->modes[i].run_count - d->modes[i].free_count;
        runs += d->modes[i].run_count;
    }
    if (d->default_free || d->program.has_region || !taken) {
        return;
    }
    add_blockers(d, who, sizeof who);
    doctor_find(d, DOCTOR_BASE, "base-taken",
                "the region's addresses, %#" PRIx64 " to %#" PRIx64 ", are taken in %" PRIu32
                " of %" PRIu32 " runs",
                RP_REGION_BASE, RP_MODULE_LIMIT, taken, runs);
    doctor_because(d, "%s", who);
    doctor_remedy(d,
                  "have the program map this elsewhere (no MAP_FIXED there, another address), or "
                  "after the region has been reserved; the base is fixed when reprise is built "
                  "(RP_REGION_BASE in src/region/region.h)");
}

static const char *result_text(uint32_t result)
{
    switch (result) {
    case PROVE_TAKEN:
        return "the system says that something is there before the program begins";
    case PROVE_MOVED:
        return "the mapping was put elsewhere, as old kernels, valgrind, qemu and sanitizers do it";
    case PROVE_LIMIT:
        return "the system has no such room";
    case PROVE_BYTES:
        return "what was read there is not what was written";
    default:
        return "a system call on memory there failed";
    }
}

static void find_unproved(doctor *d)
{
    if (!d->proof_failed) {
        return;
    }
    bool limited = d->proof_result == PROVE_LIMIT;
    doctor_find(d, limited ? DOCTOR_FORBIDDEN : DOCTOR_BASE, "base-unusable",
                "the region's addresses cannot be used in a process of this kind (%s)",
                doctor_mode_name(d->proof_mode));
    if (d->proof_result == PROVE_MOVED) {
        doctor_because(d, "%s (at %#" PRIx64 ")", result_text(d->proof_result), d->proof_got);
    } else {
        doctor_because(d, "%s%s%s", result_text(d->proof_result), d->proof_system_code ? ": " : "",
                       d->proof_system_code ? strerrordesc_np(d->proof_system_code) : "");
    }
    doctor_remedy(d, "%s",
                  limited ? "raise RLIMIT_AS with `ulimit -v unlimited`"
                          : "run without what does that (emulator, sanitizer, preloaded "
                            "library), or with another of it");
}

static void find_unproved_mode(doctor *d, rp_os_subject_mode mode, bool others)
{
    const doctor_mode *m = &d->modes[mode];
    if (!m->unanswered_count) {
        return;
    }
    doctor_find(d, DOCTOR_NOTE, "base-unproved", "the base was not proved: %s",
                doctor_mode_name(mode));
    if (m->signal || m->exit_code) {
        doctor_because(d, "the program itself ends in this mode, by %s %d",
                       m->signal ? "signal" : "exit code", m->signal ? m->signal : m->exit_code);
    } else {
        doctor_because(d,
                       "the prover %s: a program that changes its user, a script, another "
                       "architecture, a missing prover, or one that is slower than the limit",
                       others ? "gave no answer" : "could not be brought into the process");
    }
    doctor_remedy(d, "%s",
                  others ? "nothing, where the program cannot run in this mode anyway"
                         : "survey the program that does the work, by its own path, or "
                           "raise --limit");
}

static void find_unanswered(doctor *d)
{
    uint32_t answers = 0;
    for (int i = 0; i < RP_OS_SUBJECT_MODES; i++) {
        answers += d->modes[i].proof_count;
    }
    for (int i = 0; i < RP_OS_SUBJECT_MODES && !d->program.has_region; i++) {
        find_unproved_mode(d, (rp_os_subject_mode)i, answers != 0);
    }
}

static void find_smaller(doctor *d)
{
    uint64_t least = UINT64_MAX;
    if (d->machine.address_space_limit_bytes != RP_OS_NO_LIMIT) {
        return; /* find_address_space tells */
    }
    for (int i = 0; i < RP_OS_SUBJECT_MODES; i++) {
        uint64_t bytes = d->modes[i].least_proved_bytes;
        least = bytes && bytes < least ? bytes : least;
    }
    bool asked_less = strcmp(d->emulator, "valgrind") == 0 && least >= DOCTOR_VALGRIND_BYTES;
    if (least < RP_MODULE_LIMIT - RP_REGION_BASE && !asked_less) {
        doctor_find(d, DOCTOR_LESS, "room-smaller",
                    "only %" PRIu64 " MiB of address space are to be "
                    "had at the base",
                    least >> 20);
        doctor_because(d, "the tool or sandbox that the program runs in has no more");
        doctor_remedy(d, "be content: the region takes what there is, in quarters");
    }
}

static void find_grade(doctor *d)
{
    if (!d->default_free || d->grade.reach_bits == 32) {
        return;
    }
    doctor_find(d, DOCTOR_NOTE, "base-in-reach",
                "a kernel that randomises more than this one could place something at the base");
    doctor_because(d, "this program maps %" PRIu64 " GiB", d->growth_bytes >> 30);
    doctor_remedy(d, "nothing here; on such a machine run reprise doctor there");
}

/* ---- the program ---- */

static void find_end(doctor *d)
{
    int number = d->modes[RP_OS_SUBJECT_AS_IS].signal;
    if (!d->options.itself && number) {
        doctor_find(d, DOCTOR_NOTE, "program-died", "the program ended by signal %d (%s)", number,
                    strsignal(number));
        doctor_because(d, "its map until then is all that was seen");
        doctor_remedy(d, "give it the arguments that it needs; --verbose shows what it prints");
    }
}

static void find_untraced(doctor *d)
{
    uint32_t untraced = 0;
    for (int i = 0; i < RP_OS_SUBJECT_MODES; i++) {
        untraced += d->modes[i].run_count - d->modes[i].traced_count;
    }
    if (untraced) {
        doctor_find(d, DOCTOR_NOTE, "untraced", "%" PRIu32 " runs could not be traced", untraced);
        doctor_because(d, "ptrace is forbidden here (a sandbox, kernel.yama.ptrace_scope, or a "
                          "debugger): maps were polled, and the last ones may be missing");
        doctor_remedy(d, "survey outside of the sandbox");
    }
}

static void find_emulator(doctor *d)
{
    const char *own = d->machine.emulator;
    if (own[0]) {
        doctor_find(d, DOCTOR_LESS, "emulated", "reprise itself runs in %s", own);
        doctor_because(d, "system calls are its own, not the kernel's");
        doctor_remedy(d, "what is said here holds for this tool alone: run without it");
    } else if (d->emulator[0]) {
        doctor_find(d, DOCTOR_NOTE, "program-emulated", "the program runs in %s", d->emulator);
        doctor_because(d, "its map is that of the tool and the program together; valgrind is asked "
                          "for 16 GiB at the base, since it marks every byte");
        doctor_remedy(d, "survey it without the tool as well");
    }
}

/* ---- the machine ---- */

static const rp_os_feature *feature(const doctor *d, const char *id)
{
    for (size_t i = 0; i < d->feature_count; i++) {
        if (strcmp(d->features[i].id, id) == 0) {
            return &d->features[i];
        }
    }
    return NULL;
}

/* Why the system may have refused it. */
static const char *refusal(const doctor *d, int system_code)
{
    bool forbidden = system_code == EPERM || system_code == EACCES;
    if (d->machine.container[0] && (forbidden || system_code == ENOSYS)) {
        return "the container's filter forbids it";
    }
    if (d->machine.seccomp == 2 && forbidden) {
        return "a seccomp filter forbids it";
    }
    return forbidden ? "this user may not" : "the kernel is too old or built without it";
}

/* What the lack of a feature means. */
static const struct {
    const char *id;
    doctor_weight weight;
    const char *what, *remedy;
} needs[] = {
    {"fixed-noreplace", DOCTOR_LESS, "a mapping at an exact address may replace or be moved",
     "nothing: the address that comes back is compared; Linux 4.17 has it"},
    {"memfd", DOCTOR_FORBIDDEN, "there are no memory files: history has no place",
     "allow memfd_create"},
    {"light-guards", DOCTOR_LESS, "guard pages take a mapping each",
     "Linux 6.13; until then vm.max_map_count limits blocks between guards"},
    {"personality", DOCTOR_LESS, "address randomisation cannot be turned off for the runner",
     "allow personality(2), or start under `setarch -R`; else a build may be refused after a "
     "restart"},
    {"inotify", DOCTOR_FORBIDDEN, "changed sources cannot be noticed",
     "raise fs.inotify.max_user_instances"},
};

static void find_features(doctor *d)
{
    for (size_t i = 0; i < RP_COUNT_OF(needs); i++) {
        const rp_os_feature *f = feature(d, needs[i].id);
        if (f && f->system_code) {
            doctor_find(d, needs[i].weight, needs[i].id, "%s", needs[i].what);
            doctor_because(d, "%s: %s", strerrordesc_np(f->system_code),
                           refusal(d, f->system_code));
            doctor_remedy(d, "%s", needs[i].remedy);
        }
    }
}

static void find_rung(doctor *d)
{
    size_t used = 0;
    while (used < d->rung_count && !d->rungs[used].present) {
        used++;
    }
    if (used == 0) {
        return;
    }
    const rp_os_feature *uffd = feature(d, "userfaultfd"), *wp = feature(d, "wp-async"),
                        *scan = feature(d, "pagemap-scan");
    const rp_os_feature *lacking = uffd && uffd->system_code ? uffd
                                   : wp && wp->system_code   ? wp
                                                             : scan;
    int system_code = lacking ? lacking->system_code : 0;
    doctor_find(d, DOCTOR_LESS, "tracking", "written pages are found by %s: %s",
                used < d->rung_count ? d->rungs[used].name : "nothing",
                used < d->rung_count ? d->rungs[used].cost : "");
    doctor_because(d, "%s is missing: %s", lacking ? lacking->id : d->rungs[0].name,
                   refusal(d, system_code));
    doctor_remedy(d, "Linux 6.7 or later, and a sandbox that allows userfaultfd and /proc");
}

static void find_kind_of_machine(doctor *d)
{
    const rp_os_machine *m = &d->machine;
    if (strcmp(m->architecture, "x86_64") != 0 || m->page_bytes != RP_PAGE_BYTES ||
        (m->address_bits && m->address_bits < RP_SURVEY_ADDRESS_BITS)) {
        doctor_find(d, DOCTOR_BASE, "machine", "this kind of machine is not supported");
        doctor_because(d, "%s, pages of %" PRIu32 " bytes, %" PRIu32 " address bits",
                       m->architecture, m->page_bytes, m->address_bits);
        doctor_remedy(d, "use Linux on x86-64");
    }
}

/* What the region takes of a limit: as rp_region_create, which does not know what is mapped later.
 */
static uint64_t region_within(uint64_t limit)
{
    uint64_t bytes = RP_REGION_RESERVE_BYTES;
    while (bytes > region_least_bytes && bytes > limit) {
        bytes /= 4;
    }
    return bytes;
}

static void find_address_space(doctor *d)
{
    uint64_t limit = d->machine.address_space_limit_bytes;
    if (limit >= RP_REGION_RESERVE_BYTES + runner_bytes) {
        return;
    }
    uint64_t region = region_within(limit);
    bool too_small = limit < region + runner_bytes;
    doctor_find(d, too_small ? DOCTOR_FORBIDDEN : DOCTOR_LESS, "address-space",
                "the limit of address space (RLIMIT_AS) is %" PRIu64 " MiB", limit >> 20);
    doctor_because(d,
                   "the region takes %" PRIu64 " GiB of it, and `reprise run` maps %" PRIu64
                   " GiB more; none of it is used before it is needed",
                   region >> 30, runner_bytes >> 30);
    doctor_remedy(d, "`ulimit -v unlimited`");
}

static void find_limits(doctor *d)
{
    const rp_os_machine *m = &d->machine;
    find_address_space(d);
    if (m->overcommit == 2) {
        doctor_find(d, DOCTOR_LESS, "overcommit",
                    "memory is charged when it is committed "
                    "(vm.overcommit_memory = 2)");
        doctor_because(d, "the region commits in chunks of 2 MiB, and a chunk may be refused long "
                          "before memory is full");
        doctor_remedy(d, "sysctl vm.overcommit_memory=0, or raise vm.overcommit_ratio");
    }
    if (m->mapping_limit < KERNEL_MAPPINGS) {
        doctor_find(d, DOCTOR_LESS, "mappings", "a process may have %" PRIu64 " mappings",
                    m->mapping_limit);
        doctor_because(d, "vm.max_map_count is below the kernel's default of %d", KERNEL_MAPPINGS);
        doctor_remedy(d, "sysctl vm.max_map_count=%d", KERNEL_MAPPINGS);
    }
    if (m->watch_limit && m->watch_limit < FEW_WATCHES) {
        doctor_find(d, DOCTOR_LESS, "watches", "only %" PRIu64 " files and folders can be watched",
                    m->watch_limit);
        doctor_because(d, "fs.inotify.max_user_watches");
        doctor_remedy(d, "sysctl fs.inotify.max_user_watches=65536 for a large tree of sources");
    }
}

static void find_notes(doctor *d)
{
    const rp_os_machine *m = &d->machine;
    if (strcmp(m->huge_pages, "never") == 0) {
        doctor_find(d, DOCTOR_NOTE, "huge-pages", "huge pages are off");
        doctor_because(d, "/sys/kernel/mm/transparent_hugepage/enabled is \"never\"");
        doctor_remedy(d, "write \"madvise\" there for large programs");
    }
    if (m->randomisation_bits > 32) {
        doctor_find(d, DOCTOR_NOTE, "randomisation", "%" PRIu32 " bits of address randomisation",
                    m->randomisation_bits);
        doctor_because(d, "the base was chosen for at most 32");
        doctor_remedy(d, "survey with more runs: --survey 1000");
    }
}

/* ---- the project file ---- */

static void find_file(doctor *d)
{
    address_file file;
    if (doctor_records(&d->options)) {
        return; /* it is made anew */
    }
    rp_status status = address_file_read(d->options.file, &file);
    if (status == RP_E_NOT_FOUND) {
        return;
    }
    if (!status) {
        status = address_file_check(d->options.file, &file, &d->machine);
    }
    if (status) {
        doctor_find(d, DOCTOR_FILE, "project-file", "%s does not fit", d->options.file);
        doctor_because(d, "%s", rp_error_last()->text);
        doctor_remedy(d, "`reprise doctor --survey 200 PROG` makes it anew");
    }
}

void doctor_conclude(doctor *d)
{
    find_taken(d);
    find_unproved(d);
    find_unanswered(d);
    find_smaller(d);
    find_grade(d);
    find_kind_of_machine(d);
    find_limits(d);
    find_features(d);
    find_rung(d);
    find_emulator(d);
    find_untraced(d);
    find_end(d);
    find_notes(d);
    find_file(d);
}
