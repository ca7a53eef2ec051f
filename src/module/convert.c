/* Applying conversions. Layer: module.
 *
 * The plan was checked: what an object holds lies inside it, and nothing holds itself. */
#include "module/convert.h"

#include "base/bits.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

/* ---- numbers ---- */

typedef struct any_number {
    uint8_t form;
    bool negative;      /* of an integer */
    uint64_t magnitude; /* its bits: two's complement where negative */
    long double real;   /* of RP_FORM_FLOAT */
} any_number;

static uint64_t read_bits(const uint8_t *from, unsigned bit, unsigned bits)
{
    uint8_t bytes[16] = {0};
    memcpy(bytes, from, (bit + bits + 7) / 8);
    uint64_t low, high;
    memcpy(&low, bytes, 8);
    memcpy(&high, bytes + 8, 8);
    uint64_t value = bit ? (low >> bit) | (high << (64 - bit)) : low;
    return bits == 64 ? value : value & ((UINT64_C(1) << bits) - 1);
}

static void write_bits(uint8_t *to, unsigned bit, unsigned bits, uint64_t value)
{
    for (unsigned i = 0; i < bits;) {
        unsigned at = (bit + i) / 8, shift = (bit + i) % 8;
        unsigned part = 8 - shift < bits - i ? 8 - shift : bits - i;
        unsigned mask = ((1u << part) - 1) << shift;
        to[at] = (uint8_t)((to[at] & ~mask) | (((unsigned)(value >> i) << shift) & mask));
        i += part;
    }
}

static any_number read_number(const uint8_t *from, rp_plan_number how)
{
    any_number n = {.form = how.form};
    if (how.form == RP_FORM_FLOAT) {
        float single;
        double twice;
        if (how.bits == 32) {
            memcpy(&single, from, sizeof single);
            n.real = single;
        } else if (how.bits == 64) {
            memcpy(&twice, from, sizeof twice);
            n.real = twice;
        } else {
            memcpy(&n.real, from, sizeof n.real);
        }
        return n;
    }
    n.magnitude = read_bits(from, how.bit, how.bits);
    if (how.form == RP_FORM_SIGNED && (n.magnitude >> (how.bits - 1)) & 1) {
        n.negative = true;
        n.magnitude |= how.bits < 64 ? ~UINT64_C(0) << how.bits : 0;
    }
    return n;
}

static bool write_real(uint8_t *to, rp_plan_number how, const any_number *n)
{
    long double value = n->form == RP_FORM_FLOAT ? n->real
                        : n->negative            ? (long double)(int64_t)n->magnitude
                                                 : (long double)n->magnitude;
    long double back = value;
    if (how.bits == 32) {
        float single = (float)value;
        memcpy(to, &single, sizeof single);
        back = single;
    } else if (how.bits == 64) {
        double twice = (double)value;
        memcpy(to, &twice, sizeof twice);
        back = twice;
    } else {
        memcpy(to, &value, sizeof value);
    }
    if (n->form == RP_FORM_FLOAT) { /* digits are lost quietly, the size of the number is not */
        return (isinf(back) && !isinf(value)) || (back == 0 && value != 0);
    }
    return back != value;
}

typedef struct bounds {
    int64_t least;
    uint64_t most;
} bounds;

static bounds bounds_of(rp_plan_number how)
{
    bounds b = {0, how.bits == 64 ? UINT64_MAX : (UINT64_C(1) << how.bits) - 1};
    if (how.form == RP_FORM_SIGNED) {
        b.most >>= 1;
        b.least = -(int64_t)b.most - 1;
    }
    return b;
}

