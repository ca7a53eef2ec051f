/* Bringing a world with changed types to another build: look, decide, then act. Layer: module.
 *
 * Until all is decided nothing of the world is written. Then every new place is known before the
 * first pointer is moved, and each pointer is read once, as the old build left it. */
#include "alloc/allocator.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "module/convert.h"
#include "module/infer.h"
#include "trace/trace.h"

#include <reprise/memory.h>

#include <string.h>

typedef struct migration {
    const rp_plan *plan;
    block_index index;
    infer in;
    rp_convert convert;
    const rp_carry_span *foreign;
    size_t foreign_count;
    const uint8_t **values; /* of the variables, as the old build had them; null: none */
    void *tls_block;
    uint64_t least_changed; /* size of the smallest changed type; 0: none */
    rp_migration *report;
    rp_refusal *refusal;
    rp_refusal own_refusal;
    uint64_t owned_unit; /* of the block whose owner was asked for last: a unit has one */
    rp_allocator *owner;
    bool owner_traces;
    uint32_t sized_type; /* of the block that was measured last, its size, and what came of it: */
    uint64_t sized_bytes, sized_needed; /* most blocks are as the one before */
    bool sized_fits;
    uint64_t cleared_needed; /* of the new block that was cleared last, and its size */
    size_t cleared_bytes;
    const rp_allocator *cleared_owner;
    uint8_t *scratch; /* a copy of a block that is converted in its place */
    size_t scratch_bytes;
} migration;

static block_mark *mark_of(const migration *m, uint32_t block)
{
    return &m->index.marks[block];
}

static const block_place *place_of(const migration *m, uint32_t block)
{
    return &m->index.places[block];
}

static const rp_plan_type *type_at(const migration *m, uint32_t type)
{
    return rp_plan_type_at(m->plan, type);
}

