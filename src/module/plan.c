/* Making a plan from two builds. Layer: module. */
#include "module/plan.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "module/plan_build.h"
#include "os/os.h"

#include <stdlib.h>
#include <string.h>

static uint64_t old_address_of(const plan_build *build, const rp_symbol *symbol)
{
    return symbol->address +
           (symbol->kind == RP_SYMBOL_THREAD ? build->old_tls_address : build->old_base);
}

/* There is room: a name takes what it has in the file, and each entry has one. */
static uint32_t add_name(plan_build *build, const rp_symbol *symbol)
{
    uint32_t at = (uint32_t)build->names_used;
    memcpy(build->names + at, symbol->base, symbol->base_length);
    build->names_used += symbol->base_length + 1;
    return at;
}

static void add_copy(plan_build *build, const match_entry *entry, uint32_t name)
{
    build->copies[build->plan.copy_count++] =
        (rp_plan_copy){.old_address = old_address_of(build, entry->symbol),
                       .new_offset = entry->partner->address,
                       .size_bytes = entry->symbol->size_bytes,
                       .name = name,
                       .thread = entry->symbol->kind == RP_SYMBOL_THREAD,
                       .type = entry->type,
                       .conversion = entry->conversion};
}

/* A constant that has no counterpart stays where it is, so that pointers to it remain good. */
static bool is_moved(const plan_build *build, const match_entry *entry)
{
    const rp_symbol *symbol = entry->symbol;
    if (symbol->kind == RP_SYMBOL_THREAD) {
        return build->old_tls_address;
    }
    bool stays = symbol->read_only && (symbol->address < build->old_elf->data_low ||
                                       symbol->address >= build->old_elf->data_high);
    return entry->state == MATCH_FOUND || !stays;
}

static void add_move(plan_build *build, const match_entry *entry, uint32_t name)
{
    bool found = entry->state == MATCH_FOUND, function = entry->symbol->kind == RP_SYMBOL_FUNCTION;
    uint64_t size = entry->symbol->size_bytes;
    if (found && !function && !entry->conversion && entry->partner->size_bytes < size) {
        size = entry->partner->size_bytes; /* a constant that shrank */
    }
    build->moves[build->plan.move_count++] =
        (rp_plan_move){.old_address = old_address_of(build, entry->symbol),
                       .size_bytes = size,
                       .new_offset = found ? entry->partner->address : RP_PLAN_NONE,
                       .name = name,
                       .is_function = function,
                       .thread = entry->symbol->kind == RP_SYMBOL_THREAD,
                       .conversion = function ? 0 : entry->conversion};
}

static void emit(plan_build *build)
{
    build->names_used = 1; /* name 0 is "" */
    for (size_t i = 0; i < build->old_side.count; i++) {
        const match_entry *entry = &build->old_side.entries[i];
        bool copied = rp_plan_is_copied(build, entry), moved = is_moved(build, entry);
        if (!copied && !moved) {
            continue;
        }
        uint32_t name = add_name(build, entry->symbol);
        if (copied) {
            add_copy(build, entry, name);
        }
        if (moved) {
            add_move(build, entry, name);
        }
    }
}

/* Of several symbols at one address the first is kept: one with a counterpart, then the largest. */
static int compare_moves(const void *a_pointer, const void *b_pointer)
{
    const rp_plan_move *a = a_pointer, *b = b_pointer;
    if (a->old_address != b->old_address) {
        return a->old_address < b->old_address ? -1 : 1;
    }
    int a_lost = a->new_offset == RP_PLAN_NONE, b_lost = b->new_offset == RP_PLAN_NONE;
    if (a_lost != b_lost) {
        return a_lost - b_lost;
    }
    if (a->size_bytes != b->size_bytes) {
        return a->size_bytes > b->size_bytes ? -1 : 1;
    }
    return (a->name > b->name) - (a->name < b->name);
}

/* Sorted and without overlap, so that one search finds what a word points to. */
static void sort_moves(plan_build *build)
{
    qsort(build->moves, build->plan.move_count, sizeof *build->moves, compare_moves);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < build->plan.move_count; i++) {
        rp_plan_move move = build->moves[i];
        rp_plan_move *last = kept ? &build->moves[kept - 1] : NULL;
        bool inside = last && move.old_address - last->old_address < last->size_bytes;
        if (last && (last->old_address == move.old_address || (inside && !last->is_function))) {
            continue; /* another name for it, or for a part of it */
        }
        if (inside) {
            last->size_bytes =
                move.old_address - last->old_address; /* a second entry to a function */
        }
        build->moves[kept++] = move;
    }
    build->plan.move_count = kept;
}