/* The nearest integer that fits. */
static bool write_integer(uint8_t *to, rp_plan_number how, const any_number *n)
{
    bounds b = bounds_of(how);
    uint64_t value = n->magnitude;
    bool lost = false;
    if (n->form == RP_FORM_FLOAT) {
        long double real = n->real;
        if (!(real >= (long double)b.least)) {
            value = isnan(real) ? 0 : (uint64_t)b.least;
            lost = true;
        } else if (real > (long double)b.most) {
            value = b.most;
            lost = true;
        } else {
            value = real < 0 ? (uint64_t)(int64_t)real : (uint64_t)real;
            lost = (real < 0 ? (long double)(int64_t)value : (long double)value) != real;
        }
    } else if (n->negative && (int64_t)value < b.least) {
        value = (uint64_t)b.least;
        lost = true;
    } else if (!n->negative && value > b.most) {
        value = b.most;
        lost = true;
    }
    write_bits(to, how.bit, how.bits, value);
    return lost;
}

/* Whether the value could not be kept. */
static bool write_number(uint8_t *to, rp_plan_number how, const any_number *n)
{
    if (how.form == RP_FORM_FLOAT) {
        return write_real(to, how, n);
    }
    if (how.form == RP_FORM_BOOL) {
        bool set = n->form == RP_FORM_FLOAT ? n->real != 0 : n->magnitude != 0;
        write_bits(to, how.bit, how.bits, set);
        return set && (n->form == RP_FORM_FLOAT ? n->real != 1 : n->magnitude != 1);
    }
    return write_integer(to, how, n);
}

static void note_lost(rp_convert *c, const rp_plan_op *op)
{
    if (c->report->values_lost++ == 0) {
        rp_text_copy(c->report->lost_name, sizeof c->report->lost_name,
                     rp_plan_name(c->plan, op->name));
    }
}

/* A constant of the old enum becomes the one of that name; a value that none has is kept, as a
 * combination of flags cannot be told from a number. */
static bool map_constant(const rp_plan *plan, const rp_plan_op *op, any_number *n)
{
    const rp_plan_constant *constants =
        (const rp_plan_constant *)rp_plan_part(plan, plan->constants_offset) + op->first_constant;
    for (uint32_t i = 0; i < op->constant_count; i++) {
        if ((uint64_t)constants[i].old_value == n->magnitude) {
            n->magnitude = (uint64_t)constants[i].new_value;
            n->negative = constants[i].new_value < 0;
            return true;
        }
    }
    return n->magnitude == 0;
}

static void convert_number(rp_convert *c, const rp_plan_op *op, const uint8_t *from, uint8_t *to)
{
    any_number n = read_number(from + op->old_offset, op->old_number);
    bool lost = op->kind == RP_OP_ENUM && !map_constant(c->plan, op, &n);
    lost |= write_number(to + op->new_offset, op->new_number, &n);
    if (lost) {
        note_lost(c, op);
    }
}

/* ---- objects ---- */

/* Most members are small, and then a call of memcpy is longer than the copy. */
static inline void copy_bytes(uint8_t *to, const uint8_t *from, uint64_t count)
{
    uint64_t word;
    if (count == 4) {
        memcpy(to, from, 4);
    } else if (count % sizeof word == 0 && count <= 64) {
        for (; count; count -= sizeof word, to += sizeof word, from += sizeof word) {
            memcpy(&word, from, sizeof word);
            memcpy(to, &word, sizeof word);
        }
    } else {
        memcpy(to, from, (size_t)count);
    }
}

static void convert_op(rp_convert *c, const rp_plan_op *op, const uint8_t *from, uint8_t *to)
{
    const rp_plan_type *type;
    const rp_plan_conversion *part;
    switch (op->kind) {
    case RP_OP_COPY:
        type = rp_plan_type_at(c->plan, op->type);
        copy_bytes(to + op->new_offset, from + op->old_offset,
                   op->type ? op->count * type->size_bytes : op->count);
        if (op->type && type->slot_count) {
            rp_relocate_objects(c, op->type, to + op->new_offset, op->count);
        }
        break;
    case RP_OP_CONVERT:
        part = rp_plan_conversion_at(c->plan, op->conversion);
        for (uint64_t i = 0; i < op->count; i++) {
            rp_convert_object(c, op->conversion, from + op->old_offset + i * part->old_bytes,
                              to + op->new_offset + i * part->new_bytes);
        }
        break;
    default:
        convert_number(c, op, from, to);
        break;
    }
}

