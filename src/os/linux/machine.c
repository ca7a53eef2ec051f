/* Facts about the machine and the process, from /proc, /sys, uname and the limits. */
#include "os/machine.h"
#include "base/bits.h"
#include "base/text.h"
#include "os/linux/maps.h"
#include "os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

/* ---- small files ---- */

static bool first_line(const char *path, char *text, size_t capacity)
{
    rp_os_lines lines;
    if (!rp_os_lines_open(&lines, path)) {
        return false;
    }
    const char *line = rp_os_lines_next(&lines);
    bool found = line && rp_text_copy(text, capacity, line);
    rp_os_lines_close(&lines);
    return found;
}

static int64_t number_in(const char *path, int64_t otherwise)
{
    char text[64], *end;
    if (!first_line(path, text, sizeof text)) {
        return otherwise;
    }
    int64_t number = strtoll(text, &end, 10);
    return end == text ? otherwise : number;
}

/* The number behind "name" and a colon, in the first line that begins so. */
static int64_t field_in(const char *path, const char *name, int64_t otherwise)
{
    rp_os_lines lines;
    size_t length = strlen(name);
    if (!rp_os_lines_open(&lines, path)) {
        return otherwise;
    }
    for (const char *line; (line = rp_os_lines_next(&lines));) {
        if (strncmp(line, name, length) == 0) {
            const char *colon = strchr(line + length, ':');
            otherwise = colon ? strtoll(colon + 1, NULL, 10) : otherwise;
            break;
        }
    }
    rp_os_lines_close(&lines);
    return otherwise;
}

static bool file_holds(const char *path, const char *word)
{
    rp_os_lines lines;
    bool found = false;
    if (!rp_os_lines_open(&lines, path)) {
        return false;
    }
    for (const char *line; !found && (line = rp_os_lines_next(&lines));) {
        found = strstr(line, word) != NULL;
    }
    rp_os_lines_close(&lines);
    return found;
}

/* ---- facts ---- */

/* "address sizes : 46 bits physical, 48 bits virtual": half of those are the process's. With 57
 * bits a process still gets 47 unless it asks beyond. */
static uint32_t address_bits(void)
{
    rp_os_lines lines;
    unsigned physical, virtual = 0;
    if (!rp_os_lines_open(&lines, "/proc/cpuinfo")) {
        return 0;
    }
    for (const char *line; !virtual && (line = rp_os_lines_next(&lines));) {
        if (sscanf(line, "address sizes : %u bits physical, %u bits virtual", &physical,
                   &virtual) != 2) {
            virtual = 0;
        }
    }
    rp_os_lines_close(&lines);
    return virtual ? (virtual > 48 ? 47 : virtual - 1) : 0;
}

static void processor_get(char *text, size_t capacity)
{
    rp_os_lines lines;
    if (!rp_os_lines_open(&lines, "/proc/cpuinfo")) {
        return;
    }
    for (const char *line; !text[0] && (line = rp_os_lines_next(&lines));) {
        const char *value = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (value) {
            rp_text_copy(text, capacity, value + 1 + strspn(value + 1, " "));
        }
    }
    rp_os_lines_close(&lines);
}

static uint64_t limit_of(__rlimit_resource_t which)
{
    struct rlimit limit;
    return getrlimit(which, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur
                                                                            : RP_OS_NO_LIMIT;
}

/* "always [madvise] never" */
static void huge_pages_get(char *text, size_t capacity)
{
    char line[80], *open, *close;
    text[0] = 0;
    if (first_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line) &&
        (open = strchr(line, '[')) && (close = strchr(open, ']'))) {
        *close = 0;
        rp_text_copy(text, capacity, open + 1);
    }
}

static void personality_get(rp_os_machine *machine)
{
    const unsigned long query = 0xffffffff;
    int persona = personality(query);
    machine->randomisation_off = persona != -1 && persona & ADDR_NO_RANDOMIZE;
    machine->legacy_layout = (persona != -1 && persona & ADDR_COMPAT_LAYOUT) ||
                             number_in("/proc/sys/vm/legacy_va_layout", 0) == 1;
}

/* ---- where it runs ---- */

