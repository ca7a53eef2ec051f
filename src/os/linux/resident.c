/* What of the process is in memory. */
#include "base/bits.h"
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/linux/maps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGES_A_CALL = 4096 };

uint64_t rp_os_vm_resident(const void *start, size_t size_bytes)
{
    unsigned char pages[PAGES_A_CALL];
    uint64_t resident = 0;
    for (size_t at = 0; at < size_bytes; at += sizeof pages * RP_PAGE_BYTES) {
        size_t bytes = rp_min_size(size_bytes - at, sizeof pages * RP_PAGE_BYTES);
        if (mincore((uint8_t *)(uintptr_t)start + at, bytes, pages) < 0) {
            continue;
        }
        for (size_t i = 0; i < bytes / RP_PAGE_BYTES; i++) {
            resident += pages[i] & 1 ? RP_PAGE_BYTES : 0;
        }
    }
    return resident;
}

typedef struct smaps_reading {
    uint64_t low, high;
    rp_os_memory *memory;
    uint64_t *sum; /* that the mapping under way counts in */
} smaps_reading;

static uint64_t *sum_of(const smaps_reading *reading, uint64_t start, const char *name)
{
    rp_os_memory *memory = reading->memory;
    if (start >= reading->low && start < reading->high) {
        return &memory->inside_bytes;
    }
    return name[0] == '/'                 ? &memory->file_bytes
           : strcmp(name, "[heap]") == 0  ? &memory->heap_bytes
           : strcmp(name, "[stack]") == 0 ? &memory->stack_bytes
                                          : &memory->anonymous_bytes;
}

static void take_line(smaps_reading *reading, const char *line)
{
    unsigned long long start, end, kib;
    int name_at = 0;
    if (sscanf(line, "%llx-%llx %*s %*s %*s %*s %n", &start, &end, &name_at) == 2) {
        reading->sum = sum_of(reading, start, name_at ? line + name_at : "");
    } else if (sscanf(line, "Rss: %llu kB", &kib) == 1 && reading->sum) {
        *reading->sum += kib * 1024;
        reading->memory->resident_bytes += kib * 1024;
    }
}

static rp_status open_lines(rp_os_lines *lines, const char *path)
{
    if (RP_OS_CALL(rp_os_lines_open(lines, path) ? 0 : -1) < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno,
                              "memory: %s cannot be read: mount /proc, or allow one more open file",
                              path);
    }
    return RP_OK;
}

rp_status rp_os_memory_get(const void *start, size_t size_bytes, rp_os_memory *memory)
{
    rp_os_lines lines;
    uint64_t low = (uintptr_t)start;
    *memory = (rp_os_memory){0};
    smaps_reading reading = {low, low + size_bytes, memory, NULL};
    rp_status status = open_lines(&lines, "/proc/self/smaps");
    if (status != RP_OK) {
        return status;
    }
    for (const char *line; (line = rp_os_lines_next(&lines));) {
        take_line(&reading, line);
    }
    rp_os_lines_close(&lines);
    status = open_lines(&lines, "/proc/self/status");
    if (status != RP_OK) {
        return status;
    }
    for (const char *line; (line = rp_os_lines_next(&lines));) {
        unsigned long long kib;
        memory->page_table_bytes += sscanf(line, "VmPTE: %llu kB", &kib) == 1 ? kib * 1024 : 0;
    }
    rp_os_lines_close(&lines);
    return RP_OK;
}