void rp_convert_object(rp_convert *c, uint32_t conversion, const uint8_t *from, uint8_t *to)
{
    const rp_plan_conversion *how = rp_plan_conversion_at(c->plan, conversion);
    const rp_plan_op *ops = rp_plan_op_at(c->plan, how->first_op);
    for (uint32_t i = 0; i < how->op_count; i++) {
        convert_op(c, &ops[i], from, to);
    }
}

static uint64_t element_bytes(const rp_plan *plan, const rp_plan_conversion *how, bool old)
{
    const rp_plan_conversion *tail = rp_plan_conversion_at(plan, how->tail_conversion);
    if (how->tail_conversion) {
        return old ? tail->old_bytes : tail->new_bytes;
    }
    return rp_plan_type_at(plan, how->tail_type)->size_bytes;
}

static bool has_tail(const rp_plan_conversion *how)
{
    return how->new_tail_offset != RP_TYPE_NO_TAIL;
}

static uint64_t tail_count(const rp_plan *plan, const rp_plan_conversion *how, uint64_t bytes)
{
    uint64_t each = element_bytes(plan, how, true);
    return each && bytes > how->old_tail_offset ? (bytes - how->old_tail_offset) / each : 0;
}

uint64_t rp_convert_bytes(const rp_plan *plan, uint32_t conversion, uint64_t bytes)
{
    const rp_plan_conversion *how = rp_plan_conversion_at(plan, conversion);
    uint64_t total;
    if (has_tail(how)) {
        uint64_t tail;
        bool fits = !__builtin_mul_overflow(tail_count(plan, how, bytes),
                                            element_bytes(plan, how, false), &tail) &&
                    !__builtin_add_overflow(how->new_tail_offset, tail, &total);
        return fits ? (total > how->new_bytes ? total : how->new_bytes) : 0;
    }
    return __builtin_mul_overflow(bytes / how->old_bytes, how->new_bytes, &total) ? 0 : total;
}

static void convert_tail(rp_convert *c, const rp_plan_conversion *how, const uint8_t *from,
                         uint8_t *to, uint64_t from_bytes)
{
    uint64_t old_bytes = element_bytes(c->plan, how, true);
    uint64_t new_bytes = element_bytes(c->plan, how, false);
    uint64_t count = tail_count(c->plan, how, from_bytes);
    from += how->old_tail_offset;
    to += how->new_tail_offset;
    if (how->tail_conversion) {
        for (uint64_t i = 0; i < count; i++) {
            rp_convert_object(c, how->tail_conversion, from + i * old_bytes, to + i * new_bytes);
        }
    } else if (count) {
        memcpy(to, from, (size_t)(count * old_bytes));
        rp_relocate_objects(c, how->tail_type, to, count);
    }
}

void rp_convert_block(rp_convert *c, uint32_t conversion, const uint8_t *from, uint8_t *to,
                      uint64_t from_bytes)
{
    const rp_plan_conversion *how = rp_plan_conversion_at(c->plan, conversion);
    uint64_t count = has_tail(how) ? 1 : from_bytes / how->old_bytes;
    for (uint64_t i = 0; i < count; i++) {
        rp_convert_object(c, conversion, from + i * how->old_bytes, to + i * how->new_bytes);
    }
    if (has_tail(how)) {
        convert_tail(c, how, from, to, from_bytes);
    }
}

/* ---- places ---- */

static bool place_in_object(const rp_plan *plan, uint32_t conversion, uint64_t offset,
                            uint32_t type, uint64_t *place);