static void *bytes_at(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

/* ---- looking ---- */

static rp_status has_thread_data(const migration *m)
{
    const rp_plan_copy *copies = rp_plan_copies(m->plan);
    for (uint32_t i = 0; i < m->plan->copy_count; i++) {
        if (copies[i].thread && !m->tls_block) {
            return rp_fail(RP_E_MODULE,
                           "variable '%s': build %u has no thread-local data: it was not loaded as "
                           "planned: build the module again",
                           rp_plan_name(m->plan, copies[i].name), m->plan->new_build);
        }
    }
    return RP_OK;
}

static rp_status look(migration *m)
{
    rp_status status = rp_infer_begin(&m->in, m->plan, &m->index);
    return status == RP_OK ? rp_infer_all(&m->in, m->values, m->foreign, m->foreign_count) : status;
}

/* ---- deciding ---- */

static void find_least(migration *m)
{
    for (uint32_t i = 1; i < m->plan->type_count; i++) {
        const rp_plan_type *type = type_at(m, i);
        bool counts = type->conversion && !(type->flags & RP_TYPE_SCALAR);
        if (counts && (!m->least_changed || type->size_bytes < m->least_changed)) {
            m->least_changed = type->size_bytes;
        }
    }
}

/* Notes what is refused first, and how often the same is met. */
static void refuse(migration *m, rp_refusal_kind kind, uint32_t block, const char *what,
                   const char *type, const char *place, const char *why)
{
    rp_refusal *refusal = m->refusal;
    if (refusal->kind) {
        bool led_alike = kind != RP_REFUSAL_DOUBT || strcmp(refusal->what, what) == 0;
        bool same =
            refusal->kind == (uint32_t)kind && led_alike && strcmp(refusal->type, type) == 0;
        refusal->count += same;
        return;
    }
    *refusal = (rp_refusal){.kind = kind,
                            .count = 1,
                            .address = place_of(m, block)->start,
                            .size_bytes = place_of(m, block)->size_bytes};
    rp_text_copy(refusal->what, sizeof refusal->what, what);
    rp_text_copy(refusal->type, sizeof refusal->type, type);
    rp_text_copy(refusal->place, sizeof refusal->place, place);
    rp_text_copy(refusal->why, sizeof refusal->why, why);
    rp_text_copy(refusal->site, sizeof refusal->site, rp_infer_site(place_of(m, block)->start));
}

static void refuse_doubt(migration *m, uint32_t block, const rp_plan_type *type, const char *why)
{
    char what[128];
    rp_infer_claim_text(&m->in, mark_of(m, block)->claim, what, sizeof what);
    refuse(m, RP_REFUSAL_DOUBT, block, what, rp_plan_name(m->plan, type->name),
           rp_plan_name(m->plan, type->place), why);
}

/* A type that changed and may be what the block is made of, among its own and those that begin with
 * it; null: none. */
static const rp_plan_type *changed_rival(const migration *m, uint32_t block)
{
    const rp_plan_type *of = type_at(m, mark_of(m, block)->type);
    const uint32_t *heirs = rp_plan_part(m->plan, m->plan->heirs_offset);
    if (of->conversion) {
        return of;
    }
    for (uint32_t i = 0; i < of->heir_count; i++) {
        const rp_plan_type *heir = type_at(m, heirs[of->first_heir + i]);
        if (heir->conversion && rp_infer_fits(heir, place_of(m, block)->size_bytes)) {
            return heir;
        }
    }
    return NULL;
}

static const rp_plan_type *conflicting(const migration *m, uint32_t block)
{
    uint32_t kept = (uint32_t)rp_min_size(m->in.conflict_count, INFER_CONFLICTS_MOST);
    for (uint32_t i = 0; i < kept; i++) {
        if (m->in.conflicts[i].block == block) {
            return type_at(m, m->in.conflicts[i].type);
        }
    }
    return type_at(m, mark_of(m, block)->type);
}

static void judge_disagreement(migration *m, uint32_t block)
{
    const rp_plan_type *is = type_at(m, mark_of(m, block)->type), *also = conflicting(m, block);
    if (!m->least_changed || m->least_changed > place_of(m, block)->size_bytes) {
        return;
    }
    char why[320];
    rp_text_buffer text = rp_text_buffer_over(why, sizeof why);
    rp_text_add(&text, "another pointer says %.90s", rp_plan_name(m->plan, also->name));
    refuse_doubt(m, block, is, why);
}

static void judge_doubt(migration *m, uint32_t block)
{
    const rp_plan_type *rival = changed_rival(m, block), *is = type_at(m, mark_of(m, block)->type);
    char why[320];
    rp_text_buffer text = rp_text_buffer_over(why, sizeof why);
    if (!rival) {
        return;
    }
    if (rival == is) {
        const char *rest = is->heir_count ? "; a type that begins with it may fit, too" : "";
        rp_text_add(&text, "%llu bytes are no multiple of its %llu%s",
                    (unsigned long long)place_of(m, block)->size_bytes,
                    (unsigned long long)is->size_bytes,
                    rp_infer_fits(is, place_of(m, block)->size_bytes) ? "" : rest);
        if (rp_infer_fits(is, place_of(m, block)->size_bytes)) {
            text = rp_text_buffer_over(why, sizeof why);
            rp_text_add(&text, "another type begins with it and fits as well");
        }
    } else {
        rp_text_add(&text, "%.90s begins with it and fits as well",
                    rp_plan_name(m->plan, rival->name));
    }
    refuse_doubt(m, block, is, why);
}

/* Nothing typed leads to it. Whether it holds objects of a changed type cannot be told, if it has
 * room for one. */
static void judge_unknown(migration *m, uint32_t block)
{
    if (mark_of(m, block)->flags & BLOCK_FOREIGN) {
        m->report->blocks_foreign++;
    } else if (m->least_changed && m->least_changed <= place_of(m, block)->size_bytes) {
        bool inside = mark_of(m, block)->flags & BLOCK_INSIDE;
        refuse_doubt(m, block, type_at(m, 0),
                     inside ? "only pointers into its middle lead to it"
                            : "only pointers without a type lead to it");
    }
}

/* Blocks come by rising address, so most are of the unit of the one before. */
static rp_allocator *owner_of(migration *m, uint32_t block)
{
    uint64_t start = place_of(m, block)->start, unit = start >> RP_UNIT_SHIFT;
    if (unit != m->owned_unit) {
        rp_trace_block traced;
        m->owned_unit = unit;
        m->owner = rp_allocator_of(bytes_at(start));
        m->owner_traces = rp_trace_find(bytes_at(start), &traced);
    }
    return m->owner;
}

static bool can_move(migration *m, uint32_t block)
{
    const rp_allocator *owner = owner_of(m, block);
    return owner->kind == KIND_GENERIC || owner->kind == KIND_HEAP;
}

/* What the block's objects need in the new build, 0: too much; and whether the block has it. */
static uint64_t needed_bytes(migration *m, uint32_t block, bool *fits)
{
    uint32_t type = mark_of(m, block)->type;
    uint64_t bytes = place_of(m, block)->size_bytes;
    if (type != m->sized_type || bytes != m->sized_bytes) {
        uint32_t conversion = type_at(m, type)->conversion;
        uint64_t each = rp_plan_conversion_at(m->plan, conversion)->old_bytes;
        uint64_t needed = rp_convert_bytes(m->plan, conversion, bytes);
        m->sized_type = type;
        m->sized_bytes = bytes;
        m->sized_needed = needed;
        m->sized_fits = needed < bytes || needed <= bytes / each * each;
    }
    *fits = m->sized_fits;
    return m->sized_needed;
}

static void refuse_changed(migration *m, rp_refusal_kind kind, uint32_t block, const char *why)
{
    const rp_plan_conversion *how =
        rp_plan_conversion_at(m->plan, type_at(m, mark_of(m, block)->type)->conversion);
    char what[128];
    rp_infer_claim_text(&m->in, mark_of(m, block)->claim, what, sizeof what);
    refuse(m, kind, block, what, rp_plan_name(m->plan, how->name),
           rp_plan_name(m->plan, how->place), why);
}

static void refuse_place(migration *m, uint32_t block)
{
    const rp_allocator *owner = rp_allocator_of(bytes_at(place_of(m, block)->start));
    char why[200];
    rp_text_buffer text = rp_text_buffer_over(why, sizeof why);
    rp_text_add(&text,
                "it grows, and lies in the %s allocator '%.40s', which has no larger block for it",
                rp_allocator_kind_name(owner), rp_allocator_name(owner));
    refuse_changed(m, RP_REFUSAL_PLACE, block, why);
}

static void judge_changed(migration *m, uint32_t block)
{
    uint32_t conversion = type_at(m, mark_of(m, block)->type)->conversion;
    const rp_plan_conversion *how = rp_plan_conversion_at(m->plan, conversion);
    bool fits = true;
    if (how->refusal) {
        refuse_changed(m, RP_REFUSAL_FIELD, block, rp_plan_name(m->plan, how->refusal));
    } else if (!needed_bytes(m, block, &fits)) {
        refuse_changed(m, RP_REFUSAL_PLACE, block, "it would be too large");
    } else if (!fits && !can_move(m, block)) {
        refuse_place(m, block);
    } else {
        mark_of(m, block)->flags |= BLOCK_CHANGED;
    }
}

static void judge(migration *m, uint32_t block)
{
    if (mark_of(m, block)->flags & BLOCK_DISAGREE) {
        judge_disagreement(m, block);
    } else if (mark_of(m, block)->flags & BLOCK_DOUBT) {
        judge_doubt(m, block);
    } else if (!mark_of(m, block)->type) {
        if (mark_of(m, block)->flags & BLOCK_TOUCHED) {
            judge_unknown(m, block);
        }
    } else {
        m->report->blocks_typed++;
        if (type_at(m, mark_of(m, block)->type)->conversion) {
            judge_changed(m, block);
        }
    }
}

static void add_where(const migration *m, rp_text_buffer *text)
{
    const rp_refusal *r = m->refusal;
    if (*r->what) {
        rp_text_add(text, " that %s leads to", r->what);
    }
    if (*r->site) {
        rp_text_add(text, ", allocated at %s", r->site);
    }
}

static rp_status refused(const migration *m)
{
    const rp_refusal *r = m->refusal;
    char storage[400];
    rp_text_buffer where = rp_text_buffer_over(storage, sizeof storage);
    rp_text_add(&where, "%u block%s (%llu bytes)", r->count, r->count == 1 ? "" : "s",
                (unsigned long long)r->size_bytes);
    add_where(m, &where);
    if (r->kind == RP_REFUSAL_DOUBT) {
        return rp_fail(RP_E_CHANGED,
                       "%s may be of a changed type: %s%s%s%s: say what it is: %s = …", storage,
                       *r->type ? "it may be " : "", r->type, *r->type ? ", but " : "", r->why,
                       *r->what ? r->what : "SITE");
    }
    return rp_fail(RP_E_CHANGED,
                   "%s%s%s: %s: %s cannot be converted: keep the old build, undo the change, or "
                   "restart",
                   r->type, *r->place ? " in " : "", r->place, r->why, storage);
}

static rp_status decide(migration *m)
{
    find_least(m);
    m->report->blocks_seen = m->index.count;
    for (uint32_t block = 0; block < m->index.count; block++) {
        judge(m, block);
    }
    return m->refusal->kind && !m->plan->regardless ? refused(m) : RP_OK;
}

/* ---- acting ---- */

/* One byte more than the objects take, so that a pointer past their end lies in their block. */
static rp_status make_room(migration *m)
{
    for (uint32_t block = 0; block < m->index.count; block++) {
        if (!(mark_of(m, block)->flags & BLOCK_CHANGED)) {
            continue;
        }
        bool fits;
        uint64_t needed = needed_bytes(m, block, &fits);
        m->report->blocks_changed++;
        if (fits) {
            continue;
        }
        rp_allocator *owner = owner_of(m, block);
        const char *site = m->owner_traces ? rp_infer_site(place_of(m, block)->start) : "";
        void *place = rp_alloc_at(owner, (size_t)needed + 1, *site ? site : NULL);
        if (!place) {
            return RP_E_MEMORY;
        }
        m->index.moved[block] = (uint64_t)(uintptr_t)place;
        m->report->blocks_moved++;
    }
    return RP_OK;
}

static rp_status scratch_copy(migration *m, uint32_t block)
{
    if (m->scratch_bytes < place_of(m, block)->size_bytes) {
        m->scratch_bytes = (size_t)place_of(m, block)->size_bytes * 2;
        m->scratch = rp_arena_take(&m->index.arena, 1, m->scratch_bytes);
    }
    if (!m->scratch) {
        return m->index.arena.failure;
    }
    memcpy(m->scratch, bytes_at(place_of(m, block)->start), (size_t)place_of(m, block)->size_bytes);
    memset(bytes_at(place_of(m, block)->start), 0, (size_t)place_of(m, block)->size_bytes);
    return RP_OK;
}

/* A new block is zero to its end, as a runner's malloc leaves it: what lies behind the last object
 * must not look like one more. */
static void clear_new(migration *m, uint32_t block)
{
    void *place = bytes_at(m->index.moved[block]);
    bool fits;
    uint64_t needed = needed_bytes(m, block, &fits);
    const rp_allocator *owner = owner_of(m, block);
    if (needed != m->cleared_needed || owner != m->cleared_owner || m->owner_traces) {
        m->cleared_needed = needed;
        m->cleared_owner = owner;
        m->cleared_bytes = rp_usable_bytes(place);
    }
    memset(place, 0, m->cleared_bytes);
}

static bool is_zero(const uint8_t *bytes, uint64_t count)
{
    return count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, (size_t)count - 1) == 0);
}

