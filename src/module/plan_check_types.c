/* The part of a plan that speaks of types, from another process. Layer: module. */
#include "base/error.h"
#include "module/plan_check.h"

typedef struct checking {
    const rp_plan *plan;
    const rp_plan_type *types;
    const rp_plan_slot *slots;
    const rp_plan_conversion *conversions;
    const rp_plan_op *ops;
} checking;

static rp_status damaged(const char *why)
{
    return rp_fail(RP_E_FORMAT, "plan: damaged: %s: build the module again", why);
}

static bool is_name(const checking *c, uint32_t name)
{
    return name < c->plan->names_bytes;
}

/* `count` things of `each` bytes at an offset inside `size` bytes. */
static bool inside(uint64_t size, uint64_t offset, uint64_t count, uint64_t each)
{
    uint64_t bytes;
    return offset <= size && !__builtin_mul_overflow(count, each, &bytes) && bytes <= size - offset;
}

static bool run_fits(uint64_t first, uint64_t count, uint64_t all)
{
    return first <= all && count <= all - first;
}

static bool add_cost(uint64_t *cost, uint64_t count, uint64_t each)
{
    uint64_t all;
    return !__builtin_mul_overflow(count, each, &all) && !__builtin_add_overflow(*cost, all, cost);
}

/* ---- types ---- */

static bool slot_is_sound(const checking *c, const rp_plan_type *of, const rp_plan_slot *slot,
                          uint64_t *cost)
{
    uint64_t each = sizeof(uint64_t), step = 1;
    if (slot->kind >= RP_SLOT_KINDS || slot->type >= c->plan->type_count ||
        !is_name(c, slot->name)) {
        return false;
    }
    if (slot->kind == RP_SLOT_TYPE) {
        each = c->types[slot->type].size_bytes;
        step = c->types[slot->type].cost;
        if (!each || step >= of->cost) {
            return false;
        }
    } else if (slot->kind == RP_SLOT_BYTES) {
        each = 1;
    }
    bool typed = slot->kind == RP_SLOT_POINTER || slot->kind == RP_SLOT_WITHIN;
    return (!typed || slot->type) && inside(of->size_bytes, slot->offset, slot->count, each) &&
           add_cost(cost, slot->count, step);
}