static uint64_t old_extent(const rp_plan *plan, const rp_plan_op *op)
{
    switch (op->kind) {
    case RP_OP_COPY:
        return op->type ? op->count * rp_plan_type_at(plan, op->type)->size_bytes : op->count;
    case RP_OP_CONVERT:
        return op->count * rp_plan_conversion_at(plan, op->conversion)->old_bytes;
    default:
        return (op->old_number.bit + op->old_number.bits + 7u) / 8u;
    }
}

static bool place_in_op(const rp_plan *plan, const rp_plan_op *op, uint64_t offset, uint32_t type,
                        uint64_t *place)
{
    uint64_t inside = offset - op->old_offset;
    if (op->kind == RP_OP_COPY) {
        *place = op->new_offset + inside;
        return true;
    }
    if (op->kind != RP_OP_CONVERT) {
        *place = op->new_offset;
        return inside == 0;
    }
    const rp_plan_conversion *part = rp_plan_conversion_at(plan, op->conversion);
    uint64_t number = inside / part->old_bytes, in_part;
    if (!place_in_object(plan, op->conversion, inside % part->old_bytes, type, &in_part)) {
        return false;
    }
    *place = op->new_offset + number * part->new_bytes + in_part;
    return true;
}

/* The start of an object is also that of its first member: what the pointer is to decides, and the
 * object where that is not known. */
static bool place_in_object(const rp_plan *plan, uint32_t conversion, uint64_t offset,
                            uint32_t type, uint64_t *place)
{
    const rp_plan_conversion *how = rp_plan_conversion_at(plan, conversion);
    const rp_plan_type *target = rp_plan_type_at(plan, type);
    *place = 0;
    bool whole = offset == 0 && (!type || target->conversion == conversion ||
                                 target->flags & (RP_TYPE_UNKNOWN | RP_TYPE_CHARACTER));
    if (whole) {
        return true;
    }
    const rp_plan_op *ops = rp_plan_op_at(plan, how->first_op);
    for (uint32_t i = 0; i < how->op_count; i++) {
        if (offset >= ops[i].old_offset && offset - ops[i].old_offset < old_extent(plan, &ops[i]) &&
            place_in_op(plan, &ops[i], offset, type, place)) {
            return true;
        }
    }
    *place = 0;
    return offset == 0;
}

bool rp_convert_place(const rp_plan *plan, uint32_t conversion, uint64_t offset, uint32_t type,
                      uint64_t *place)
{
    const rp_plan_conversion *how = rp_plan_conversion_at(plan, conversion);
    if (has_tail(how) && offset >= how->old_tail_offset) {
        uint64_t each = element_bytes(plan, how, true), rest = offset - how->old_tail_offset;
        uint64_t in_element = each ? rest % each : 0;
        if (!each || (how->tail_conversion && !place_in_object(plan, how->tail_conversion,
                                                               in_element, type, &in_element))) {
            return false;
        }
        *place = how->new_tail_offset + rest / each * element_bytes(plan, how, false) + in_element;
        return true;
    }
    uint64_t number = has_tail(how) ? 0 : offset / how->old_bytes, inside;
    if (!place_in_object(plan, conversion, offset - number * how->old_bytes, type, &inside)) {
        return false;
    }
    *place = number * how->new_bytes + inside;
    return true;
}

/* ---- pointers ---- */

static void leave(rp_convert *c, const uint8_t *word, uint32_t type)
{
    rp_migration *report = c->report;
    if (report->pointers_left++ == 0) {
        rp_text_copy(report->left_name, sizeof report->left_name,
                     rp_plan_name(c->plan, rp_plan_type_at(c->plan, type)->name));
        report->left_at = (uint64_t)(uintptr_t)word;
    }
}