static uint64_t place(uint64_t *end, size_t size_bytes)
{
    uint64_t at = rp_align_up(*end, 8);
    *end = at + size_bytes;
    return at;
}

/* The parts that speak of types, in their order. */
typedef struct types_part {
    const types_pool *pool;
    size_t size_bytes;
    uint32_t *count;
    uint64_t *offset;
} types_part;

enum { TYPES_PARTS = 8 };

static void list_parts(plan_build *build, types_part parts[TYPES_PARTS])
{
    rp_plan *plan = &build->plan;
    const types_build *types = &build->types;
    const types_part all[TYPES_PARTS] = {
        {&types->types, sizeof(rp_plan_type), &plan->type_count, &plan->types_offset},
        {&types->slots, sizeof(rp_plan_slot), &plan->slot_count, &plan->slots_offset},
        {&types->heirs, sizeof(uint32_t), &plan->heir_count, &plan->heirs_offset},
        {&types->conversions, sizeof(rp_plan_conversion), &plan->conversion_count,
         &plan->conversions_offset},
        {&types->ops, sizeof(rp_plan_op), &plan->op_count, &plan->ops_offset},
        {&types->constants, sizeof(rp_plan_constant), &plan->constant_count,
         &plan->constants_offset},
        {&types->tables, sizeof(rp_plan_table), &plan->table_count, &plan->tables_offset},
        {&types->sites, sizeof(rp_plan_site), &plan->site_count, &plan->sites_offset}};
    memcpy(parts, all, sizeof all);
}

/* Names of types come after those of symbols. */
static void shift_names(plan_build *build, uint32_t by)
{
    types_build *types = &build->types;
    rp_plan_type *type = types->types.items;
    for (uint32_t i = 0; i < types->types.count; i++) {
        type[i].name += type[i].name ? by : 0;
        type[i].place += type[i].place ? by : 0;
    }
    rp_plan_slot *slot = types->slots.items;
    for (uint32_t i = 0; i < types->slots.count; i++) {
        slot[i].name += slot[i].name ? by : 0;
    }
    rp_plan_op *op = types->ops.items;
    for (uint32_t i = 0; i < types->ops.count; i++) {
        op[i].name += op[i].name ? by : 0;
    }
    rp_plan_conversion *conversion = types->conversions.items;
    for (uint32_t i = 0; i < types->conversions.count; i++) {
        conversion[i].name += conversion[i].name ? by : 0;
        conversion[i].place += conversion[i].place ? by : 0;
        conversion[i].refusal += conversion[i].refusal ? by : 0;
    }
    rp_plan_site *site = types->sites.items;
    for (uint32_t i = 0; i < types->sites.count; i++) {
        site[i].name += by;
    }
}

static void set_layout(plan_build *build)
{
    rp_plan *plan = &build->plan;
    uint64_t end = sizeof *plan;
    plan->copies_offset = place(&end, plan->copy_count * sizeof(rp_plan_copy));
    plan->moves_offset = place(&end, plan->move_count * sizeof(rp_plan_move));
    types_part parts[TYPES_PARTS];
    list_parts(build, parts);
    for (int i = 0; i < TYPES_PARTS; i++) {
        *parts[i].count = parts[i].pool->count;
        *parts[i].offset = place(&end, *parts[i].count * parts[i].size_bytes);
    }
    shift_names(build, (uint32_t)build->names_used);
    plan->report_offset = build->names_used + build->types.names.count;
    plan->names_bytes = plan->report_offset + build->report.length + 1;
    plan->names_offset = place(&end, plan->names_bytes);
    plan->total_bytes = rp_align_up(end, 8);
}

static void write_types(plan_build *build, uint8_t *made)
{
    types_part parts[TYPES_PARTS];
    list_parts(build, parts);
    for (int i = 0; i < TYPES_PARTS; i++) {
        if (*parts[i].count) {
            memcpy(made + *parts[i].offset, parts[i].pool->items,
                   *parts[i].count * parts[i].size_bytes);
        }
    }
    const types_pool *names = &build->types.names;
    if (names->count) {
        memcpy(made + build->plan.names_offset + build->names_used, names->items, names->count);
    }
}