/* What the block was asked to hold is not known to the byte: of the last ones those count that are
 * not zero. */
static uint64_t count_objects(const migration *m, uint32_t block, const uint8_t *from,
                              uint64_t each)
{
    uint64_t fit = place_of(m, block)->size_bytes / each,
             slack = rp_blocks_slack(place_of(m, block)->size_bytes);
    uint64_t sure = place_of(m, block)->size_bytes > slack
                        ? (place_of(m, block)->size_bytes - slack + each - 1) / each
                        : 1;
    while (fit > sure && is_zero(from + (fit - 1) * each, each)) {
        fit--;
    }
    return fit;
}

static rp_status convert_blocks(migration *m)
{
    for (uint32_t block = 0; block < m->index.count; block++) {
        if (!(mark_of(m, block)->flags & BLOCK_CHANGED)) {
            continue;
        }
        const rp_plan_type *type = type_at(m, mark_of(m, block)->type);
        const uint8_t *from = bytes_at(place_of(m, block)->start);
        if (!m->index.moved[block]) {
            rp_status status = scratch_copy(m, block);
            if (status != RP_OK) {
                return status;
            }
            from = m->scratch;
        } else {
            clear_new(m, block);
        }
        m->report->objects += type->tail_offset != RP_TYPE_NO_TAIL
                                  ? 1
                                  : count_objects(m, block, from, type->size_bytes);
        rp_convert_block(
            &m->convert, type->conversion, from,
            bytes_at(m->index.moved[block] ? m->index.moved[block] : place_of(m, block)->start),
            place_of(m, block)->size_bytes);
    }
    return RP_OK;
}

