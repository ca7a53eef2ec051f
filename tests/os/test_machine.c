/* Facts about the machine and features of the kernel, against what can be asked in another way. */
#include "base/bits.h"
#include "os/machine.h"
#include "os/os.h"
#include "support/child.h"
#include "support/fault.h"

#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

static rp_os_machine machine;
static rp_os_feature features[RP_OS_FEATURES_MAX];

static const rp_os_feature *feature(const char *id)
{
    size_t count = rp_os_features(features);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(features[i].id, id) == 0) {
            return &features[i];
        }
    }
    ck_abort_msg("no feature %s", id);
    return NULL;
}

TEST(facts_are_those_of_the_system)
{
    struct utsname names;
    uname(&names);
    rp_os_machine_get(&machine);
    ck_assert_str_eq(machine.kernel, names.release);
    ck_assert_str_eq(machine.architecture, names.machine);
    ck_assert_uint_eq(machine.page_bytes, (unsigned)sysconf(_SC_PAGESIZE));
    ck_assert_uint_eq(machine.mapping_limit, rp_os_vm_mapping_limit());
    ck_assert(machine.address_bits == 0 || machine.address_bits >= 32);
    ck_assert_uint_gt(machine.memory_bytes, RP_MIB(64));
    ck_assert_int_eq(machine.randomisation_off, rp_os_randomisation_off());
    ck_assert_str_eq(machine.emulator, "");
}

static int in_a_small_place(void *context)
{
    (void)context;
    struct rlimit space = {RP_GIB(3), RP_GIB(3)}, stack = {RP_MIB(4), RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &space);
    setrlimit(RLIMIT_STACK, &stack);
    personality(ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    rp_os_machine_get(&machine);
    return machine.address_space_limit_bytes == RP_GIB(3) &&
                   machine.stack_limit_bytes == RP_MIB(4) && machine.randomisation_off &&
                   machine.legacy_layout && machine.no_new_privileges
               ? 0
               : 1;
}

TEST(limits_and_modes_of_the_process_are_seen)
{
    ck_assert_int_eq(child_run(in_a_small_place, NULL).exit_code, 0);
}

TEST(features_agree_with_the_calls_that_need_them)
{
    rp_os_tracker tracker;
    bool tracks = rp_os_track_open(&tracker, RP_OS_RUNG_ASYNC) == RP_OK;
    rp_os_track_close(&tracker);
    bool has = !feature("wp-async")->system_code && !feature("pagemap-scan")->system_code;
    ck_assert_int_eq(tracks, has);
    ck_assert_int_eq(rp_os_vm_has_light_guards(), !feature("light-guards")->system_code);
    ck_assert_int_eq(feature("memfd")->system_code, 0);
    ck_assert_int_eq(feature("fixed-noreplace")->system_code, 0);
}

TEST(asking_leaves_nothing_behind)
{
    int descriptors = fault_open_descriptors();
    const unsigned long query = 0xffffffff;
    int persona = personality(query);
    for (int i = 0; i < 20; i++) {
        rp_os_features(features);
        rp_os_machine_get(&machine);
    }
    ck_assert_int_eq(fault_open_descriptors(), descriptors);
    ck_assert_int_eq(personality(query), persona);
}

static int without_descriptors(void *context)
{
    (void)context;
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_NOFILE, &none);
    rp_os_machine_get(&machine);
    return machine.randomisation == -1 && machine.overcommit == -1 && machine.seccomp == -1 &&
                   feature("memfd")->system_code && feature("userfaultfd")->system_code &&
                   !feature("light-guards")->system_code == rp_os_vm_has_light_guards()
               ? 0
               : 1;
}

TEST(what_cannot_be_asked_is_unknown_or_refused)
{
    ck_assert_int_eq(child_run(without_descriptors, NULL).exit_code, 0);
}

TEST(emulators_are_known_by_their_files)
{
    ck_assert_str_eq(rp_os_emulator_of_file("/usr/libexec/valgrind/memcheck-amd64-linux"),
                     "valgrind");
    ck_assert_str_eq(rp_os_emulator_of_file("/usr/bin/qemu-x86_64-static"), "qemu");
    ck_assert_str_eq(rp_os_emulator_of_file("/opt/wine/bin/wine64-preloader"), "Wine");
    ck_assert_ptr_null(rp_os_emulator_of_file("/usr/lib/x86_64-linux-gnu/libc.so.6"));
}
