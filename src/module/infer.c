/* Following claims through the heap. Layer: module. */
#include "module/infer.h"

#include "base/error.h"
#include "base/text.h"
#include "trace/trace.h"

#include <string.h>

/* A claim is a slot, or, with this bit, a variable. */
enum { CLAIM_ROOT = 1 << (BLOCK_CLAIM_BITS - 1), CLAIM_MOST = CLAIM_ROOT - 1 };

static block_mark *mark_of(const infer *in, uint32_t block)
{
    return &in->index->marks[block];
}

static const rp_plan_type *type_at(const infer *in, uint32_t type)
{
    return rp_plan_type_at(in->plan, type);
}

bool rp_infer_fits(const rp_plan_type *type, uint64_t size_bytes)
{
    if (!type->size_bytes || type->size_bytes > size_bytes) {
        return false;
    }
    return type->tail_offset != RP_TYPE_NO_TAIL ||
           size_bytes % type->size_bytes <= rp_blocks_slack(size_bytes);
}

/* Whether objects of `heir` begin with one of `base`. */
static bool begins_with(const infer *in, uint32_t heir, uint32_t base)
{
    const rp_plan_type *of = type_at(in, base);
    const uint32_t *heirs = rp_plan_part(in->plan, in->plan->heirs_offset);
    for (uint32_t i = 0; i < of->heir_count; i++) {
        if (heirs[of->first_heir + i] == heir) {
            return true;
        }
    }
    return false;
}

/* ---- the queue ---- */

static void enqueue(infer *in, uint32_t block)
{
    if (!(mark_of(in, block)->flags & BLOCK_QUEUED)) {
        mark_of(in, block)->flags |= BLOCK_QUEUED;
        uint32_t end = in->queue_first + in->queue_count++;
        in->queue[end < in->index->count ? end : end - in->index->count] = block;
        __builtin_prefetch(&in->index->places[block]);
    }
}

static void note_doubt(infer *in, uint32_t block, uint32_t flag)
{
    if (!(mark_of(in, block)->flags & (BLOCK_DOUBT | BLOCK_DISAGREE | BLOCK_TOUCHED))) {
        if (in->doubt_count == in->doubt_capacity) {
            uint32_t capacity = in->doubt_capacity ? in->doubt_capacity * 2 : 1024;
            uint32_t *grown = rp_arena_take(&in->index->arena, capacity, sizeof *grown);
            if (!grown) {
                in->status = in->index->arena.failure;
                return;
            }
            if (in->doubt_count) {
                memcpy(grown, in->doubts, in->doubt_count * sizeof *grown);
            }
            in->doubts = grown;
            in->doubt_capacity = capacity;
        }
        in->doubts[in->doubt_count++] = block;
    }
    mark_of(in, block)->flags |= flag & 0xff;
}

/* ---- claims ---- */

static void set_type(infer *in, uint32_t block, uint32_t type, uint32_t claim, bool sure)
{
    mark_of(in, block)->type = type;
    mark_of(in, block)->claim = claim & ((1u << BLOCK_CLAIM_BITS) - 1);
    mark_of(in, block)->flags &= (uint8_t) ~(BLOCK_DOUBT | BLOCK_SURE);
    mark_of(in, block)->flags |= sure ? BLOCK_SURE : 0;
    enqueue(in, block);
}

static void note_origin(infer *in, uint32_t block)
{
    if (in->origins) {
        in->origins[block] = in->from;
    }
}

static uint32_t origin_here(const infer *in)
{
    return in->root ? INFER_FROM_ROOT | in->root : in->holder;
}

static void claim_type(infer *in, uint32_t block, uint32_t type, uint32_t claim, bool sure)
{
    set_type(in, block, type, claim, sure);
    note_origin(in, block);
}

/* The class of an object by the pointer to its virtual table; 0: it has none that we know. */
static uint32_t class_of(const infer *in, uint32_t block)
{
    const rp_plan_table *tables = rp_plan_part(in->plan, in->plan->tables_offset);
    uint64_t word;
    if (in->index->places[block].size_bytes < sizeof word) {
        return 0;
    }
    memcpy(&word, (const void *)(uintptr_t)in->index->places[block].start, sizeof word);
    uint32_t low = 0, high = in->plan->table_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tables[middle].old_address <= word) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool inside = low && word - tables[low - 1].old_address < tables[low - 1].size_bytes;
    return inside ? tables[low - 1].type : 0;
}

