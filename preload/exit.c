/* What is said when the process ends: leaks and damage where the debug modes ask for it, and the
 * report that REPRISE_REPORT names.
 */
#include "base/text.h"
#include "os/linux/maps.h"
#include "preload/preload.h"

#include <fcntl.h>
#include <reprise/debug.h>
#include <reprise/trace.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what may point to a block ---- */

static bool parse_mapping(const char *line, uintptr_t *start, uintptr_t *end)
{
    char *rest;
    *start = strtoull(line, &rest, 16);
    *end = *rest == '-' ? strtoull(rest + 1, &rest, 16) : 0;
    return strncmp(rest, " rw", 3) == 0 && *end > *start;
}

/* Every writable page of the process but the region: data of programs and libraries, threads'
 * stacks and their own data, other heaps. This thread's stack is the report's to look at: what lies
 * below its end is dead. */
static void name_roots(void)
{
    static rp_os_lines maps;
    uintptr_t start, end, here = (uintptr_t)__builtin_frame_address(0);
    if (!rp_os_lines_open(&maps, "/proc/self/maps")) {
        return;
    }
    for (const char *line; (line = rp_os_lines_next(&maps));) {
        if (parse_mapping(line, &start, &end) && !rp_region_contains((void *)start) &&
            (here < start || here >= end)) {
            rp_leak_root((void *)start, end - start);
        }
    }
    rp_os_lines_close(&maps);
}

/* ---- the report in a file ---- */

static void write_all(void *context, const char *text, size_t length)
{
    int fd = *(const int *)context;
    while (length > 0) {
        ssize_t wrote = write(fd, text, length);
        if (wrote < 0 && errno != EINTR) {
            return;
        }
        text += wrote > 0 ? wrote : 0;
        length -= wrote > 0 ? (size_t)wrote : 0;
    }
}

static void put(int fd, const char *text)
{
    write_all(&fd, text, strlen(text));
}

static void write_text(int fd)
{
    rp_report_tree(RP_REPORT_TEXT, write_all, &fd);
    put(fd, "\n");
    rp_report_fragmentation(RP_REPORT_TEXT, write_all, &fd);
    put(fd, "\n");
    rp_report_ledger(RP_REPORT_TEXT, write_all, &fd);
}

static void write_json(int fd)
{
    put(fd, "{\"tree\":");
    rp_report_tree(RP_REPORT_JSON, write_all, &fd);
    put(fd, ",\"fragmentation\":");
    rp_report_fragmentation(RP_REPORT_JSON, write_all, &fd);
    put(fd, ",\"ledger\":");
    rp_report_ledger(RP_REPORT_JSON, write_all, &fd);
    put(fd, "}\n");
}

/* "%p" in the name becomes the process's number, so that children do not write over their parent's.
 */
static void report_path(const char *given, char *path, size_t capacity)
{
    rp_text_buffer text = rp_text_buffer_over(path, capacity);
    const char *mark = strstr(given, "%p");
    if (mark) {
        rp_text_add(&text, "%.*s%d%s", (int)(mark - given), given, getpid(), mark + 2);
    } else {
        rp_text_add(&text, "%s", given);
    }
}

static void write_report(const char *given)
{
    char path[4096];
    report_path(given, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        preload_say("REPRISE_REPORT: cannot write %s: %s: name a file that can be made", path,
                    strerror(errno));
        return;
    }
    size_t length = strlen(path);
    if (length > 5 && strcmp(path + length - 5, ".json") == 0) {
        write_json(fd);
    } else {
        write_text(fd);
    }
    close(fd);
}

/* ---- at exit ---- */

static int exit_code_of_findings(void)
{
    const char *given = preload_setting("REPRISE_LEAKS_EXIT");
    return given ? atoi(given) & 0xff : RP_LEAKS_EXIT_CODE;
}

/* After all other handlers and destructors; the C library's files are flushed after this. */
static void at_exit(int status, void *unused)
{
    (void)unused;
    const char *report = preload_setting("REPRISE_REPORT");
    if (report && *report) {
        write_report(report);
    }
    const char *debug = preload_setting("REPRISE_DEBUG");
    if (!debug || !*debug) {
        return;
    }
    name_roots();
    size_t leaks = rp_debug_finish();
    rp_debug_stats stats;
    rp_debug_stats_get(&stats);
    if (leaks + stats.error_count > 0 && status == 0 && exit_code_of_findings() != 0) {
        fflush(NULL);
        _exit(exit_code_of_findings());
    }
}

void preload_watch_exit(void)
{
    on_exit(at_exit, NULL); /* is told the status, and stays when a library is unloaded */
}
