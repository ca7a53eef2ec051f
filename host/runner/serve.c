/* The requests of the host, one after the other. See runner.h and host/link.h. */
#include "runner.h"

#include <alloc/allocator.h>
#include <base/bits.h>
#include <base/error.h>
#include <os/os.h>
#include <region/region.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <trace/trace.h>

/* When a request ended that left nothing in the world to be committed, dropped or restored; 0: the
 * last one did not. */
static uint64_t rests_since_ns;

/* Threads of the program's own may write at any time, and so does stdio when it flushes. */
static bool leaves_the_world_at_rest(const link_message *request, rp_status status)
{
    bool whole = request->op == LINK_STEP || request->op == LINK_START ||
                 request->op == LINK_RENDER || request->op == LINK_APPLY ||
                 (request->op == LINK_TEND && rests_since_ns);
    return whole && status == RP_OK && __libc_single_threaded && __fpending(stdout) == 0;
}

/* A debugger could have written meanwhile: the host says that none is there, and none comes, writes
 * and goes in so short a time. */
static bool world_rests(const link_message *request)
{
    const uint64_t short_ns = 50000000;
    return rests_since_ns && request->b & LINK_APPLY_QUIET &&
           rp_os_monotonic_ns() - rests_since_ns < short_ns;
}

static rp_status world_new(void)
{
    rp_allocator *world = rp_region_root(RP_ZONE_WORLD, RP_ROOT_GENERIC);
    rp_alloc_thread_get()->inside++; /* it is no block of the program's */
    rp_environment *environment = rp_alloc_zeroed(world, 1, sizeof *environment);
    rp_alloc_thread_get()->inside--;
    if (!environment) {
        return rp_error_last()->status;
    }
    rp_environment_init(environment, the_runner.link->seed, the_runner.link->start_wall_ns);
    rp_region_root_set(RP_ZONE_WORLD, RP_ROOT_ENVIRONMENT, environment);
    return RP_OK;
}

static rp_status apply(const link_message *request, link_message *answer)
{
    const rp_page_slot *entries = (const rp_page_slot *)the_runner.link->bulk;
    if (request->a > LINK_BULK_BYTES / sizeof *entries) {
        return rp_fail(RP_E_ARGUMENT, "runner: a list of pages is longer than the link");
    }
    rp_status status = RP_OK;
    if (request->b & LINK_APPLY_BEGIN) {
        if (world_rests(request)) {
            rp_world_rested(the_runner.world);
        }
        status = rp_world_apply_begin(the_runner.world);
    }
    if (!status) {
        status = rp_world_apply(the_runner.world, entries, request->a);
    }
    if (!status && request->b & LINK_APPLY_END) {
        size_t skipped = 0;
        status = rp_world_apply_end(the_runner.world, &skipped);
        answer->d = skipped;
        runner_restored();
    }
    return status;
}

static rp_status drop_what_was_written(uint64_t *page_count)
{
    size_t count = 0;
    uint32_t first = 0;
    rp_status status = rp_world_revert(the_runner.world, &count, &first);
    *page_count = count;
    runner_restored();
    return status;
}

static rp_status render(link_message *answer)
{
    if (!the_runner.module.render) {
        return RP_OK;
    }
    runner_stage_begin(LINK_STEP_RENDER | LINK_STEP_AGAIN);
    runner_call(the_runner.module.render);
    (void)answer;
    return drop_what_was_written(&the_runner.link->render_wrote);
}

static rp_status step(const link_message *request, link_message *answer)
{
    if (!the_runner.module.step) {
        return rp_fail(RP_E_ARGUMENT, "runner: no build is loaded");
    }
    uint32_t flags = (uint32_t)request->a;
    uint64_t begin_ns = rp_os_monotonic_ns();
    runner_frame_begin();
    runner_stage_begin(flags);
    runner_watch_begin();
    runner_call(the_runner.module.step);
    runner_watch_end();
    runner_frame_end();
    the_runner.link->step_ns = rp_os_monotonic_ns() - begin_ns;
    if (flags & LINK_STEP_SHOW) {
        uint64_t dropped;
        the_runner.link->finding.count = 0; /* told when the frame was made */
        return drop_what_was_written(&dropped);
    }
    rp_status status = runner_commit(answer);
    if (!status && flags & LINK_STEP_RENDER) {
        uint64_t entries = answer->a; /* rendering must not disturb the list in the bulk */
        status = render(answer);
        answer->a = entries;
    }
    return status;
}

static rp_status tend(const link_message *request)
{
    rp_world_tend(the_runner.world, request->a);
    rp_world_stats_get(the_runner.world, &the_runner.link->world);
    return RP_OK;
}