static void disagree(infer *in, uint32_t block, uint32_t type, uint32_t claim)
{
    if (in->conflict_count < INFER_CONFLICTS_MOST &&
        !(mark_of(in, block)->flags & BLOCK_DISAGREE)) {
        in->conflicts[in->conflict_count++] = (infer_conflict){block, type, claim};
    }
    note_doubt(in, block, BLOCK_DISAGREE);
}

static void touch(infer *in, uint32_t block, uint32_t claim, uint32_t flags)
{
    if (mark_of(in, block)->type || mark_of(in, block)->flags & BLOCK_TOUCHED) {
        return;
    }
    mark_of(in, block)->claim = claim & ((1u << BLOCK_CLAIM_BITS) - 1);
    note_origin(in, block);
    note_doubt(in, block, BLOCK_TOUCHED | flags | (in->foreign ? BLOCK_FOREIGN : 0u));
}

/* A struct may begin with the number or pointer that another claim speaks of. */
static bool is_part(const rp_plan_type *part, const rp_plan_type *whole)
{
    return part->flags & RP_TYPE_SCALAR && part->size_bytes <= whole->size_bytes;
}

static void claim_start(infer *in, uint32_t block, uint32_t type, uint32_t claim)
{
    const rp_plan_type *is = type_at(in, type), *was = type_at(in, mark_of(in, block)->type);
    if (mark_of(in, block)->flags & BLOCK_SURE) {
        return;
    }
    uint32_t exact = is->flags & RP_TYPE_VIRTUAL ? class_of(in, block) : 0;
    if (exact && (exact == type || begins_with(in, exact, type))) {
        claim_type(in, block, exact, claim, true);
    } else if (!mark_of(in, block)->type ||
               (was->flags & RP_TYPE_CHARACTER && !(is->flags & RP_TYPE_CHARACTER))) {
        claim_type(in, block, type, claim, false);
    } else if (is->flags & RP_TYPE_CHARACTER || begins_with(in, mark_of(in, block)->type, type)) {
        return; /* what is known already says more */
    } else if (begins_with(in, type, mark_of(in, block)->type)) {
        claim_type(in, block, type, claim, false);
    } else if (is->flags & RP_TYPE_SCALAR && is_part(is, was)) {
        if (was->flags & RP_TYPE_SCALAR && is->slot_count && !was->slot_count) {
            claim_type(in, block, type, claim, false); /* pointers rather than numbers */
        }
    } else if (was->flags & RP_TYPE_SCALAR && is_part(was, is)) {
        claim_type(in, block, type, claim, false);
    } else {
        disagree(in, block, type, claim);
    }
}

static void settle(infer *in, const infer_pending *p)
{
    block_mark *mark = mark_of(in, p->block);
    in->from = p->origin;
    if (type_at(in, p->type)->flags & RP_TYPE_UNKNOWN) {
        touch(in, p->block, p->claim, p->start ? 0 : BLOCK_INSIDE);
    } else if (p->within) {
        if (mark->type != p->type || !(mark->flags & BLOCK_SURE)) {
            claim_type(in, p->block, p->type, p->claim, true);
        }
    } else if (!p->start) {
        touch(in, p->block, p->claim, BLOCK_INSIDE);
    } else if (mark->type != p->type) {
        claim_start(in, p->block, p->type, p->claim);
    }
}

static void settle_oldest(infer *in)
{
    infer_pending oldest = in->pending[in->pending_first];
    in->pending_first = (in->pending_first + 1) % INFER_AHEAD;
    in->pending_count--;
    settle(in, &oldest);
}

/* Pointers lead anywhere, so what is known of their block comes from memory while others are read.
 */
static void claim_at(infer *in, uint64_t value, uint32_t type, uint32_t claim, bool within)
{
    uint64_t start;
    uint32_t block = rp_blocks_find(in->index, value, &start);
    if (block == BLOCK_NONE) {
        return;
    }
    __builtin_prefetch(mark_of(in, block), 1);
    if (in->pending_count == INFER_AHEAD) {
        settle_oldest(in);
    }
    in->pending[(in->pending_first + in->pending_count++) % INFER_AHEAD] =
        (infer_pending){block, type, claim, origin_here(in), value == start, within};
}

/* ---- walking ---- */

