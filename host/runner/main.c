/* The runner's start. See runner.h.
 *
 * Descriptors 3, 4 and 5 are the link's memory, the log's memory file and the socket to the host;
 * the host has turned address randomisation off for this process where the system allows it.
 */
#include "runner.h"

#include <base/bits.h>
#include <base/error.h>
#include <dlfcn.h>
#include <errno.h>
#include <os/os.h>
#include <region/region.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

runner the_runner;

extern char **environ;

_Noreturn void runner_leave(int code)
{
    fflush(NULL);
    /* Not exit: the handlers that the C library and the program registered are mangled with the
     * pointer guard of another process. */
    _Exit(code);
}

void runner_send(const link_message *message)
{
    ssize_t sent;
    do {
        sent = send(RUNNER_SOCKET_FD, message, sizeof *message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent != sizeof *message) {
        runner_leave(0);
    }
}

bool runner_receive(link_message *message)
{
    ssize_t got;
    do {
        got = recv(RUNNER_SOCKET_FD, message, sizeof *message, 0);
    } while (got < 0 && errno == EINTR);
    return got == sizeof *message;
}

/* Where the system lets only a parent attach (Yama's ptrace_scope 1); elsewhere it is not needed,
 * and an error says nothing. */
void runner_tracer_allow(void)
{
    if (the_runner.link->tracer > 0) {
        prctl(PR_SET_PTRACER, (unsigned long)the_runner.link->tracer);
    }
}

static rp_status link_open(void)
{
    void *address;
    if (rp_os_vm_reserve_at((void *)RP_LINK_BASE,
                            rp_align_up(sizeof(link_memory), RP_PAGE_BYTES)) ||
        rp_os_memfile_map(RUNNER_LINK_FD, 0, (void *)RP_LINK_BASE,
                          rp_align_up(sizeof(link_memory), RP_PAGE_BYTES), RP_OS_READ_WRITE,
                          &address)) {
        return rp_error_last()->status;
    }
    the_runner.link = address;
    if (the_runner.link->magic != LINK_MAGIC || the_runner.link->version != LINK_VERSION) {
        return rp_fail(RP_E_FORMAT, "runner: the host speaks another version of the link: "
                                    "`reprise` and `reprise-runner` must be of one installation");
    }
    return RP_OK;
}

/* The environment moves to a place that does not depend on its size, so that its addresses may
 * enter the state. */
static void environment_settle(void)
{
    size_t count = 0, bytes = 0;
    for (char **entry = environ; *entry; entry++) {
        count++;
        bytes += strlen(*entry) + 1;
    }
    size_t table_bytes = (count + 1) * sizeof(char *);
    char **table = rp_region_block_alloc(RP_ZONE_KEEP, rp_max_size(table_bytes + bytes, RP_MIB(1)),
                                         RP_BLOCK_PAGES, 0, 0);
    if (!table) {
        return;
    }
    char *text = (char *)(table + count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(environ[i]) + 1;
        table[i] = memcpy(text, environ[i], length);
        text += length;
    }
    table[count] = NULL;
    environ = table;
}

static rp_status places_open(void)
{
    uint8_t *low = rp_region_block_alloc(RP_ZONE_WORLD, RUNNER_STACK_BYTES, RP_BLOCK_PAGES, 0,
                                         RP_BLOCK_GUARD_BEFORE | RP_BLOCK_SCRATCH);
    the_runner.stage =
        rp_region_block_alloc(RP_ZONE_KEEP, sizeof *the_runner.stage, RP_BLOCK_PAGES, 0, 0);
    the_runner.objects = rp_region_block_alloc(
        RP_ZONE_KEEP, RP_OBJECT_MAX * sizeof *the_runner.objects, RP_BLOCK_PAGES, 0, 0);
    if (!low || !the_runner.stage || !the_runner.objects) {
        return rp_error_last()->status;
    }
    the_runner.stack_low = low;
    the_runner.stack_top = low + RUNNER_STACK_BYTES;
    environment_settle();
    rp_status status =
        rp_world_open(RUNNER_LOG_FD, (rp_tracking)the_runner.link->tracking, &the_runner.world);
    if (status) {
        return status;
    }
    the_runner.link->tracking = (uint32_t)rp_world_tracking(the_runner.world);
    rp_text_copy(the_runner.link->tracking_why, sizeof the_runner.link->tracking_why,
                 rp_world_tracking_why(the_runner.world));
    if (the_runner.link->check_threads) {
        rp_world_check_threads(the_runner.world, runner_intruder_tell, NULL);
    }
    the_runner.refuses = rp_world_refuses_system_calls(the_runner.world);
    return rp_world_scratch_set(the_runner.world, low, RUNNER_STACK_BYTES, RP_KIB(16));
}

/* Opens the libraries that the module will want, in its order, so that they lie at the same places
 * whatever the module's size. One that is missing is the module's error, not ours. */
static void preload(void)
{
    const char *name = (const char *)the_runner.link->bulk;
    const char *end = name + LINK_BULK_BYTES;
    uint32_t libraries = the_runner.link->preload_count;
    uint32_t total = libraries + the_runner.link->keep_count;
    for (uint32_t i = 0; i < total; i++) {
        size_t length = strnlen(name, (size_t)(end - name));
        if (length == (size_t)(end - name)) {
            return;
        }
        if (i >= libraries) {
            rp_class_keep(name);
        }
        name += length + 1;
    }
    name = (const char *)the_runner.link->bulk;
    for (uint32_t i = 0; i < libraries; i++, name += strlen(name) + 1) {
        dlopen(name, RTLD_NOW | RTLD_GLOBAL);
    }
    dlerror();
}

static rp_status start(void)
{
    rp_status status = link_open();
    if (status) {
        return status;
    }
    runner_tracer_allow();
    rp_os_secrets_set((rp_os_secrets){.canary = the_runner.link->canary,
                                      .pointer_guard = the_runner.link->pointer_guard});
    status = runner_memory_open();
    if (!status) {
        runner_fail_open(); /* before the world's tracking, which may stand in front of it */
        status = places_open();
    }
    if (status) {
        return status;
    }
    status = runner_debug_open();
    if (status) {
        return status;
    }
    preload();
    the_runner.object_count = rp_objects_scan(the_runner.objects, RP_OBJECT_MAX);
    rp_class_map_update(the_runner.objects, the_runner.object_count);
    return RP_OK;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc != 2 || strcmp(argv[1], "--serve") != 0) {
        fputs("reprise-runner: it is started by `reprise run` and does nothing by itself\n",
              stderr);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, 9); /* a step that never ends must not outlive the host */
    rp_status status = start();
    if (status && !the_runner.link) {
        fprintf(stderr, "reprise: runner: %s\n", rp_error_last()->text);
        runner_leave(1);
    }
    link_message ready = {.op = LINK_READY, .status = status};
    if (status) {
        memcpy(the_runner.link->error, rp_error_last()->text, sizeof the_runner.link->error);
        runner_send(&ready);
        runner_leave(1);
    }
    ready.a = (uint64_t)rp_os_randomisation_off();
    ready.b = (uint64_t)(uintptr_t)runner_hold;
    ready.c = (uint64_t)(uintptr_t)runner_failing;
    ready.d = (uint64_t)(uintptr_t)runner_frame_end;
    runner_send(&ready);
    runner_serve();
}