/* A sign, and what it is a sign of; the more exact ones first. */
static const struct {
    const char *file, *word, *name; /* word null: that the file is there */
} container_signs[] = {
    /* gVisor's kernel has this fixed version text (pkg/sentry/syscalls/linux/linux64.go). */
    {"/proc/version", "#1 SMP Sun Jan 10 15:06:54 PST 2016", "gVisor"},
    {"/proc/version", "gVisor", "gVisor"},
    {"/proc/version", "icrosoft", "WSL"},
    {"/run/.containerenv", NULL, "podman"},
    {"/.dockerenv", NULL, "docker"},
    {"/proc/1/cgroup", "kubepods", "kubernetes"},
    {"/proc/1/cgroup", "docker", "docker"},
    {"/proc/1/cgroup", "lxc", "lxc"},
    {"/proc/1/environ", "container=", "a container"},
    {"/run/systemd/container", NULL, "a container"},
};

static void container_get(char *text, size_t capacity)
{
    for (size_t i = 0; i < RP_COUNT_OF(container_signs) && !text[0]; i++) {
        const char *file = container_signs[i].file, *word = container_signs[i].word;
        if (word ? file_holds(file, word) : access(file, F_OK) == 0) {
            rp_text_copy(text, capacity, container_signs[i].name);
        }
    }
}

const char *rp_os_emulator_of_file(const char *path)
{
    static const char *const known[][2] = {
        {"*/valgrind/*", "valgrind"},      {"*-amd64-linux", "valgrind"},
        {"*/qemu-x86_64*", "qemu"},        {"*/qemu-aarch64*", "qemu"},
        {"*/wine64-preloader", "Wine"},    {"*/wine-preloader", "Wine"},
        {"*/wine/*unix/ntdll.so", "Wine"}, {"*/librrpreload.so", "rr"},
        {"*/librrpage.so", "rr"},
    };
    for (size_t i = 0; i < RP_COUNT_OF(known); i++) {
        if (rp_text_matches(known[i][0], path)) {
            return known[i][1];
        }
    }
    return NULL;
}

/* Valgrind and its like show a program its own executable, but the maps are the kernel's. */
static void emulator_get(char *text, size_t capacity)
{
    rp_os_lines lines;
    if (!rp_os_lines_open(&lines, "/proc/self/maps")) {
        return;
    }
    for (const char *line; !text[0] && (line = rp_os_lines_next(&lines));) {
        const char *path = strchr(line, '/');
        const char *name = path ? rp_os_emulator_of_file(path) : NULL;
        if (name) {
            rp_text_copy(text, capacity, name);
        }
    }
    rp_os_lines_close(&lines);
}

void rp_os_machine_get(rp_os_machine *machine)
{
    *machine = (rp_os_machine){0};
    struct utsname names;
    if (uname(&names) == 0) {
        rp_text_copy(machine->architecture, sizeof machine->architecture, names.machine);
        rp_text_copy(machine->kernel, sizeof machine->kernel, names.release);
    }
    processor_get(machine->processor, sizeof machine->processor);
    struct sysinfo memory;
    machine->memory_bytes = sysinfo(&memory) == 0 ? (uint64_t)memory.totalram * memory.mem_unit : 0;
    machine->page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
    machine->address_bits = address_bits();
    machine->randomisation_bits = (uint32_t)number_in("/proc/sys/vm/mmap_rnd_bits", 0);
    machine->randomisation = (int)number_in("/proc/sys/kernel/randomize_va_space", -1);
    machine->lowest_address = (uint64_t)number_in("/proc/sys/vm/mmap_min_addr", 0);
    machine->overcommit = (int)number_in("/proc/sys/vm/overcommit_memory", -1);
    machine->mapping_limit = rp_os_vm_mapping_limit();
    machine->watch_limit = (uint64_t)number_in("/proc/sys/fs/inotify/max_user_watches", 0);
    machine->watch_instance_limit =
        (uint64_t)number_in("/proc/sys/fs/inotify/max_user_instances", 0);
    machine->address_space_limit_bytes = limit_of(RLIMIT_AS);
    machine->stack_limit_bytes = limit_of(RLIMIT_STACK);
    machine->open_files_limit = limit_of(RLIMIT_NOFILE);
    machine->no_new_privileges = field_in("/proc/self/status", "NoNewPrivs", 0) == 1;
    machine->seccomp = (int)field_in("/proc/self/status", "Seccomp", -1);
    huge_pages_get(machine->huge_pages, sizeof machine->huge_pages);
    personality_get(machine);
    container_get(machine->container, sizeof machine->container);
    emulator_get(machine->emulator, sizeof machine->emulator);
}