static rp_status begin(link_message *answer)
{
    the_runner.link->frame = 0;
    runner_frame_begin();
    runner_stage_begin(0);
    if (the_runner.module.start) {
        runner_call(the_runner.module.start);
    }
    runner_frame_end();
    return runner_commit(answer);
}

static rp_status ranges(const link_message *request)
{
    if (request->a && request->a <= RP_GIB(1)) {
        (void)rp_world_prepare(the_runner.world, request->a); /* else a restore takes longer */
    }
    return runner_declare_libraries((const link_known *)the_runner.link->bulk, LINK_BULK_BYTES);
}

static rp_status load(void)
{
    rp_status status = runner_load((const link_load *)the_runner.link->bulk, LINK_BULK_BYTES);
    if (!status) {
        runner_module_watch();
    }
    return status;
}

static rp_status describe(const link_message *request)
{
    rp_text_buffer text =
        rp_text_buffer_over(the_runner.link->error, sizeof the_runner.link->error);
    const void *address = (const void *)(uintptr_t)request->a;
    if (rp_region_contains(address)) {
        rp_trace_describe(&text, address); /* which may take locks, unlike the other */
    } else {
        runner_describe(&text, request->a);
    }
    return RP_OK;
}

static rp_status carry(link_message *answer)
{
    rp_status status = runner_carry();
    return status ? status : runner_commit(answer);
}

/* Only into the module's own variables. */
static rp_status write_variable(const link_message *request, link_message *answer)
{
    const rp_world_range *ranges;
    size_t count = rp_world_ranges(the_runner.world, &ranges);
    for (size_t i = the_runner.library_ranges; i < count; i++) {
        uint64_t offset = request->a - (uint64_t)(uintptr_t)ranges[i].start;
        if (request->a >= (uint64_t)(uintptr_t)ranges[i].start && offset < ranges[i].size_bytes &&
            request->b <= ranges[i].size_bytes - offset && request->b <= LINK_BULK_BYTES) {
            memcpy((void *)(uintptr_t)request->a, the_runner.link->bulk, request->b);
            return runner_commit(answer);
        }
    }
    return rp_fail(RP_E_ARGUMENT, "runner: there is no variable of the module's at 0x%llx",
                   (unsigned long long)request->a);
}

static rp_status stop(const link_message *request)
{
    if (the_runner.module.stop) {
        runner_frame_begin();
        runner_stage_begin(0);
        runner_call(the_runner.module.stop);
        the_runner.module.stop = NULL;
    }
    if (request->a) {
        return RP_OK;
    }
    fflush(stdout);
    runner_send(&(link_message){.op = LINK_DONE});
    runner_leave(0);
}

/* A debugger has a breakpoint here: it stops when a seek or a single step that it asked for is
 * done. What it gets is the frame that the world is at. */
__attribute__((noinline)) void runner_hold(uint64_t frame)
{
    __asm__ volatile("" : : "r"(frame) : "memory");
}

static rp_status serve(const link_message *request, link_message *answer)
{
    switch ((link_op)request->op) {
    case LINK_RANGES:
        return ranges(request);
    case LINK_WORLD_NEW:
        return world_new();
    case LINK_APPLY:
        return apply(request, answer);
    case LINK_LOAD:
        return load();
    case LINK_OLD:
        return runner_old_builds((const link_old_build *)the_runner.link->bulk, request->a);
    case LINK_DESCRIBE:
        return describe(request);
    case LINK_START:
        return begin(answer);
    case LINK_STEP:
        return step(request, answer);
    case LINK_CARRY:
        return carry(answer);
    case LINK_PLAN:
        return runner_plan(request);
    case LINK_WRITE:
        return write_variable(request, answer);
    case LINK_RENDER:
        return render(answer);
    case LINK_TEND:
        return tend(request);
    case LINK_DEBUG:
        return runner_debug_set();
    case LINK_REPORT:
        return runner_report(request, answer);
    case LINK_STOP:
        return stop(request);
    case LINK_HOLD:
        runner_hold(request->a);
        return RP_OK;
    case LINK_TRACER:
        runner_tracer_allow();
        return RP_OK;
    default:
        return rp_fail(RP_E_ARGUMENT, "runner: unknown request %u", request->op);
    }
}

_Noreturn void runner_serve(void)
{
    link_message request;
    while (runner_receive(&request)) {
        link_message answer = {.op = LINK_DONE};
        answer.status = serve(&request, &answer);
        rests_since_ns =
            leaves_the_world_at_rest(&request, answer.status) ? rp_os_monotonic_ns() : 0;
        if (answer.status) {
            memcpy(the_runner.link->error, rp_error_last()->text, sizeof the_runner.link->error);
        }
        fflush(stdout); /* what the step printed reaches the host before the step counts as done */
        runner_send(&answer);
    }
    runner_leave(0);
}