static void convert_variables(migration *m)
{
    const rp_plan_copy *copies = rp_plan_copies(m->plan);
    for (uint32_t i = 0; i < m->plan->copy_count; i++) {
        const rp_plan_copy *copy = &copies[i];
        uint64_t base = copy->thread ? m->convert.new_tls : m->convert.new_base;
        uint8_t *to = bytes_at(base + copy->new_offset);
        if (copy->conversion) {
            rp_convert_object(&m->convert, copy->conversion, m->values[i], to);
            m->report->objects++;
        } else {
            memcpy(to, m->values[i], (size_t)copy->size_bytes);
            if (copy->type) {
                rp_relocate_objects(&m->convert, copy->type, to, 1);
            } else {
                rp_relocate_words(&m->convert, to, copy->size_bytes);
            }
        }
        m->convert.carried->carried++;
    }
}

static void relocate_block(migration *m, uint32_t block)
{
    const rp_plan_type *type = type_at(m, mark_of(m, block)->type);
    uint8_t *at = bytes_at(place_of(m, block)->start);
    bool settled =
        mark_of(m, block)->type && !(mark_of(m, block)->flags & (BLOCK_DOUBT | BLOCK_DISAGREE));
    if (!settled) {
        rp_relocate_words(&m->convert, at, place_of(m, block)->size_bytes);
    } else if (type->tail_offset == RP_TYPE_NO_TAIL) {
        rp_relocate_objects(&m->convert, mark_of(m, block)->type, at,
                            place_of(m, block)->size_bytes / type->size_bytes);
    } else if (place_of(m, block)->size_bytes >= type->size_bytes) {
        uint64_t each = type_at(m, type->tail_type)->size_bytes;
        rp_relocate_objects(&m->convert, mark_of(m, block)->type, at, 1);
        rp_relocate_objects(&m->convert, type->tail_type, at + type->tail_offset,
                            each ? (place_of(m, block)->size_bytes - type->tail_offset) / each : 0);
    }
}

