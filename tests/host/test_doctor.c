/* What the doctor makes of what it saw: blockers, findings, exit codes, JSON. */
#include "doctor/doctor.h"

#include "base/bits.h"
#include "prover/answer.h"
#include "region/region.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static doctor d;

/* A machine on which all is well, and a program that was run and proved once a mode. */
static void begin(void)
{
    d = (doctor){.options = {.file = "/nowhere/at/all", .run_count = 1}};
    doctor_examine(&d);
    for (size_t i = 0; i < d.feature_count; i++) {
        d.features[i].system_code = 0;
    }
    for (size_t i = 0; i < d.rung_count; i++) {
        d.rungs[i].present = true;
    }
    rp_os_machine *m = &d.machine;
    strcpy(m->architecture, "x86_64");
    m->page_bytes = 4096;
    m->address_bits = 47;
    m->address_space_limit_bytes = RP_OS_NO_LIMIT;
    m->overcommit = 0;
    m->mapping_limit = 65530;
    m->watch_limit = 100000;
    m->randomisation_bits = 28;
    m->emulator[0] = 0;
    strcpy(m->huge_pages, "madvise");
    for (int i = 0; i < RP_OS_SUBJECT_MODES; i++) {
        d.modes[i] = (doctor_mode){.run_count = 1,
                                   .free_count = 1,
                                   .traced_count = 1,
                                   .proof_count = 1,
                                   .proved_count = 1,
                                   .least_proved_bytes = RP_MODULE_LIMIT - RP_REGION_BASE};
    }
    d.default_free = true;
    d.grade.reach_bits = 32;
}

static const doctor_finding *finding(const char *id)
{
    for (size_t i = 0; i < d.finding_count; i++) {
        if (strcmp(d.findings[i].id, id) == 0) {
            return &d.findings[i];
        }
    }
    return NULL;
}

/* Concludes; each finding says what, why and what to do. */
static int conclude(void)
{
    doctor_conclude(&d);
    for (size_t i = 0; i < d.finding_count; i++) {
        const doctor_finding *f = &d.findings[i];
        ck_assert_msg(f->what[0] && f->why[0] && f->remedy[0], "%s", f->id);
    }
    return doctor_exit_code(&d);
}

static void take(uint64_t from, uint64_t to, const char *name)
{
    doctor_take_mapping(&d, RP_OS_SUBJECT_LEGACY_LAYOUT, &(rp_os_mapping){from, to, "rw-p", name});
}

TEST(where_all_is_well_nothing_is_found)
{
    begin();
    ck_assert_int_eq(conclude(), DOCTOR_EXIT_FINE);
    ck_assert_uint_eq(d.finding_count, 0);
}

TEST(who_takes_the_base_is_named_once_a_run)
{
    begin();
    d.run_number = 1;
    take(RP_REGION_BASE + RP_MIB(1), RP_REGION_BASE + RP_MIB(2), "/opt/cuckoo.so");
    take(RP_REGION_BASE + RP_MIB(1), RP_REGION_BASE + RP_MIB(2), "/opt/cuckoo.so");
    d.run_number = 2;
    take(RP_REGION_BASE + RP_MIB(8), RP_REGION_BASE + RP_MIB(9), "/opt/cuckoo.so");
    take(RP_REGION_BASE - RP_GIB(2), RP_REGION_BASE, "/opt/beside.so");
    take(RP_MODULE_LIMIT, RP_MODULE_LIMIT + 4096, "/opt/behind.so");
    ck_assert_uint_eq(d.blocker_count, 1);
    ck_assert_uint_eq(d.blockers[0].run_count, 2);
    d.default_free = false;
    d.modes[RP_OS_SUBJECT_LEGACY_LAYOUT].free_count = 0;
    ck_assert_int_eq(conclude(), DOCTOR_EXIT_BASE);
    ck_assert_ptr_nonnull(strstr(finding("base-taken")->why, "/opt/cuckoo.so"));
    ck_assert_ptr_nonnull(strstr(finding("base-taken")->why, "legacy layout"));
    ck_assert(!rp_survey_is_free(&d.seen, RP_REGION_BASE, RP_REGION_BASE + 1));
}