static void walk_words(infer *in, const uint8_t *at, uint64_t bytes, uint32_t claim)
{
    uint64_t low = in->index->low, span = in->index->high - low;
    size_t skip = (size_t)(-(uintptr_t)at & 7);
    for (uint64_t i = skip; i + 8 <= bytes; i += 8) {
        uint64_t value;
        memcpy(&value, at + i, sizeof value);
        uint64_t start;
        uint32_t block =
            value - low <= span ? rp_blocks_find(in->index, value, &start) : BLOCK_NONE;
        if (block != BLOCK_NONE) {
            in->from = origin_here(in);
            touch(in, block, claim, value == start ? 0 : BLOCK_INSIDE);
        }
    }
}

static uint32_t claim_of(const infer *in, const rp_plan_slot *slot)
{
    uint64_t number = (uint64_t)(slot - rp_plan_slot_at(in->plan, 0)) + 1;
    if (!slot->name && in->root && in->root < CLAIM_MOST) {
        return CLAIM_ROOT | in->root;
    }
    return number < CLAIM_MOST ? (uint32_t)number : 0;
}

static void walk_objects(infer *in, uint32_t type, const uint8_t *at, uint64_t count);

static void walk_slot(infer *in, const rp_plan_slot *slot, const uint8_t *at)
{
    uint64_t low = in->index->low, span = in->index->high - low, value;
    uint32_t claim = claim_of(in, slot);
    switch (slot->kind) {
    case RP_SLOT_POINTER:
    case RP_SLOT_WITHIN:
        for (uint64_t i = 0; i < slot->count; i++) {
            memcpy(&value, at + i * sizeof value, sizeof value);
            if (value - low <= span) {
                claim_at(in, value, slot->type, claim, slot->kind == RP_SLOT_WITHIN);
            }
        }
        break;
    case RP_SLOT_TYPE:
        walk_objects(in, slot->type, at, slot->count);
        break;
    case RP_SLOT_UNTYPED:
        walk_words(in, at, slot->count * sizeof value, claim);
        break;
    default:
        walk_words(in, at, slot->count, claim);
        break;
    }
}

static void walk_objects(infer *in, uint32_t type, const uint8_t *at, uint64_t count)
{
    const rp_plan_type *of = type_at(in, type);
    const rp_plan_slot *slots = rp_plan_slot_at(in->plan, of->first_slot);
    for (uint64_t i = 0; i < count && of->slot_count; i++) {
        for (uint32_t k = 0; k < of->slot_count; k++) {
            walk_slot(in, &slots[k], at + slots[k].offset);
        }
        at += of->size_bytes;
    }
}

uint32_t rp_infer_rivals(const infer *in, uint32_t block, uint32_t *other)
{
    const rp_plan_type *of = type_at(in, mark_of(in, block)->type);
    const uint32_t *heirs = rp_plan_part(in->plan, in->plan->heirs_offset);
    uint32_t count = 0;
    for (uint32_t i = 0; i < of->heir_count; i++) {
        uint32_t heir = heirs[of->first_heir + i];
        if (rp_infer_fits(type_at(in, heir), in->index->places[block].size_bytes)) {
            *other = heir;
            count++;
        }
    }
    return count;
}

static void walk_block(infer *in, uint32_t block)
{
    const rp_plan_type *of = type_at(in, mark_of(in, block)->type);
    const uint8_t *at = (const uint8_t *)(uintptr_t)in->index->places[block].start;
    uint32_t other = 0;
    bool sure = mark_of(in, block)->flags & BLOCK_SURE,
         fits = rp_infer_fits(of, in->index->places[block].size_bytes);
    uint32_t rival_count = sure ? 0 : rp_infer_rivals(in, block, &other);
    if (!fits && rival_count == 1) {
        set_type(in, block, other, mark_of(in, block)->claim, false);
        return;
    }
    if ((!fits && !sure) || rival_count) {
        note_doubt(in, block, BLOCK_DOUBT);
        in->alone |= of->alone != 0;
        walk_objects(in, mark_of(in, block)->type, at,
                     of->size_bytes <= in->index->places[block].size_bytes);
        return;
    }
    if (of->tail_offset == RP_TYPE_NO_TAIL) {
        walk_objects(in, mark_of(in, block)->type, at,
                     in->index->places[block].size_bytes / of->size_bytes);
    } else if (in->index->places[block].size_bytes >= of->size_bytes) {
        uint64_t each = type_at(in, of->tail_type)->size_bytes;
        walk_objects(in, mark_of(in, block)->type, at, 1);
        walk_objects(in, of->tail_type, at + of->tail_offset,
                     each ? (in->index->places[block].size_bytes - of->tail_offset) / each : 0);
    }
}

static uint32_t queued(const infer *in, uint32_t ahead)
{
    uint32_t at = in->queue_first + ahead;
    return in->queue[at < in->index->count ? at : at - in->index->count];
}