static void relocate_rest(migration *m)
{
    for (uint32_t block = 0; block < m->index.count; block++) {
        if (!(mark_of(m, block)->flags & BLOCK_CHANGED)) {
            relocate_block(m, block);
        }
    }
    for (size_t i = 0; i < m->foreign_count; i++) {
        rp_relocate_words(&m->convert, m->foreign[i].start, m->foreign[i].size_bytes);
    }
}

static void free_old(migration *m)
{
    for (uint32_t block = 0; block < m->index.count; block++) {
        if (m->index.moved[block]) {
            rp_free(bytes_at(place_of(m, block)->start));
        }
    }
}

static rp_status run(migration *m, rp_carry_read_fn *read, void *context)
{
    rp_status status = rp_blocks_collect(&m->index);
    if (status == RP_OK) {
        status = has_thread_data(m);
    }
    if (status == RP_OK) {
        status = rp_infer_values(m->plan, &m->index, read, context, &m->values);
    }
    if (status == RP_OK) {
        status = look(m);
    }
    if (status == RP_OK) {
        status = decide(m);
    }
    if (status == RP_OK) {
        status = make_room(m);
    }
    if (status == RP_OK) {
        status = convert_blocks(m);
    }
    if (status == RP_OK) {
        convert_variables(m);
        relocate_rest(m);
        rp_relocate_finish(&m->convert);
        free_old(m);
    }
    return status;
}

rp_status rp_carry_migrate(const rp_plan *plan, uint64_t new_base, void *tls_block,
                           rp_carry_read_fn *read, void *context, const rp_carry_span *foreign,
                           size_t foreign_count, rp_carry_report *report,
                           rp_migration *migration_report, rp_refusal *refusal)
{
    migration m = {.plan = plan,
                   .foreign = foreign,
                   .foreign_count = foreign_count,
                   .tls_block = tls_block,
                   .report = migration_report};
    m.refusal = refusal ? refusal : &m.own_refusal;
    *m.refusal = (rp_refusal){0};
    m.convert = (rp_convert){.plan = plan,
                             .blocks = &m.index,
                             .new_base = new_base,
                             .new_tls = (uint64_t)(uintptr_t)tls_block,
                             .report = migration_report,
                             .carried = report};
    rp_status status = run(&m, read, context);
    rp_blocks_drop(&m.index);
    return status;
}
