/* How an object of the old build becomes one of the new: field by field, by name. Layer: module.
 *
 * A conversion is made of two nodes once, its parts first. Where a part cannot be converted, the
 * whole keeps the reason and is refused only if such objects live. */
#include "base/error.h"
#include "module/plan_types_build.h"

#include <string.h>

enum { PAIR_NEW, PAIR_MAKING, PAIR_MADE };
enum { FIRST_PAIRS = 256, PAIR_DEPTH_MOST = 64, OPS_MOST = 1 << 16, BASES_MOST = 1000 };

typedef struct pairing {
    types_build *build;
    uint32_t old_node, new_node;
    rp_plan_conversion made;
    types_pool ops;
    char refusal[320];
    bool differs; /* from a copy of all bytes */
    int depth;
} pairing;

static const graph_node *old_at(const types_build *build, uint32_t node)
{
    return rp_graph_node(&build->old_graph, node);
}

static const graph_node *new_at(const types_build *build, uint32_t node)
{
    return rp_graph_node(&build->new_graph, node);
}

static uint32_t convert(types_build *build, uint32_t old_node, uint32_t new_node, const char *name,
                        int depth);

/* ---- pairs by key ---- */

static types_pair *pair_in(types_pair *pairs, uint32_t slots, uint64_t key)
{
    uint32_t at = (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (slots - 1);
    while (pairs[at].key && pairs[at].key != key) {
        at = (at + 1) & (slots - 1);
    }
    return &pairs[at];
}

static types_pair *pair_get(types_build *build, uint64_t key)
{
    if (build->pair_count * 2 >= build->pair_slots) {
        uint32_t slots = build->pair_slots ? build->pair_slots * 2 : FIRST_PAIRS;
        types_pair *pairs = rp_arena_take(&build->arena, slots, sizeof *pairs);
        if (!pairs) {
            build->status = build->arena.failure;
            return NULL;
        }
        for (uint32_t i = 0; i < build->pair_slots; i++) {
            if (build->pairs[i].key) {
                *pair_in(pairs, slots, build->pairs[i].key) = build->pairs[i];
            }
        }
        build->pairs = pairs;
        build->pair_slots = slots;
    }
    types_pair *pair = pair_in(build->pairs, build->pair_slots, key);
    if (!pair->key) {
        pair->key = key;
        build->pair_count++;
    }
    return pair;
}

/* ---- what is refused ---- */

static void type_text(const pairing *p, bool old, uint32_t node, rp_text_buffer *text)
{
    rp_graph_text(old ? &p->build->old_graph : &p->build->new_graph, node, text);
}

static void add_place(const pairing *p, const graph_member *member, rp_text_buffer *text)
{
    char storage[80];
    rp_text_buffer place = rp_text_buffer_over(storage, sizeof storage);
    rp_graph_place(&p->build->new_graph, p->new_node, member, &place);
    if (place.length) {
        rp_text_add(text, " in %s", storage);
    }
}

/* The first reason counts. */
static void refuse_types(pairing *p, const graph_member *member, uint32_t old_node,
                         uint32_t new_node, const char *why)
{
    if (*p->refusal) {
        return;
    }
    rp_text_buffer text = rp_text_buffer_over(p->refusal, sizeof p->refusal);
    rp_text_add(&text, "%s%.80s%s", member ? "member '" : "", member ? member->name : "",
                member ? "'" : "it");
    add_place(p, member, &text);
    rp_text_add(&text, " is ");
    type_text(p, false, new_node, &text);
    rp_text_add(&text, ", was ");
    type_text(p, true, old_node, &text);
    rp_text_add(&text, "%s%s", *why ? ": " : "", why);
}

static void refuse_part(pairing *p, const graph_member *member, uint32_t conversion)
{
    const rp_plan_conversion *part = types_conversion(p->build, conversion);
    if (!*p->refusal && part->refusal) {
        rp_text_buffer text = rp_text_buffer_over(p->refusal, sizeof p->refusal);
        rp_text_add(&text, "%s%s%.80s: %s", member ? "member '" : "", member ? member->name : "",
                    member ? "'" : "an element", rp_types_name_at(p->build, part->refusal));
    }
}

/* ---- operations ---- */

static void add_op(pairing *p, rp_plan_op op)
{
    if (p->ops.count < OPS_MOST) {
        rp_plan_op *added = rp_types_push(p->build, &p->ops, 1, sizeof op);
        if (added) {
            *added = op;
        }
    }
}

static rp_plan_op *last_op(const pairing *p)
{
    return p->ops.count ? (rp_plan_op *)p->ops.items + p->ops.count - 1 : NULL;
}

/* Neighbours that stay neighbours are copied in one go. */
static void add_bytes(pairing *p, uint64_t old_offset, uint64_t new_offset, uint64_t count)
{
    rp_plan_op *last = last_op(p);
    bool joins = last && last->kind == RP_OP_COPY && !last->type &&
                 old_offset == last->old_offset + last->count &&
                 new_offset == last->new_offset + last->count;
    if (joins) {
        last->count += count;
        return;
    }
    add_op(p, (rp_plan_op){.kind = RP_OP_COPY,
                           .old_offset = old_offset,
                           .new_offset = new_offset,
                           .count = count});
}

static rp_plan_number number_of(const graph_node *node, const graph_member *member,
                                uint64_t *offset)
{
    rp_plan_number number = {.form = (uint8_t)node->form, .bits = (uint16_t)(node->size_bytes * 8)};
    if (member && member->width_bits) {
        number.bits = (uint16_t)member->width_bits;
        number.bit = (uint8_t)(member->offset_bits % 8);
        *offset = member->offset_bits / 8;
    }
    return number;
}

static bool is_number(const graph_node *node)
{
    bool sized = node->form == FORM_FLOAT
                     ? node->size_bytes == 4 || node->size_bytes == 8 || node->size_bytes == 16
                     : node->size_bytes >= 1 && node->size_bytes <= 8;
    return (node->kind == NODE_NUMBER || node->kind == NODE_ENUM) && node->form != FORM_OTHER &&
           sized;
}

static bool same_number(rp_plan_number a, rp_plan_number b)
{
    return a.form == b.form && a.bits == b.bits && a.bit == b.bit;
}

/* ---- enums ---- */

static const graph_constant *constant_named(const graph_node *node, const char *name)
{
    for (uint32_t i = 0; i < node->member_count; i++) {
        if (strcmp(node->constants[i].name, name) == 0) {
            return &node->constants[i];
        }
    }
    return NULL;
}

static bool is_renumbered(const graph_node *old_enum, const graph_node *new_enum)
{
    for (uint32_t i = 0; i < old_enum->member_count; i++) {
        const graph_constant *now = constant_named(new_enum, old_enum->constants[i].name);
        if (now && now->value != old_enum->constants[i].value) {
            return true;
        }
    }
    return false;
}

static void add_constants(pairing *p, rp_plan_op *op, const graph_node *old_enum,
                          const graph_node *new_enum)
{
    op->kind = RP_OP_ENUM;
    op->first_constant = p->build->constants.count;
    for (uint32_t i = 0; i < old_enum->member_count; i++) {
        const graph_constant *now = constant_named(new_enum, old_enum->constants[i].name);
        rp_plan_constant *added =
            now ? rp_types_push(p->build, &p->build->constants, 1, sizeof *added) : NULL;
        if (added) {
            *added = (rp_plan_constant){old_enum->constants[i].value, now->value};
            op->constant_count++;
        }
    }
}

/* ---- pointers ---- */

static bool says_nothing(const graph_node *node)
{
    return node->kind == NODE_VOID || node->kind == NODE_OPAQUE;
}

static void link_types(types_build *build, uint32_t old_node, uint32_t new_node)
{
    types_link *link = rp_types_push(build, &build->found, 1, sizeof *link);
    if (link) {
        *link = (types_link){old_node, new_node};
    }
}

/* Whether what a pointer leads to is still the same thing, though its layout may differ. */
static bool leads_alike(types_build *build, uint32_t old_node, uint32_t new_node, int depth)
{
    const graph_node *a = old_at(build, old_node), *b = new_at(build, new_node);
    if (says_nothing(a) || says_nothing(b) || depth > PAIR_DEPTH_MOST) {
        return a->kind != NODE_FUNCTION && b->kind != NODE_FUNCTION;
    }
    if (a->kind == NODE_ARRAY && b->kind == NODE_ARRAY) {
        return a->count == b->count && leads_alike(build, a->target, b->target, depth + 1);
    }
    if (is_number(a) && is_number(b)) {
        bool floats = (a->form == FORM_FLOAT) == (b->form == FORM_FLOAT);
        bool enums = a->kind == NODE_ENUM && b->kind == NODE_ENUM;
        if (enums && strcmp(a->name, b->name) == 0) {
            link_types(build, old_node, new_node);
            return true;
        }
        return a->size_bytes == b->size_bytes && floats;
    }
    if (a->kind != b->kind) {
        return false;
    }
    if (a->kind == NODE_POINTER) {
        return leads_alike(build, a->target, b->target, depth + 1);
    }
    if (a->kind == NODE_STRUCT || a->kind == NODE_UNION) {
        bool same = strcmp(a->name, b->name) == 0;
        if (same) {
            link_types(build, old_node, new_node);
        }
        return same;
    }
    return a->kind == NODE_FUNCTION || a->size_bytes == b->size_bytes;
}

/* ---- by kind ---- */

typedef struct part {
    const graph_member *old_member, *new_member; /* null: an element, or the whole */
    uint32_t old_node, new_node;
    uint64_t old_offset, new_offset;
    const char *name;
} part;

static void pair_part(pairing *p, const part *at);

static void pair_numbers(pairing *p, const part *at)
{
    const graph_node *a = old_at(p->build, at->old_node), *b = new_at(p->build, at->new_node);
    rp_plan_op op = {.kind = RP_OP_NUMBER,
                     .old_offset = at->old_offset,
                     .new_offset = at->new_offset,
                     .count = 1};
    op.old_number = number_of(a, at->old_member, &op.old_offset);
    op.new_number = number_of(b, at->new_member, &op.new_offset);
    bool mapped = a->kind == NODE_ENUM && b->kind == NODE_ENUM && is_renumbered(a, b);
    bool whole = !(at->old_member && at->old_member->width_bits) &&
                 !(at->new_member && at->new_member->width_bits);
    if (!mapped && whole && same_number(op.old_number, op.new_number)) {
        add_bytes(p, at->old_offset, at->new_offset, a->size_bytes);
        return;
    }
    if (mapped) {
        add_constants(p, &op, a, b);
    }
    op.name = rp_types_name(p->build, at->name);
    p->differs |= mapped || !same_number(op.old_number, op.new_number);
    add_op(p, op);
}

static void pair_pointers(pairing *p, const part *at)
{
    uint32_t a = old_at(p->build, at->old_node)->target, b = new_at(p->build, at->new_node)->target;
    if (!leads_alike(p->build, a, b, 0)) {
        refuse_types(p, at->new_member, at->old_node, at->new_node, "");
    }
    uint32_t type = rp_types_type(p->build, at->old_node);
    rp_plan_op *last = last_op(p);
    bool joins = last && last->kind == RP_OP_COPY && last->type == type &&
                 at->old_offset == last->old_offset + last->count * sizeof(void *) &&
                 at->new_offset == last->new_offset + last->count * sizeof(void *);
    if (joins) {
        last->count++; /* like neighbours that stay neighbours */
        return;
    }
    add_op(p, (rp_plan_op){.kind = RP_OP_COPY,
                           .old_offset = at->old_offset,
                           .new_offset = at->new_offset,
                           .count = 1,
                           .type = type});
}

/* Members by value that have a conversion of their own, or none. */
static void pair_whole(pairing *p, const part *at, uint32_t old_node, uint32_t new_node,
                       uint64_t count)
{
    uint32_t conversion = convert(p->build, old_node, new_node, at->name, p->depth + 1);
    uint64_t size = old_at(p->build, old_node)->size_bytes;
    rp_plan_op op = {.kind = RP_OP_COPY,
                     .old_offset = at->old_offset,
                     .new_offset = at->new_offset,
                     .count = count};
    if (conversion) {
        refuse_part(p, at->new_member, conversion);
        op.kind = RP_OP_CONVERT;
        op.conversion = conversion;
        p->differs = true;
        add_op(p, op);
    } else if (count && size) {
        op.type = rp_types_type(p->build, old_node);
        add_op(p, op);
    }
}

/* An array that was shorter keeps its elements; one that became an array fills its first. */
static void pair_arrays(pairing *p, const part *at)
{
    const graph_node *a = old_at(p->build, at->old_node), *b = new_at(p->build, at->new_node);
    uint64_t old_count = a->kind == NODE_ARRAY ? a->count : 1;
    uint64_t new_count = b->kind == NODE_ARRAY ? b->count : 1;
    uint32_t old_element = a->kind == NODE_ARRAY ? a->target : at->old_node;
    uint32_t new_element = b->kind == NODE_ARRAY ? b->target : at->new_node;
    uint64_t count = old_count < new_count ? old_count : new_count;
    p->differs |= old_count != new_count;
    pair_whole(p, at, old_element, new_element, count);
}

/* A pointer to a data member holds an offset, which an edit of the class may have changed. */
static bool leads_to_member(const graph_node *node)
{
    return node->kind == NODE_NUMBER && node->target;
}

static void pair_member_pointers(pairing *p, const part *at)
{
    const graph_node *a = old_at(p->build, at->old_node), *b = new_at(p->build, at->new_node);
    const type_layout *was = leads_to_member(a) ? old_at(p->build, a->target)->layout : NULL;
    const type_layout *is = leads_to_member(b) ? new_at(p->build, b->target)->layout : NULL;
    if (!was || !is || was->hash != is->hash) {
        refuse_types(p, at->new_member, at->old_node, at->new_node,
                     "the class that it leads into changed, and it holds an offset");
        p->differs = true;
    }
    add_bytes(p, at->old_offset, at->new_offset, a->size_bytes);
}

static void pair_part(pairing *p, const part *at)
{
    const graph_node *a = old_at(p->build, at->old_node), *b = new_at(p->build, at->new_node);
    bool bits = (at->old_member && at->old_member->width_bits) ||
                (at->new_member && at->new_member->width_bits);
    if (is_number(a) && is_number(b)) {
        pair_numbers(p, at);
    } else if (a->kind == NODE_POINTER && b->kind == NODE_POINTER) {
        pair_pointers(p, at);
    } else if (bits) {
        refuse_types(p, at->new_member, at->old_node, at->new_node, "");
        p->differs = true;
    } else if (a->kind == NODE_ARRAY || b->kind == NODE_ARRAY) {
        pair_arrays(p, at);
    } else if (a->kind == b->kind && (a->kind == NODE_STRUCT || a->kind == NODE_UNION)) {
        pair_whole(p, at, at->old_node, at->new_node, 1);
    } else if (leads_to_member(a) && leads_to_member(b) && a->size_bytes == b->size_bytes) {
        pair_member_pointers(p, at);
    } else if (a->kind == b->kind && a->size_bytes == b->size_bytes &&
               strcmp(a->name, b->name) == 0) {
        add_bytes(p, at->old_offset, at->new_offset, a->size_bytes);
    } else {
        refuse_types(p, at->new_member, at->old_node, at->new_node, "");
        p->differs = true;
    }
}

/* ---- structs ---- */

static const graph_member *member_named(const graph_node *node, const char *name)
{
    for (uint32_t i = 0; name && i < node->member_count; i++) {
        if (strcmp(node->members[i].name, name) == 0) {
            return &node->members[i];
        }
    }
    return NULL;
}

/* A hint counts while the old build has the old name. */
static const graph_member *counterpart(const graph_node *old_struct, const graph_member *member)
{
    for (int i = 0; i < GRAPH_WAS_MOST && member->was[i]; i++) {
        const graph_member *was = member_named(old_struct, member->was[i]);
        if (was) {
            return was;
        }
    }
    return member_named(old_struct, member->name);
}

static bool is_open(const types_build *build, bool old, const graph_member *member)
{
    const graph_node *node = old ? old_at(build, member->node) : new_at(build, member->node);
    return node->kind == NODE_ARRAY && node->count == 0;
}

static void pair_tails(pairing *p, const graph_member *was, const graph_member *is)
{
    uint32_t old_element = old_at(p->build, was->node)->target;
    uint32_t new_element = new_at(p->build, is->node)->target;
    p->made.old_tail_offset = was->offset_bits / 8;
    p->made.new_tail_offset = is->offset_bits / 8;
    p->made.tail_type = rp_types_type(p->build, old_element);
    p->made.tail_conversion = convert(p->build, old_element, new_element, is->name, p->depth + 1);
    if (p->made.tail_conversion) {
        refuse_part(p, is, p->made.tail_conversion);
        p->differs = true;
    }
}

static void pair_member(pairing *p, const graph_member *was, const graph_member *is,
                        const char *name)
{
    part at = {was, is, was->node, is->node, was->offset_bits / 8, is->offset_bits / 8, name};
    p->differs |= was->offset_bits != is->offset_bits || was->width_bits != is->width_bits;
    p->differs |= was->apart != is->apart;
    if (was->table || is->table) {
        if (was->table && is->table) {
            add_bytes(p, at.old_offset, at.new_offset, sizeof(void *));
        }
    } else if (is_open(p->build, true, was) || is_open(p->build, false, is)) {
        if (is_open(p->build, true, was) && is_open(p->build, false, is)) {
            pair_tails(p, was, is);
        } else {
            refuse_types(p, is, was->node, is->node, "");
            p->differs = true;
        }
    } else {
        pair_part(p, &at);
    }
}

/* The virtual base of a struct, or of one that it is made of; null: none. `steps` bounds the
 * search, as bases may form circles in a damaged file. */
static const graph_member *virtual_base(const type_graph *graph, uint32_t node, uint32_t *steps)
{
    const graph_node *at = rp_graph_node(graph, node);
    for (uint32_t i = 0; i < at->member_count && at->kind == NODE_STRUCT && *steps; i++) {
        const graph_member *member = &at->members[i], *found = NULL;
        if (member->apart) {
            return member;
        }
        if (member->base) {
            --*steps;
            found = virtual_base(graph, member->node, steps);
        }
        if (found) {
            return found;
        }
    }
    return NULL;
}

/* Its place in an object is told by the virtual table of the object's class, which is not read. */
static void refuse_virtual_base(pairing *p)
{
    uint32_t steps = BASES_MOST;
    const graph_member *base = virtual_base(&p->build->old_graph, p->old_node, &steps);
    base = base ? base : virtual_base(&p->build->new_graph, p->new_node, &steps);
    if (base && !*p->refusal) {
        rp_text_buffer text = rp_text_buffer_over(p->refusal, sizeof p->refusal);
        rp_text_add(&text, "virtual base '%.80s'", base->name);
        add_place(p, NULL, &text);
        rp_text_add(&text, ": objects with a virtual base are not converted");
    }
}

/* How many elements a block of a std::deque holds (bits/stl_deque.h, __deque_buf_size). */
static uint64_t deque_block(const type_graph *graph, uint32_t iterator)
{
    enum { BLOCK_BYTES = 512 };
    const graph_member *at = member_named(rp_graph_node(graph, iterator), "_M_cur");
    const graph_node *pointer = at ? rp_graph_node(graph, at->node) : NULL;
    uint64_t size = pointer && pointer->kind == NODE_POINTER
                        ? rp_graph_node(graph, pointer->target)->size_bytes
                        : 0;
    return size && size < BLOCK_BYTES ? BLOCK_BYTES / size : 1;
}

/* Its blocks are of one size in bytes, so that objects of another size would have to be dealt out
 * anew; the blocks are found by the iterators that it is made of. */
static void refuse_deque(pairing *p)
{
    static const char iterator[] = "std::_Deque_iterator<";
    uint64_t was, is;
    if (strncmp(old_at(p->build, p->old_node)->name, iterator, sizeof iterator - 1) != 0) {
        return;
    }
    was = deque_block(&p->build->old_graph, p->old_node);
    is = deque_block(&p->build->new_graph, p->new_node);
    if (was != is && !*p->refusal) {
        rp_text_buffer text = rp_text_buffer_over(p->refusal, sizeof p->refusal);
        rp_text_add(&text,
                    "a std::deque holds %llu of its elements in a block, and held %llu: its blocks "
                    "are not dealt out anew",
                    (unsigned long long)is, (unsigned long long)was);
        p->differs = true;
    }
}

static void pair_structs(pairing *p)
{
    graph_node a = *old_at(p->build, p->old_node), b = *new_at(p->build, p->new_node);
    uint32_t matched = 0;
    for (uint32_t i = 0; i < b.member_count; i++) {
        const graph_member *is = &b.members[i], *was = counterpart(&a, is);
        char storage[200];
        rp_text_buffer name = rp_text_buffer_over(storage, sizeof storage);
        rp_text_add(&name, "%.100s.%.80s", b.name, is->name);
        if (was) {
            matched++;
            p->differs |= was != &a.members[i];
            pair_member(p, was, is, storage);
        } else {
            p->differs = true;
        }
    }
    p->differs |= matched != a.member_count;
    refuse_deque(p);
    if (p->differs || a.size_bytes != b.size_bytes) {
        refuse_virtual_base(p);
    }
}

/* A union's bytes are kept where each of its members is still what it was: nothing tells which one
 * counts. */
static void pair_unions(pairing *p)
{
    graph_node a = *old_at(p->build, p->old_node), b = *new_at(p->build, p->new_node);
    for (uint32_t i = 0; i < a.member_count; i++) {
        const graph_member *was = &a.members[i], *is = NULL;
        for (uint32_t k = 0; k < b.member_count; k++) {
            if (counterpart(&a, &b.members[k]) == was) {
                is = &b.members[k];
            }
        }
        bool alike = is && is->offset_bits == was->offset_bits &&
                     is->width_bits == was->width_bits &&
                     convert(p->build, was->node, is->node, was->name, p->depth + 1) == 0;
        if (!alike && !*p->refusal) {
            rp_text_buffer text = rp_text_buffer_over(p->refusal, sizeof p->refusal);
            rp_text_add(&text, "union member '%.80s'", was->name);
            add_place(p, is, &text);
            rp_text_add(&text, " changed, and nothing tells which member is in use");
            p->differs = true;
        }
    }
    uint64_t count = a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes;
    p->differs |= a.size_bytes != b.size_bytes;
    if (a.size_bytes > b.size_bytes && !*p->refusal) {
        refuse_types(p, NULL, p->old_node, p->new_node, "the union became smaller");
    }
    if (count == a.size_bytes) {
        add_op(p, (rp_plan_op){.kind = RP_OP_COPY,
                               .count = 1,
                               .type = rp_types_type(p->build, p->old_node)});
    }
}

/* ---- making one ---- */

static uint64_t cost_of(const pairing *p)
{
    uint64_t cost = 1;
    const rp_plan_op *ops = p->ops.items;
    for (uint32_t i = 0; i < p->ops.count; i++) {
        uint64_t each = 1, all;
        if (ops[i].kind == RP_OP_CONVERT) {
            each += types_conversion(p->build, ops[i].conversion)->cost;
        }
        bool fits =
            !__builtin_mul_overflow(each, ops[i].kind == RP_OP_CONVERT ? ops[i].count : 1, &all) &&
            !__builtin_add_overflow(cost, all + ops[i].constant_count, &cost);
        if (!fits) {
            return UINT64_MAX;
        }
    }
    if (p->made.tail_conversion) {
        cost += types_conversion(p->build, p->made.tail_conversion)->cost;
    }
    return cost;
}

static void name_conversion(pairing *p, rp_plan_conversion *made)
{
    char storage[160];
    rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
    type_text(p, true, p->old_node, &text);
    made->name = rp_types_name(p->build, storage);
    text = rp_text_buffer_over(storage, sizeof storage);
    rp_graph_place(&p->build->new_graph, p->new_node, NULL, &text);
    made->place = rp_types_name(p->build, storage);
}

static uint32_t emit(pairing *p)
{
    types_build *build = p->build;
    rp_plan_conversion made = p->made;
    made.cost = cost_of(p);
    if (made.cost > rp_plan_cost_limit(made.new_bytes + made.old_bytes) && !*p->refusal) {
        rp_text_buffer text = rp_text_buffer_over(p->refusal, sizeof p->refusal);
        rp_text_add(&text, "it has too many parts");
    }
    if (!made.old_bytes && !*p->refusal) {
        refuse_types(p, NULL, p->old_node, p->new_node, "it was empty");
    }
    made.refusal = *p->refusal ? rp_types_name(build, p->refusal) : 0;
    if (made.refusal) {
        p->ops.count = 0;
        made.tail_conversion = 0;
        made.cost = 1;
    }
    made.first_op = build->ops.count;
    made.op_count = p->ops.count;
    rp_plan_op *ops = rp_types_push(build, &build->ops, p->ops.count, sizeof *ops);
    if (ops && p->ops.count) {
        memcpy(ops, p->ops.items, p->ops.count * sizeof *ops);
    }
    name_conversion(p, &made);
    uint32_t index = build->conversions.count;
    rp_plan_conversion *added = rp_types_push(build, &build->conversions, 1, sizeof made);
    if (added) {
        *added = made;
    }
    return added ? index : 0;
}

static void remember_partner(types_build *build, uint32_t old_node, uint32_t new_node)
{
    node_kind kind = old_at(build, old_node)->kind;
    if (kind == NODE_STRUCT || kind == NODE_UNION || kind == NODE_ENUM) {
        uint32_t *partner = rp_types_partner_of(build, old_node);
        if (partner) {
            *partner = *partner ? *partner : new_node;
        }
    }
}

static uint32_t make_conversion(types_build *build, uint32_t old_node, uint32_t new_node,
                                const char *name, int depth)
{
    graph_node a = *old_at(build, old_node), b = *new_at(build, new_node);
    pairing p = {.build = build,
                 .old_node = old_node,
                 .new_node = new_node,
                 .depth = depth,
                 .made = {.old_bytes = a.size_bytes,
                          .new_bytes = b.size_bytes,
                          .new_tail_offset = RP_TYPE_NO_TAIL,
                          .old_tail_offset = RP_TYPE_NO_TAIL}};
    if (a.kind == NODE_STRUCT && b.kind == NODE_STRUCT) {
        pair_structs(&p);
    } else if (a.kind == NODE_UNION && b.kind == NODE_UNION) {
        pair_unions(&p);
    } else {
        part at = {.old_node = old_node, .new_node = new_node, .name = name};
        pair_part(&p, &at);
    }
    bool differs = p.differs || *p.refusal || a.size_bytes != b.size_bytes;
    return differs ? emit(&p) : 0;
}

static uint32_t convert(types_build *build, uint32_t old_node, uint32_t new_node, const char *name,
                        int depth)
{
    uint64_t key = ((uint64_t)old_node << 32) | new_node;
    types_pair *pair = pair_get(build, key);
    if (!pair || pair->state == PAIR_MADE) {
        return pair ? pair->conversion : 0;
    }
    if (pair->state == PAIR_MAKING || depth > PAIR_DEPTH_MOST) {
        build->status = rp_fail(RP_E_FORMAT,
                                "%s: its debug information is damaged: %.80s holds itself, or too "
                                "much in itself: build it again",
                                build->old_graph.elf->path, name);
        return 0;
    }
    pair->state = PAIR_MAKING;
    remember_partner(build, old_node, new_node);
    uint32_t made = make_conversion(build, old_node, new_node, name, depth);
    pair = pair_get(build, key); /* the table may have grown */
    if (pair) {
        pair->state = PAIR_MADE;
        pair->conversion = made;
    }
    return made;
}

uint32_t rp_types_convert(types_build *build, uint32_t old_node, uint32_t new_node,
                          const char *name)
{
    return convert(build, old_node, new_node, name, 0);
}
