/* Bringing a restored world over to the build that was just loaded. See runner.h, module/carry.h.
 *
 * The old build is not loaded here: the values of its variables come from the log's images of its
 * ranges, which the host declared as known and the restore learned.
 */
#include "runner.h"

#include <base/bits.h>
#include <base/error.h>
#include <module/carry.h>
#include <module/survey.h>
#include <os/os.h>
#include <string.h>

typedef struct old_image {
    const link_range *ranges;
    uint32_t count;
} old_image;

/* Copies bytes of the old build's range out of its pages' images; a page that was never logged is
 * zero. */
static void read_pages(const link_range *range, uint64_t address, uint8_t *to, size_t size_bytes)
{
    uint64_t first = rp_align_down(range->start, RP_PAGE_BYTES);
    while (size_bytes) {
        uint64_t offset = address - first;
        size_t in_page = offset % RP_PAGE_BYTES;
        size_t part = rp_min_size(size_bytes, RP_PAGE_BYTES - in_page);
        uint32_t page = range->first_page + (uint32_t)(offset / RP_PAGE_BYTES);
        const uint8_t *image = rp_world_page_image(the_runner.world, page);
        if (image) {
            memcpy(to, image + in_page, part);
        } else {
            memset(to, 0, part);
        }
        address += part;
        to += part;
        size_bytes -= part;
    }
}

static bool read_old(void *context, uint64_t old_address, void *to, size_t size_bytes)
{
    const old_image *image = context;
    for (uint32_t i = 0; i < image->count; i++) {
        const link_range *range = &image->ranges[i];
        if (old_address >= range->start && old_address - range->start < range->size_bytes) {
            if (size_bytes > range->size_bytes - (old_address - range->start)) {
                return false;
            }
            read_pages(range, old_address, to, size_bytes);
            return true;
        }
    }
    return false;
}

/* Everything that is state: the blocks of the world zone, and every range. */
static void pointers_pass(const rp_plan *plan, rp_carry_report *report)
{
    const rp_object *object = the_runner.module.object;
    rp_carry_span spans[RP_RANGE_MAX];
    const rp_world_range *ranges;
    size_t count = rp_world_ranges(the_runner.world, &ranges);
    for (size_t i = 0; i < count; i++) {
        spans[i] = (rp_carry_span){ranges[i].start, ranges[i].size_bytes};
    }
    rp_carry_world_pointers(plan, object->base, rp_object_tls(object), spans, count, report);
}

static void reload_tell(const rp_plan *plan, const rp_carry_report *report)
{
    link_memory *link = the_runner.link;
    const rp_migration *migration = &link->migration;
    link->reload = (rp_reload){.size_bytes = sizeof link->reload,
                               .old_build = plan->old_build,
                               .new_build = plan->new_build,
                               .carried = report->carried,
                               .added = plan->added,
                               .removed = plan->removed,
                               .pointers_moved = report->pointers_moved,
                               .pointers_left = report->pointers_left,
                               .objects_converted = migration->objects,
                               .blocks_moved = migration->blocks_moved,
                               .values_lost = migration->values_lost,
                               .fields_left = migration->pointers_left};
    link->left_at = report->left_at;
    memcpy(link->left_name, report->left_name, sizeof link->left_name);
    if (the_runner.module.reloaded) {
        runner_stage_begin(LINK_STEP_RENDER);
        runner_call_reloaded(&link->reload);
    }
}

/* The data of libraries: state, but of types that the module's debug information does not tell. */
static size_t foreign_spans(rp_carry_span *spans, size_t most)
{
    const rp_world_range *ranges;
    size_t count = rp_world_ranges(the_runner.world, &ranges), used = 0;
    for (size_t i = 0; i < count && i < the_runner.library_ranges && used < most; i++) {
        spans[used++] = (rp_carry_span){ranges[i].start, ranges[i].size_bytes};
    }
    return used;
}

