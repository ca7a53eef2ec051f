/* A plan from another process: every offset, count and order. Layer: module.
 *
 * Apart from plan.c, so that the runner needs nothing that reads files. */
#include "module/plan_check.h"
#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"

#include <string.h>

static rp_status damaged(const char *why)
{
    return rp_fail(RP_E_FORMAT, "plan: damaged: %s: build the module again", why);
}

static bool part_inside(const rp_plan *plan, uint64_t offset, uint64_t count, size_t size_bytes)
{
    return offset % 8 == 0 && offset >= sizeof *plan && offset <= plan->total_bytes &&
           count <= (plan->total_bytes - offset) / size_bytes;
}

/* Where no type changed these parts are not there at all. */
static bool types_inside(const rp_plan *plan)
{
    const struct {
        uint64_t offset, count;
        size_t size_bytes;
    } parts[] = {{plan->types_offset, plan->type_count, sizeof(rp_plan_type)},
                 {plan->slots_offset, plan->slot_count, sizeof(rp_plan_slot)},
                 {plan->heirs_offset, plan->heir_count, sizeof(uint32_t)},
                 {plan->conversions_offset, plan->conversion_count, sizeof(rp_plan_conversion)},
                 {plan->ops_offset, plan->op_count, sizeof(rp_plan_op)},
                 {plan->constants_offset, plan->constant_count, sizeof(rp_plan_constant)},
                 {plan->tables_offset, plan->table_count, sizeof(rp_plan_table)},
                 {plan->sites_offset, plan->site_count, sizeof(rp_plan_site)}};
    for (size_t i = 0; i < RP_COUNT_OF(parts); i++) {
        if (parts[i].count &&
            !part_inside(plan, parts[i].offset, parts[i].count, parts[i].size_bytes)) {
            return false;
        }
    }
    return true;
}

static rp_status check_header(const rp_plan *plan, size_t size_bytes)
{
    if (size_bytes < sizeof *plan || plan->magic != RP_PLAN_MAGIC) {
        return damaged("it does not begin as a plan");
    }
    if (plan->version != RP_PLAN_VERSION) {
        return damaged("it is of another version");
    }
    if (plan->total_bytes > size_bytes || plan->total_bytes < sizeof *plan ||
        !part_inside(plan, plan->copies_offset, plan->copy_count, sizeof(rp_plan_copy)) ||
        !part_inside(plan, plan->moves_offset, plan->move_count, sizeof(rp_plan_move)) ||
        !part_inside(plan, plan->names_offset, plan->names_bytes, 1) || !types_inside(plan)) {
        return damaged("a part of it lies outside");
    }
    const char *names = rp_plan_name(plan, 0);
    if (!plan->names_bytes || names[plan->names_bytes - 1] ||
        plan->report_offset >= plan->names_bytes) {
        return damaged("its names are not terminated");
    }
    if (plan->old_low > plan->old_high || plan->new_low > plan->new_high) {
        return damaged("a range is upside down");
    }
    return RP_OK;
}

static bool in_new_build(const rp_plan *plan, uint64_t offset, uint64_t size, uint32_t thread)
{
    uint64_t low = thread ? 0 : plan->new_low;
    uint64_t high = thread ? plan->new_tls_bytes : plan->new_high;
    return offset >= low && offset <= high && size <= high - offset;
}

/* What an object of `old_bytes` takes in the new build. */
static uint64_t new_bytes(const rp_plan *plan, uint32_t conversion, uint64_t old_bytes)
{
    return conversion ? rp_plan_conversion_at(plan, conversion)->new_bytes : old_bytes;
}

static rp_status check_copies(const rp_plan *plan)
{
    const rp_plan_copy *copies = rp_plan_copies(plan);
    for (uint32_t i = 0; i < plan->copy_count; i++) {
        const rp_plan_copy *copy = &copies[i];
        if (copy->thread > 1 || copy->name >= plan->names_bytes ||
            copy->size_bytes > UINT64_MAX - copy->old_address ||
            !in_new_build(plan, copy->new_offset,
                          new_bytes(plan, copy->conversion, copy->size_bytes), copy->thread)) {
            return damaged("a variable lies outside the new build");
        }
    }
    return RP_OK;
}

static rp_status check_moves(const rp_plan *plan)
{
    const rp_plan_move *moves = rp_plan_moves(plan);
    uint64_t free_from = 0; /* first address that no move before has */
    for (uint32_t i = 0; i < plan->move_count; i++) {
        const rp_plan_move *move = &moves[i];
        uint64_t size = move->is_function ? 0 : new_bytes(plan, move->conversion, move->size_bytes);
        if (move->thread > 1 || move->is_function > 1 || move->name >= plan->names_bytes ||
            move->size_bytes >= UINT64_MAX - move->old_address ||
            (move->new_offset != RP_PLAN_NONE &&
             !in_new_build(plan, move->new_offset, size, move->thread))) {
            return damaged("a symbol lies outside the new build");
        }
        if (move->old_address < free_from) {
            return damaged("its symbols are out of order");
        }
        free_from = move->old_address + (move->size_bytes ? move->size_bytes : 1);
    }
    return RP_OK;
}

rp_status rp_plan_check(const rp_plan *plan, size_t size_bytes)
{
    rp_status status = check_header(plan, size_bytes);
    if (status == RP_OK) {
        status = rp_plan_check_types(plan);
    }
    if (status == RP_OK) {
        status = check_copies(plan);
    }
    if (status == RP_OK) {
        status = check_moves(plan);
    }
    return status;
}

void rp_plan_free(rp_plan *plan)
{
    if (plan) {
        rp_os_vm_release(plan, (size_t)rp_align_up(plan->total_bytes, RP_PAGE_BYTES));
    }
}