static void settle(rp_convert *c, const convert_pending *p)
{
    const block_mark *mark = &c->blocks->marks[p->block];
    uint64_t place = 0;
    if (!(mark->flags & BLOCK_CHANGED)) {
        return;
    }
    bool whole = p->value == p->start && (p->type == mark->type || p->type == 0);
    if (!whole && !rp_convert_place(c->plan, rp_plan_type_at(c->plan, mark->type)->conversion,
                                    p->value - p->start, p->type, &place)) {
        leave(c, p->word, mark->type);
        return;
    }
    uint64_t moved = c->blocks->moved[p->block];
    moved = (moved ? moved : p->start) + place;
    if (moved != p->value) {
        memcpy(p->word, &moved, sizeof moved);
        c->report->pointers_moved++;
    }
}

static void settle_oldest(rp_convert *c)
{
    convert_pending oldest = c->pending[c->pending_first];
    c->pending_first = (c->pending_first + 1) % CONVERT_AHEAD;
    c->pending_count--;
    settle(c, &oldest);
}

void rp_relocate_finish(rp_convert *c)
{
    while (c->pending_count) {
        settle_oldest(c);
    }
}

/* The word may lie unaligned. `type`: what it points to, 0: not known. Where it leads is looked up
 * some words later: by then it has come from memory. */
static void relocate(rp_convert *c, uint8_t *word, uint32_t type)
{
    uint64_t value, start;
    memcpy(&value, word, sizeof value);
    if (value - c->plan->old_low < c->plan->old_high - c->plan->old_low) {
        rp_carry_typed(c->plan, c->new_base, c->new_tls, word, type, c->carried);
        return;
    }
    uint32_t block = rp_blocks_find(c->blocks, value, &start);
    if (block == BLOCK_NONE) {
        return;
    }
    __builtin_prefetch(&c->blocks->marks[block]);
    __builtin_prefetch(&c->blocks->moved[block]);
    if (c->pending_count == CONVERT_AHEAD) {
        settle_oldest(c);
    }
    c->pending[(c->pending_first + c->pending_count++) % CONVERT_AHEAD] =
        (convert_pending){word, value, start, block, type};
}

static void relocate_slot(rp_convert *c, const rp_plan_slot *slot, uint8_t *at)
{
    switch (slot->kind) {
    case RP_SLOT_POINTER:
    case RP_SLOT_WITHIN:
        for (uint64_t i = 0; i < slot->count; i++) {
            relocate(c, at + i * sizeof(uint64_t), slot->kind == RP_SLOT_POINTER ? slot->type : 0);
        }
        break;
    case RP_SLOT_UNTYPED:
        for (uint64_t i = 0; i < slot->count; i++) {
            relocate(c, at + i * sizeof(uint64_t), 0);
        }
        break;
    case RP_SLOT_TYPE:
        rp_relocate_objects(c, slot->type, at, slot->count);
        break;
    default:
        rp_relocate_words(c, at, slot->count);
        break;
    }
}

void rp_relocate_objects(rp_convert *c, uint32_t type, uint8_t *at, uint64_t count)
{
    const rp_plan_type *of = rp_plan_type_at(c->plan, type);
    const rp_plan_slot *slots = rp_plan_slot_at(c->plan, of->first_slot);
    for (uint64_t i = 0; i < count && of->slot_count; i++) {
        for (uint32_t k = 0; k < of->slot_count; k++) {
            relocate_slot(c, &slots[k], at + slots[k].offset);
        }
        at += of->size_bytes;
    }
}

void rp_relocate_words(rp_convert *c, uint8_t *at, uint64_t bytes)
{
    uint64_t low = c->blocks->low, span = c->blocks->high - low;
    uint8_t *word = (uint8_t *)(uintptr_t)rp_align_up((uintptr_t)at, sizeof(uint64_t));
    for (; word + sizeof(uint64_t) <= at + bytes; word += sizeof(uint64_t)) {
        if (*(uint64_t *)(void *)word - low <= span) {
            relocate(c, word, 0);
        }
    }
}