static rp_status values_pass(const rp_plan *plan, old_image *image, rp_carry_report *report)
{
    const rp_object *object = the_runner.module.object;
    link_memory *link = the_runner.link;
    void *tls = rp_object_tls(object);
    if (!plan->type_count) {
        return rp_carry_copy(plan, object->base, tls, read_old, image, report);
    }
    rp_carry_span foreign[LINK_RANGE_MAX];
    size_t count = foreign_spans(foreign, LINK_RANGE_MAX);
    rp_migration migration = {0};
    rp_refusal refusal = {0};
    rp_status status = rp_carry_migrate(plan, object->base, tls, read_old, image, foreign, count,
                                        report, &migration, &refusal);
    link->migration = migration;
    link->refusal = refusal;
    return status;
}

static rp_status carry_by(const rp_plan *plan)
{
    link_memory *link = the_runner.link;
    const link_known *known = (const link_known *)link->bulk;
    if (known->range_count > (LINK_BULK_BYTES - sizeof *known) / sizeof(link_range)) {
        return rp_fail(RP_E_FORMAT, "runner: the list of the old build's ranges is cut off");
    }
    old_image image = {(const link_range *)(known + 1), known->range_count};
    rp_carry_report report = {0};
    link->migration = (rp_migration){0};
    link->refusal = (rp_refusal){0};
    rp_status status = values_pass(plan, &image, &report);
    if (!status) {
        pointers_pass(plan, &report);
        reload_tell(plan, &report);
    }
    return status;
}

static struct {
    rp_plan *plan;
    size_t bytes, have;
} taken; /* the plan in the making: one at a time */

static void plan_drop(void)
{
    if (taken.plan) {
        rp_os_vm_release(taken.plan, (size_t)rp_align_up(taken.bytes, RP_PAGE_BYTES));
    }
    taken.plan = NULL;
    taken.bytes = taken.have = 0;
}

static rp_status plan_begin(uint64_t bytes)
{
    plan_drop();
    if (bytes < sizeof(rp_plan) || bytes > LINK_PLAN_BYTES) {
        return rp_fail(RP_E_ARGUMENT, "runner: a plan has no sensible length");
    }
    size_t mapped = (size_t)rp_align_up(bytes, RP_PAGE_BYTES);
    taken.plan = rp_os_vm_reserve(mapped);
    taken.bytes = (size_t)bytes;
    return taken.plan ? rp_os_vm_commit(taken.plan, mapped) : rp_error_last()->status;
}

rp_status runner_plan(const link_message *request)
{
    rp_status status = request->a == 0 ? plan_begin(request->c) : RP_OK;
    if (status) {
        return status;
    }
    if (request->a != taken.have || request->b > LINK_BULK_BYTES ||
        request->b > taken.bytes - taken.have) {
        return rp_fail(RP_E_ARGUMENT, "runner: the pieces of a plan do not fit");
    }
    memcpy((uint8_t *)taken.plan + taken.have, the_runner.link->bulk, request->b);
    taken.have += request->b;
    return RP_OK;
}

/* The plan that was taken, checked. */
static rp_status plan_whole(void)
{
    if (!taken.plan || taken.have != taken.bytes) {
        return rp_fail(RP_E_ARGUMENT, "runner: the plan is not complete");
    }
    return rp_plan_check(taken.plan, taken.bytes);
}

rp_status runner_carry(void)
{
    rp_status status = plan_whole();
    if (!status) {
        status = carry_by(taken.plan);
    }
    plan_drop();
    return status;
}

/* ---- looking only ---- */

/* Of the build that runs; only what is state. */
static bool read_live(void *context, uint64_t address, void *to, size_t size_bytes)
{
    (void)context;
    const rp_world_range *ranges;
    size_t count = rp_world_ranges(the_runner.world, &ranges);
    for (size_t i = the_runner.library_ranges; i < count; i++) {
        uint64_t start = (uint64_t)(uintptr_t)ranges[i].start;
        if (address >= start && address - start < ranges[i].size_bytes &&
            size_bytes <= ranges[i].size_bytes - (address - start)) {
            memcpy(to, (const void *)(uintptr_t)address, size_bytes);
            return true;
        }
    }
    return false;
}

rp_status runner_survey(rp_report_writer *writer, void *context)
{
    rp_carry_span foreign[LINK_RANGE_MAX];
    rp_status status = plan_whole();
    if (!status) {
        size_t count = foreign_spans(foreign, LINK_RANGE_MAX);
        status = rp_survey(taken.plan, read_live, NULL, foreign, count, writer, context);
    }
    plan_drop();
    return status;
}