TEST(more_blockers_than_there_is_room_for_are_no_harm)
{
    begin();
    for (uint64_t i = 0; i < 3 * DOCTOR_BLOCKERS_MAX; i++) {
        take(RP_REGION_BASE + i * RP_GIB(2), RP_REGION_BASE + i * RP_GIB(2) + 4096, "");
    }
    ck_assert_uint_eq(d.blocker_count, DOCTOR_BLOCKERS_MAX);
}

TEST(a_shadow_in_the_way_is_called_so)
{
    begin();
    d.program.sanitizers[RP_SURVEY_TSAN] = true;
    take(RP_REGION_BASE, RP_REGION_BASE + RP_GIB(100), "");
    d.default_free = false;
    d.modes[0].free_count = 0;
    ck_assert_int_eq(conclude(), DOCTOR_EXIT_BASE);
    ck_assert_ptr_nonnull(strstr(finding("base-taken")->why, "ThreadSanitizer"));
}

TEST(the_region_of_a_program_of_ours_is_not_in_the_way)
{
    begin();
    take(RP_REGION_BASE, RP_REGION_BASE + RP_GIB(1), "");
    take(0x10000, 0x20000, "/usr/lib/librereprise.so.0");
    take(0x20000, 0x30000, "/usr/lib/libreprise-malloc.so");
    ck_assert(d.program.has_region);
    d.default_free = false;
    d.modes[0].free_count = 0;
    ck_assert_int_eq(conclude(), DOCTOR_EXIT_FINE);
}

TEST(tools_are_known_by_their_files)
{
    begin();
    take(0x10000, 0x20000, "/usr/libexec/valgrind/memcheck-amd64-linux");
    ck_assert_str_eq(d.emulator, "valgrind");
    ck_assert_int_eq(conclude(), DOCTOR_EXIT_FINE);
    ck_assert_ptr_nonnull(finding("program-emulated"));
}

TEST(a_proof_that_failed_says_how)
{
    static const struct {
        uint32_t result;
        const char *words;
        int code;
    } cases[] = {
        {PROVE_TAKEN, "something is there", DOCTOR_EXIT_BASE},
        {PROVE_MOVED, "elsewhere", DOCTOR_EXIT_BASE},
        {PROVE_BYTES, "not what was written", DOCTOR_EXIT_BASE},
        {PROVE_SYSTEM, "system call", DOCTOR_EXIT_BASE},
        {PROVE_LIMIT, "no such room", DOCTOR_EXIT_FORBIDDEN},
    };
    for (size_t i = 0; i < RP_COUNT_OF(cases); i++) {
        begin();
        d.proof_failed = true;
        d.proof_result = cases[i].result;
        ck_assert_int_eq(conclude(), cases[i].code);
        ck_assert_ptr_nonnull(strstr(finding("base-unusable")->why, cases[i].words));
    }
}

TEST(a_mode_without_a_proof_is_a_note)
{
    begin();
    d.modes[1] = (doctor_mode){
        .run_count = 1, .free_count = 1, .traced_count = 1, .unanswered_count = 1, .exit_code = 66};
    ck_assert_int_eq(conclude(), DOCTOR_EXIT_FINE);
    ck_assert_ptr_nonnull(strstr(finding("base-unproved")->why, "66"));
}

TEST(a_lower_rung_and_missing_features_work_with_less)
{
    begin();
    d.rungs[0].present = false;
    for (size_t i = 0; i < d.feature_count; i++) {
        bool scan = strcmp(d.features[i].id, "pagemap-scan") == 0;
        d.features[i].system_code = scan ? 25 : 0;
    }
    ck_assert_int_eq(conclude(), DOCTOR_EXIT_LESS);
    ck_assert_ptr_nonnull(strstr(finding("tracking")->what, d.rungs[1].name));
    ck_assert_ptr_nonnull(strstr(finding("tracking")->why, "pagemap-scan"));
    begin();
    for (size_t i = 0; i < d.feature_count; i++) {
        d.features[i].system_code = 1; /* EPERM, all of them */
    }
    d.rungs[0].present = false;
    strcpy(d.machine.container, "docker");
    ck_assert_int_eq(conclude(), DOCTOR_EXIT_FORBIDDEN);
    ck_assert_ptr_nonnull(strstr(finding("memfd")->why, "container"));
}