static void look_into_next(infer *in)
{
    if (in->queue_count > INFER_AHEAD) {
        uint64_t soon = in->index->places[queued(in, INFER_AHEAD)].start;
        __builtin_prefetch((const void *)(uintptr_t)soon);
    }
    uint32_t block = queued(in, 0);
    in->queue_first = in->queue_first + 1 < in->index->count ? in->queue_first + 1 : 0;
    in->queue_count--;
    mark_of(in, block)->flags &= (uint8_t)~BLOCK_QUEUED;
    in->root = 0;
    in->holder = block + 1;
    walk_block(in, block);
}

static void follow(infer *in)
{
    while ((in->queue_count || in->pending_count) && in->status == RP_OK) {
        if (in->queue_count) {
            look_into_next(in);
        } else {
            settle_oldest(in);
        }
    }
}

/* Blocks to which only pointers of a container lead are its nodes: the container itself, which such
 * pointers may lead to as well, would have been claimed by now. No block is settled twice but by a
 * damaged plan, whose types may take turns for ever. */
static void settle_alone(infer *in)
{
    in->alone = false;
    for (uint32_t i = 0; i < in->doubt_count; i++) {
        uint32_t block = in->doubts[i];
        const block_mark *mark = mark_of(in, block);
        uint32_t alone = type_at(in, mark->type)->alone;
        bool untyped = (mark->flags & (BLOCK_TOUCHED | BLOCK_INSIDE)) == BLOCK_TOUCHED;
        if (alone && mark->flags & BLOCK_DOUBT && !(mark->flags & BLOCK_DISAGREE) && !untyped &&
            in->alone_count < in->index->count &&
            rp_infer_fits(type_at(in, alone), in->index->places[block].size_bytes)) {
            in->alone_count++;
            set_type(in, block, alone, mark->claim, false);
        }
    }
}

void rp_infer_run(infer *in)
{
    follow(in);
    while (in->alone && in->status == RP_OK) {
        settle_alone(in);
        follow(in);
    }
}

/* Behind what is in doubt every word may be a pointer. The list grows while it is walked. */
void rp_infer_run_doubts(infer *in)
{
    in->root = 0;
    for (uint32_t i = 0; i < in->doubt_count && in->status == RP_OK; i++) {
        uint32_t block = in->doubts[i];
        bool settled = mark_of(in, block)->type &&
                       !(mark_of(in, block)->flags & (BLOCK_DOUBT | BLOCK_DISAGREE));
        if (!settled) {
            bool before = in->foreign;
            in->foreign = mark_of(in, block)->flags & BLOCK_FOREIGN;
            in->holder = block + 1;
            walk_words(in, (const uint8_t *)(uintptr_t)in->index->places[block].start,
                       in->index->places[block].size_bytes, mark_of(in, block)->claim);
            in->foreign = before;
        }
    }
    in->doubt_count = 0;
}

/* ---- beginning ---- */

void rp_infer_variable(infer *in, uint32_t number, const uint8_t *value)
{
    const rp_plan_copy *copy = &rp_plan_copies(in->plan)[number];
    in->root = number + 1;
    in->holder = 0;
    if (copy->type && type_at(in, copy->type)->size_bytes == copy->size_bytes) {
        walk_objects(in, copy->type, value, 1);
    } else if (!copy->type) {
        walk_words(in, value, copy->size_bytes, CLAIM_ROOT | (in->root & CLAIM_MOST));
    }
}

void rp_infer_foreign(infer *in, const void *start, size_t size_bytes)
{
    in->foreign = true;
    in->root = in->holder = 0;
    walk_words(in, start, size_bytes, 0);
    in->foreign = false;
}

rp_status rp_infer_all(infer *in, const uint8_t *const *values, const rp_carry_span *foreign,
                       size_t foreign_count)
{
    for (uint32_t i = 0; i < in->plan->copy_count; i++) {
        rp_infer_variable(in, i, values[i]);
    }
    rp_infer_run(in);
    rp_infer_run_doubts(in);
    for (size_t i = 0; i < foreign_count; i++) {
        rp_infer_foreign(in, foreign[i].start, foreign[i].size_bytes);
    }
    rp_infer_run_doubts(in);
    return in->status;
}

/* ---- what is said ---- */

const char *rp_infer_site(uint64_t block)
{
    rp_trace_block traced;
    const void *start = (const void *)(uintptr_t)block;
    if (!rp_trace_find(start, &traced) || traced.start != start || !traced.live) {
        return "";
    }
    return rp_trace_site_text(RP_ZONE_WORLD, traced.record->site);
}