static bool type_is_sound(const checking *c, const rp_plan_type *type)
{
    const rp_plan *plan = c->plan;
    const uint32_t *heirs = rp_plan_part(plan, plan->heirs_offset);
    uint64_t cost = 0;
    if ((type->flags & ~(uint32_t)RP_TYPE_FLAGS) || !is_name(c, type->name) ||
        !is_name(c, type->place) || type->conversion >= plan->conversion_count ||
        type->tail_type >= plan->type_count || type->alone >= plan->type_count ||
        c->types[type->alone].alone ||
        !run_fits(type->first_slot, type->slot_count, plan->slot_count) ||
        !run_fits(type->first_heir, type->heir_count, plan->heir_count) ||
        (!type->size_bytes && !(type->flags & RP_TYPE_UNKNOWN)) ||
        (type->tail_offset != RP_TYPE_NO_TAIL && type->tail_offset > type->size_bytes)) {
        return false;
    }
    for (uint32_t i = 0; i < type->slot_count; i++) {
        if (!slot_is_sound(c, type, &c->slots[type->first_slot + i], &cost)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < type->heir_count; i++) {
        if (heirs[type->first_heir + i] >= plan->type_count) {
            return false;
        }
    }
    const rp_plan_conversion *how = &c->conversions[type->conversion];
    bool converts =
        !type->conversion ||
        (how->old_bytes == type->size_bytes && how->old_tail_offset == type->tail_offset) ||
        how->refusal;
    return converts && cost < type->cost && type->cost <= rp_plan_cost_limit(type->size_bytes);
}

/* ---- conversions ---- */

static bool number_is_sound(rp_plan_number number)
{
    bool real = number.form == RP_FORM_FLOAT;
    bool width = real ? number.bits == 32 || number.bits == 64 || number.bits == 128
                      : number.bits >= 1 && number.bits <= 64;
    return number.form < RP_FORM_COUNT && width && number.bit < 8 && (!real || !number.bit);
}

static bool op_is_sound(const checking *c, const rp_plan_conversion *of, const rp_plan_op *op,
                        uint64_t *cost)
{
    const rp_plan *plan = c->plan;
    uint64_t old_each = 1, new_each = 1, steps = 1, count = op->count;
    if (op->kind >= RP_OP_KINDS || op->type >= plan->type_count ||
        op->conversion >= plan->conversion_count || !is_name(c, op->name)) {
        return false;
    }
    if (op->kind == RP_OP_COPY) {
        old_each = new_each = op->type ? c->types[op->type].size_bytes : 1;
        count = op->type ? count : 0;
    } else if (op->kind == RP_OP_CONVERT) {
        const rp_plan_conversion *part = &c->conversions[op->conversion];
        old_each = part->old_bytes;
        new_each = part->new_bytes;
        steps = part->cost;
        if (!op->conversion || steps >= of->cost || !old_each || part->refusal) {
            return false;
        }
    } else {
        if (!number_is_sound(op->old_number) || !number_is_sound(op->new_number) ||
            !run_fits(op->first_constant, op->constant_count, plan->constant_count)) {
            return false;
        }
        old_each = (op->old_number.bit + op->old_number.bits + 7u) / 8u;
        new_each = (op->new_number.bit + op->new_number.bits + 7u) / 8u;
        steps += op->constant_count;
        if (count != 1) {
            return false;
        }
    }
    return inside(of->old_bytes, op->old_offset, op->count, old_each) &&
           inside(of->new_bytes, op->new_offset, op->count, new_each) &&
           add_cost(cost, op->kind == RP_OP_COPY ? 1 : count, steps);
}

static bool tail_is_sound(const checking *c, const rp_plan_conversion *how)
{
    bool tail = how->new_tail_offset != RP_TYPE_NO_TAIL;
    if (how->tail_conversion >= c->plan->conversion_count ||
        how->tail_type >= c->plan->type_count) {
        return false;
    }
    const rp_plan_conversion *part = &c->conversions[how->tail_conversion];
    bool converts = !how->tail_conversion || (part->cost < how->cost && part->old_bytes &&
                                              part->new_bytes && !part->refusal);
    return converts && tail == (how->old_tail_offset != RP_TYPE_NO_TAIL) &&
           (!tail ||
            (how->old_tail_offset <= how->old_bytes && how->new_tail_offset <= how->new_bytes));
}

static bool conversion_is_sound(const checking *c, const rp_plan_conversion *how)
{
    uint64_t cost = 0;
    if (!is_name(c, how->name) || !is_name(c, how->place) || !is_name(c, how->refusal) ||
        !run_fits(how->first_op, how->op_count, c->plan->op_count) || !tail_is_sound(c, how) ||
        how->old_bytes > UINT64_MAX / 4 || how->new_bytes > UINT64_MAX / 4 ||
        (!how->old_bytes && !how->refusal)) {
        return false;
    }
    for (uint32_t i = 0; i < how->op_count; i++) {
        if (!op_is_sound(c, how, &c->ops[how->first_op + i], &cost)) {
            return false;
        }
    }
    return cost < how->cost && how->cost <= rp_plan_cost_limit(how->old_bytes + how->new_bytes);
}

/* ---- all ---- */

static rp_status check_uses(const checking *c)
{
    const rp_plan *plan = c->plan;
    const rp_plan_copy *copies = rp_plan_copies(plan);
    for (uint32_t i = 0; i < plan->copy_count; i++) {
        const rp_plan_conversion *how = &c->conversions[copies[i].conversion];
        if ((copies[i].type && copies[i].type >= plan->type_count) ||
            (copies[i].conversion && (copies[i].conversion >= plan->conversion_count ||
                                      how->refusal || how->old_bytes != copies[i].size_bytes))) {
            return damaged("a variable's type is not there");
        }
    }
    const rp_plan_move *moves = rp_plan_moves(plan);
    for (uint32_t i = 0; i < plan->move_count; i++) {
        if (moves[i].conversion && (moves[i].conversion >= plan->conversion_count ||
                                    !c->conversions[moves[i].conversion].old_bytes)) {
            return damaged("a symbol's type is not there");
        }
    }
    return RP_OK;
}

static rp_status check_lists(const checking *c)
{
    const rp_plan *plan = c->plan;
    const rp_plan_table *tables = rp_plan_part(plan, plan->tables_offset);
    uint64_t free_from = 0;
    for (uint32_t i = 0; i < plan->table_count; i++) {
        if (tables[i].type >= plan->type_count || tables[i].old_address < free_from ||
            tables[i].size_bytes > UINT64_MAX - tables[i].old_address ||
            c->types[tables[i].type].flags & RP_TYPE_UNKNOWN) {
            return damaged("its virtual tables are out of order");
        }
        free_from = tables[i].old_address + tables[i].size_bytes;
    }
    const rp_plan_site *sites = rp_plan_part(plan, plan->sites_offset);
    for (uint32_t i = 0; i < plan->site_count; i++) {
        if (sites[i].type >= plan->type_count || !is_name(c, sites[i].name) ||
            c->types[sites[i].type].flags & RP_TYPE_UNKNOWN) {
            return damaged("an answer has no type");
        }
    }
    return RP_OK;
}

/* Entry 0 of types and conversions stands for none and is all zero but for what a type needs. */
static bool nothing_is_first(const checking *c)
{
    const rp_plan_conversion *none = &c->conversions[0];
    const rp_plan_type *type = &c->types[0];
    return !none->op_count && !none->refusal && !none->old_bytes && !none->tail_conversion &&
           !type->slot_count && !type->conversion && !type->heir_count && is_name(c, type->name) &&
           is_name(c, type->place);
}

rp_status rp_plan_check_types(const rp_plan *plan)
{
    checking c = {.plan = plan,
                  .types = rp_plan_type_at(plan, 0),
                  .slots = rp_plan_slot_at(plan, 0),
                  .conversions = rp_plan_conversion_at(plan, 0),
                  .ops = rp_plan_op_at(plan, 0)};
    if (!plan->type_count != !plan->conversion_count) {
        return damaged("its types are not there");
    }
    if (plan->type_count && !nothing_is_first(&c)) {
        return damaged("its first type is not none");
    }
    for (uint32_t i = 1; i < plan->type_count; i++) {
        if (!type_is_sound(&c, &c.types[i])) {
            return damaged("a type contradicts itself");
        }
    }
    for (uint32_t i = 1; i < plan->conversion_count; i++) {
        if (!conversion_is_sound(&c, &c.conversions[i])) {
            return damaged("a conversion contradicts itself");
        }
    }
    rp_status status = check_uses(&c);
    return status == RP_OK ? check_lists(&c) : status;
}