static rp_status finish(plan_build *build, rp_plan **plan)
{
    set_layout(build);
    const rp_plan *header = &build->plan;
    size_t mapped = (size_t)rp_align_up(header->total_bytes, RP_PAGE_BYTES);
    uint8_t *made = rp_os_vm_reserve(mapped);
    if (!made) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(made, mapped);
    if (status != RP_OK) {
        rp_os_vm_release(made, mapped);
        return status;
    }
    memcpy(made, header, sizeof *header);
    memcpy(made + header->copies_offset, build->copies, header->copy_count * sizeof(rp_plan_copy));
    memcpy(made + header->moves_offset, build->moves, header->move_count * sizeof(rp_plan_move));
    memcpy(made + header->names_offset, build->names, build->names_used);
    write_types(build, made);
    memcpy(made + header->names_offset + header->report_offset, build->report.text,
           build->report.length + 1);
    *plan = (rp_plan *)made;
    status = rp_plan_check(*plan, mapped);
    RP_ASSERT(status == RP_OK || build->with_types);
    if (status != RP_OK) {
        rp_os_vm_release(made, mapped);
        *plan = NULL;
        status = rp_fail(RP_E_FORMAT,
                         "%s: the debug information of it or of the build before contradicts "
                         "itself: build it again",
                         build->new_elf->path);
    }
    return status;
}

static size_t names_limit(const rp_elf *elf)
{
    size_t bytes = 1;
    for (size_t i = 0; i < elf->symbol_count; i++) {
        bytes += elf->symbols[i].base_length + 1;
    }
    return bytes;
}

static rp_status take_memory(plan_build *build)
{
    size_t old_count = build->old_elf->symbol_count, new_count = build->new_elf->symbol_count;
    size_t names_bytes = names_limit(build->old_elf);
    if (old_count > UINT32_MAX || names_bytes > UINT32_MAX / 2) {
        return rp_fail(RP_E_UNSUPPORTED, "%s: its symbols' names take more than 2 GiB: strip it",
                       build->old_elf->path);
    }
    size_t each = sizeof(match_entry) + sizeof(rp_plan_copy) + sizeof(rp_plan_move);
    rp_status status =
        rp_arena_init(&build->arena, (old_count + new_count + 2) * each + names_bytes +
                                         PLAN_REPORT_BYTES + RP_KIB(64));
    if (status != RP_OK) {
        return status;
    }
    build->copies = rp_arena_take(&build->arena, old_count + 1, sizeof *build->copies);
    build->moves = rp_arena_take(&build->arena, old_count + 1, sizeof *build->moves);
    build->names = rp_arena_take(&build->arena, 1, names_bytes);
    char *report = rp_arena_take(&build->arena, 1, PLAN_REPORT_BYTES);
    if (!build->copies || !build->moves || !build->names || !report) {
        return build->arena.failure;
    }
    build->report = rp_text_buffer_over(report, PLAN_REPORT_BYTES);
    return RP_OK;
}

static rp_status make(plan_build *build, rp_plan **plan)
{
    rp_status status = take_memory(build);
    if (status == RP_OK) {
        status = rp_match(build->old_elf, build->new_elf, &build->arena, &build->old_side,
                          &build->new_side);
    }
    if (status == RP_OK) {
        status = rp_plan_judge(build);
    }
    if (status == RP_OK) {
        emit(build);
        sort_moves(build);
        status = finish(build, plan);
    }
    return status;
}

rp_status rp_plan_make(const rp_elf *old_elf, uint32_t old_build, uint64_t old_base,
                       uint64_t old_tls_address, const rp_elf *new_elf, uint32_t new_build,
                       const rp_plan_options *options, rp_plan **plan)
{
    plan_build build = {.old_elf = old_elf,
                        .new_elf = new_elf,
                        .options = options,
                        .old_base = old_base,
                        .old_tls_address = old_tls_address};
    build.plan = (rp_plan){.magic = RP_PLAN_MAGIC,
                           .version = RP_PLAN_VERSION,
                           .old_low = old_base + old_elf->low,
                           .old_high = old_base + old_elf->high,
                           .old_text_low = old_base + old_elf->text_low,
                           .old_text_high = old_base + old_elf->text_high,
                           .old_data_low = old_base + old_elf->data_low,
                           .old_data_high = old_base + old_elf->data_high,
                           .new_low = new_elf->low,
                           .new_high = new_elf->high,
                           .new_tls_bytes = new_elf->tls_bytes,
                           .old_build = old_build,
                           .new_build = new_build,
                           .regardless = options && options->regardless};
    rp_status status = make(&build, plan);
    rp_arena_finish(&build.arena);
    if (build.with_types) {
        rp_types_build_finish(&build.types);
    }
    return status;
}