typedef struct said {
    infer *in;
    uint32_t last_site, last_type;
} said;

bool rp_infer_names_type(const char *site, const char *name)
{
    static const char *const words[] = {"struct ", "union ", "enum ", "class "};
    const char *given = strchr(site, ' ');
    given = given ? given + 1 : "";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        name += strncmp(name, words[i], length) == 0 ? length : 0;
        given += strncmp(given, words[i], length) == 0 ? length : 0;
    }
    return *given && strcmp(given, name) == 0;
}

static bool same_place(const char *site, const char *answer)
{
    size_t length = strcspn(site, " ");
    const char *slash = memrchr(site, '/', length);
    const char *tail = slash ? slash + 1 : site;
    return strlen(answer) == length - (size_t)(tail - site) &&
           strncmp(tail, answer, strlen(answer)) == 0;
}

static uint32_t type_of_site(const infer *in, const char *site)
{
    const rp_plan_site *sites = rp_plan_part(in->plan, in->plan->sites_offset);
    for (uint32_t i = 0; i < in->plan->site_count; i++) {
        if (same_place(site, rp_plan_name(in->plan, sites[i].name))) {
            return sites[i].type;
        }
    }
    for (uint32_t i = 1; i < in->plan->type_count; i++) {
        if (rp_infer_names_type(site, rp_plan_name(in->plan, type_at(in, i)->name))) {
            return type_at(in, i)->flags & RP_TYPE_UNKNOWN ? 0 : i;
        }
    }
    return 0;
}

static int take_said(const rp_trace_block *traced, void *context)
{
    said *s = context;
    if (!traced->live || !traced->record->site) {
        return 0;
    }
    if (traced->record->site != s->last_site) {
        s->last_site = traced->record->site;
        s->last_type = type_of_site(s->in, rp_trace_site_text(RP_ZONE_WORLD, traced->record->site));
    }
    uint64_t start;
    uint32_t block = rp_blocks_find(s->in->index, (uint64_t)(uintptr_t)traced->start, &start);
    if (s->last_type && block != BLOCK_NONE && start == (uint64_t)(uintptr_t)traced->start) {
        set_type(s->in, block, s->last_type, 0, true);
    }
    return 0;
}

rp_status rp_infer_values(const rp_plan *plan, block_index *index, rp_carry_read_fn *read,
                          void *context, const uint8_t ***values)
{
    const rp_plan_copy *copies = rp_plan_copies(plan);
    *values = rp_arena_take(&index->arena, plan->copy_count + 1, sizeof **values);
    for (uint32_t i = 0; *values && i < plan->copy_count; i++) {
        const rp_plan_copy *copy = &copies[i];
        uint8_t *value = rp_arena_take(&index->arena, 1, copy->size_bytes + 1);
        if (!value) {
            return index->arena.failure;
        }
        if (!read(context, copy->old_address, value, (size_t)copy->size_bytes)) {
            return rp_fail(RP_E_NOT_FOUND,
                           "variable '%s': its value in build %u is not in the saved state: it "
                           "cannot be carried over: restart the program",
                           rp_plan_name(plan, copy->name), plan->old_build);
        }
        (*values)[i] = value;
    }
    return *values ? RP_OK : index->arena.failure;
}

rp_status rp_infer_begin(infer *in, const rp_plan *plan, block_index *index)
{
    *in = (infer){.plan = plan, .index = index};
    in->queue = rp_arena_take(&index->arena, (size_t)index->count + 1, sizeof *in->queue);
    if (!in->queue) {
        return index->arena.failure;
    }
    if (index->count) {
        said s = {.in = in};
        rp_trace_walk(RP_ZONE_WORLD, NULL, take_said, &s);
    }
    return in->status;
}

void rp_infer_claim_text(const infer *in, uint32_t claim, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    if (claim & CLAIM_ROOT) {
        uint32_t number = (claim & CLAIM_MOST) - 1;
        if (number < in->plan->copy_count) {
            const rp_plan_copy *copy = &rp_plan_copies(in->plan)[number];
            rp_text_add(&buffer, "%s", rp_plan_name(in->plan, copy->name));
        }
    } else if (claim) {
        const rp_plan_slot *slot = rp_plan_slot_at(in->plan, claim - 1);
        rp_text_add(&buffer, "%s",
                    slot->name ? rp_plan_name(in->plan, slot->name) : "a pointer in a table");
    }
}