TEST(limits_of_address_space_are_weighed)
{
    static const struct {
        uint64_t gib;
        int code;
    } cases[] = {{1, DOCTOR_EXIT_FORBIDDEN}, {40, DOCTOR_EXIT_FORBIDDEN},
                 {60, DOCTOR_EXIT_LESS},     {70, DOCTOR_EXIT_FORBIDDEN},
                 {120, DOCTOR_EXIT_LESS},    {270, DOCTOR_EXIT_FORBIDDEN},
                 {300, DOCTOR_EXIT_FINE}};
    for (size_t i = 0; i < RP_COUNT_OF(cases); i++) {
        begin();
        d.machine.address_space_limit_bytes = cases[i].gib << 30;
        ck_assert_msg(conclude() == cases[i].code, "%llu GiB", (unsigned long long)cases[i].gib);
    }
}

TEST(limits_of_the_machine_are_told)
{
    begin();
    d.machine.overcommit = 2;
    d.machine.mapping_limit = 1000;
    d.machine.watch_limit = 10;
    strcpy(d.machine.huge_pages, "never");
    ck_assert_int_eq(conclude(), DOCTOR_EXIT_LESS);
    ck_assert(finding("overcommit") && finding("mappings") && finding("watches") &&
              finding("huge-pages"));
    begin();
    strcpy(d.machine.architecture, "aarch64");
    ck_assert_int_eq(conclude(), DOCTOR_EXIT_BASE);
}

TEST(the_heaviest_finding_gives_the_code)
{
    begin();
    doctor_find(&d, DOCTOR_LESS, "a", "a");
    doctor_find(&d, DOCTOR_BASE, "b", "b");
    doctor_find(&d, DOCTOR_FORBIDDEN, "c", "c");
    ck_assert_int_eq(doctor_exit_code(&d), DOCTOR_EXIT_BASE);
    for (int i = 0; i < 2 * DOCTOR_FINDINGS_MAX; i++) {
        doctor_find(&d, DOCTOR_NOTE, "n", "n");
    }
    ck_assert_uint_eq(d.finding_count, DOCTOR_FINDINGS_MAX);
}

TEST(the_result_is_json)
{
    begin();
    take(RP_REGION_BASE, RP_REGION_BASE + 4096, "/opt/a \xff name \"quoted\"");
    d.default_free = false;
    d.modes[0].free_count = 0;
    int code = conclude();
    json_t *all = doctor_json(&d);
    ck_assert_ptr_nonnull(all);
    char *text = json_dumps(all, JSON_COMPACT);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(json_integer_value(json_object_get(all, "exit_code")), code);
    ck_assert_uint_eq(json_array_size(json_object_get(all, "blockers")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(all, "findings")), d.finding_count);
    ck_assert_ptr_nonnull(json_object_get(json_object_get(all, "modes"), "legacy-layout"));
    free(text);
    json_decref(all);
}

TEST(kinds_of_files_are_told_apart)
{
    doctor_program program;
    char path[1024];
    ck_assert(doctor_program_read("/proc/self/exe", &program));
    ck_assert_int_eq(program.kind, DOCTOR_PIE);
    ck_assert(!doctor_program_read("/etc/passwd", &program));
    ck_assert_int_eq(program.kind, DOCTOR_UNKNOWN);
    ck_assert(!doctor_program_read("/nowhere", &program));
    ck_assert(doctor_program_find("sh", path, sizeof path));
    ck_assert_int_eq(path[0], '/');
    ck_assert(!doctor_program_find("no-such-program-here", path, sizeof path));
    ck_assert(!doctor_program_find("", path, sizeof path));
}
