/* Groups of blocks alike, from the marks that the walk left. Layer: module. */
#include "module/survey.h"

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "module/infer.h"
#include "trace/report.h"

#include <stdlib.h>
#include <string.h>

enum { GROUPS_MOST = 4096, GROUP_SLOTS = 2 * GROUPS_MOST, CHAIN_MOST = 32, ALSO_MOST = 8 };
enum { CLAIM_BYTES = 200 };

typedef enum survey_state {
    STATE_KNOWN,
    STATE_INFERRED,
    STATE_AMBIGUOUS,
    STATE_UNKNOWN,
    STATE_COUNT
} survey_state;

typedef enum survey_why {
    WHY_TYPED,    /* the allocation gives its type */
    WHY_ANSWER,   /* somebody said so */
    WHY_TABLE,    /* the object's virtual table tells its class */
    WHY_POINTER,  /* a typed pointer leads to it */
    WHY_DISAGREE, /* two pointers say different things */
    WHY_RIVAL,    /* another type begins with it and fits as well */
    WHY_SIZE,     /* the size does not divide */
    WHY_UNTYPED,  /* only pointers without a type lead to it */
    WHY_INSIDE,   /* only pointers into its middle do */
    WHY_FOREIGN,  /* only the data of libraries does */
    WHY_NOBODY    /* nothing does */
} survey_why;

static const char *const state_names[] = {"known", "inferred", "ambiguous", "unknown"};
static const char *const why_names[] = {"typed allocation", "answer",  "virtual table", "pointer",
                                        "disagree",         "rival",   "size",          "untyped",
                                        "inside",           "foreign", "nobody"};

static survey_state state_of(survey_why why)
{
    return why <= WHY_TABLE     ? STATE_KNOWN
           : why == WHY_POINTER ? STATE_INFERRED
           : why <= WHY_INSIDE  ? STATE_AMBIGUOUS
                                : STATE_UNKNOWN;
}

typedef struct survey_group {
    survey_why why;
    uint32_t type, also, also_claim; /* `also`: the other claim, where two disagree */
    uint32_t claim;
    const char *site;
    uint32_t first; /* block */
    uint64_t blocks, bytes, objects;
} survey_group;

typedef struct survey {
    const rp_plan *plan;
    block_index index;
    infer in;
    survey_group *groups;
    uint32_t group_count;
    uint32_t *slots; /* by hash: 1 + group */
    uint64_t left_out;
    struct {
        uint64_t blocks, bytes;
    } totals[STATE_COUNT];
    report_out out;
} survey;

static const block_mark *mark_of(const survey *s, uint32_t block)
{
    return &s->index.marks[block];
}

static uint64_t size_of(const survey *s, uint32_t block)
{
    return s->index.places[block].size_bytes;
}

static const char *type_name(const survey *s, uint32_t type)
{
    return type ? rp_plan_name(s->plan, rp_plan_type_at(s->plan, type)->name) : "";
}

/* ---- what is known of a block ---- */

static bool is_root(const survey *s, uint32_t block)
{
    return s->in.origins[block] & INFER_FROM_ROOT;
}

static survey_why why_known(const survey *s, uint32_t block, const char *site)
{
    if (mark_of(s, block)->claim) {
        const rp_plan_type *type = rp_plan_type_at(s->plan, mark_of(s, block)->type);
        return type->flags & RP_TYPE_VIRTUAL ? WHY_TABLE : WHY_ANSWER;
    }
    return rp_infer_names_type(site, type_name(s, mark_of(s, block)->type)) ? WHY_TYPED
                                                                            : WHY_ANSWER;
}

static survey_why why_of(const survey *s, uint32_t block, const char *site)
{
    const block_mark *mark = mark_of(s, block);
    uint32_t other;
    if (mark->flags & BLOCK_DISAGREE) {
        return WHY_DISAGREE;
    }
    if (mark->flags & BLOCK_DOUBT) {
        return rp_infer_rivals(&s->in, block, &other) ? WHY_RIVAL : WHY_SIZE;
    }
    if (mark->type) {
        return mark->flags & BLOCK_SURE ? why_known(s, block, site) : WHY_POINTER;
    }
    return !(mark->flags & BLOCK_TOUCHED) ? WHY_NOBODY
           : mark->flags & BLOCK_FOREIGN  ? WHY_FOREIGN
           : mark->flags & BLOCK_INSIDE   ? WHY_INSIDE
                                          : WHY_UNTYPED;
}

/* The other claim of a block that two disagree about; not of all of them it was kept. */
static void also_find(const survey *s, uint32_t block, survey_group *group)
{
    uint32_t kept = (uint32_t)rp_min_size(s->in.conflict_count, INFER_CONFLICTS_MOST);
    for (uint32_t i = 0; i < kept; i++) {
        if (s->in.conflicts[i].block == block) {
            group->also = s->in.conflicts[i].type;
            group->also_claim = s->in.conflicts[i].claim;
            return;
        }
    }
}

static uint64_t objects_in(const survey *s, const survey_group *group, uint32_t block)
{
    const rp_plan_type *type = rp_plan_type_at(s->plan, group->type);
    if (!group->type || !type->size_bytes) {
        return 0;
    }
    bool tail = type->tail_offset != RP_TYPE_NO_TAIL;
    return tail ? size_of(s, block) >= type->size_bytes : size_of(s, block) / type->size_bytes;
}

/* ---- grouping ---- */

static uint32_t hash_of(const survey_group *group)
{
    uint64_t hash = (uint64_t)group->why << 60 ^ (uint64_t)group->type << 28 ^ group->claim;
    hash ^= (uint64_t)(uintptr_t)group->site * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= (uint64_t)group->also << 40;
    return (uint32_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

static bool alike(const survey_group *a, const survey_group *b)
{
    return a->why == b->why && a->type == b->type && a->also == b->also && a->claim == b->claim &&
           a->site == b->site;
}

/* Null: there are too many. */
static survey_group *group_like(survey *s, const survey_group *group)
{
    uint32_t slot = hash_of(group) % GROUP_SLOTS;
    while (s->slots[slot]) {
        survey_group *other = &s->groups[s->slots[slot] - 1];
        if (alike(other, group)) {
            return other;
        }
        slot = (slot + 1) % GROUP_SLOTS;
    }
    if (s->group_count == GROUPS_MOST) {
        return NULL;
    }
    s->groups[s->group_count] = *group;
    s->slots[slot] = ++s->group_count;
    return &s->groups[s->group_count - 1];
}

static void take(survey *s, uint32_t block)
{
    const block_mark *mark = mark_of(s, block);
    const char *site = rp_infer_site(s->index.places[block].start);
    survey_group alone = {
        .why = why_of(s, block, site), .type = mark->type, .claim = mark->claim, .first = block};
    alone.site = *site ? site : "";
    if (alone.why == WHY_DISAGREE) {
        also_find(s, block, &alone);
    }
    survey_state state = state_of(alone.why);
    s->totals[state].blocks++;
    s->totals[state].bytes += size_of(s, block);
    survey_group *group = group_like(s, &alone);
    if (!group) {
        s->left_out++;
        return;
    }
    group->blocks++;
    group->bytes += size_of(s, block);
    group->objects += objects_in(s, group, block);
}

static int compare_groups(const void *a_pointer, const void *b_pointer)
{
    const survey_group *a = a_pointer, *b = b_pointer;
    survey_state a_state = state_of(a->why), b_state = state_of(b->why);
    if (a_state != b_state) {
        return a_state < b_state ? -1 : 1;
    }
    if (a->bytes != b->bytes) {
        return a->bytes > b->bytes ? -1 : 1;
    }
    return (a->first > b->first) - (a->first < b->first);
}

/* ---- telling ---- */

typedef struct chain {
    char texts[CHAIN_MOST][CLAIM_BYTES];
    uint32_t count;
} chain;

static void chain_add(chain *c, const char *text)
{
    bool again = c->count && strcmp(c->texts[c->count - 1], text) == 0; /* along a list */
    if (*text && !again && c->count < CHAIN_MOST) {
        rp_text_copy(c->texts[c->count++], CLAIM_BYTES, text);
    }
}

/* From the block back to a variable. Claims that were settled later may lead round, so it is
 * bounded by the steps too. */
static void chain_find(const survey *s, uint32_t block, chain *c)
{
    c->count = 0;
    for (uint32_t steps = 0; steps < s->index.count && c->count < CHAIN_MOST; steps++) {
        char text[CLAIM_BYTES];
        rp_infer_claim_text(&s->in, mark_of(s, block)->claim, text, sizeof text);
        chain_add(c, text);
        uint32_t origin = s->in.origins[block];
        if (is_root(s, block)) {
            const rp_plan_copy *copy = &rp_plan_copies(s->plan)[(origin & ~INFER_FROM_ROOT) - 1];
            chain_add(c, rp_plan_name(s->plan, copy->name));
        }
        if (is_root(s, block) || !origin) {
            return;
        }
        block = origin - 1;
    }
}

static void tell_chain(survey *s, const survey_group *group)
{
    chain c;
    chain_find(s, group->first, &c);
    report_open(&s->out, "chain", '[');
    for (uint32_t i = c.count; i > 0; i--) {
        report_string(&s->out, NULL, c.texts[i - 1]);
    }
    report_close(&s->out, ']');
}

static void tell_also(survey *s, const survey_group *group)
{
    report_open(&s->out, "also", '[');
    if (group->also) {
        report_string(&s->out, NULL, type_name(s, group->also));
    }
    if (group->why == WHY_RIVAL) {
        const rp_plan_type *of = rp_plan_type_at(s->plan, group->type);
        const uint32_t *heirs = rp_plan_part(s->plan, s->plan->heirs_offset);
        for (uint32_t i = 0, told = 0; i < of->heir_count && told < ALSO_MOST; i++) {
            uint32_t heir = heirs[of->first_heir + i];
            if (rp_infer_fits(rp_plan_type_at(s->plan, heir), size_of(s, group->first))) {
                report_string(&s->out, NULL, type_name(s, heir));
                told++;
            }
        }
    }
    report_close(&s->out, ']');
}

/* What would settle it: the pointer's name, else the place that allocates. */
static void tell_answer(survey *s, const survey_group *group, const char *by)
{
    char answer[CLAIM_BYTES + 200];
    rp_text_buffer text = rp_text_buffer_over(answer, sizeof answer);
    bool named = *by && strncmp(by, "a pointer in", 12) != 0 && *by != '(';
    const char *slash = strrchr(group->site, '/');
    const char *site = slash ? slash + 1 : group->site;
    if (named) {
        rp_text_add(&text, "%s", by);
    } else {
        rp_text_add(&text, "%.*s", (int)strcspn(site, " "), site);
    }
    if (text.length && state_of(group->why) == STATE_AMBIGUOUS) {
        rp_text_add(&text, "=%s", group->type ? type_name(s, group->type) : "TYPE");
        report_string(&s->out, "answer", answer);
    }
}

static void tell_group(survey *s, const survey_group *group)
{
    char by[CLAIM_BYTES];
    rp_infer_claim_text(&s->in, group->claim, by, sizeof by);
    report_open(&s->out, NULL, '{');
    report_string(&s->out, "state", state_names[state_of(group->why)]);
    report_string(&s->out, "why", why_names[group->why]);
    report_string(&s->out, "type", type_name(s, group->type));
    report_number(&s->out, "blocks", group->blocks);
    report_number(&s->out, "bytes", group->bytes);
    report_number(&s->out, "objects", group->objects);
    report_string(&s->out, "site", group->site);
    report_string(&s->out, "by", by);
    tell_also(s, group);
    rp_infer_claim_text(&s->in, group->also_claim, by, sizeof by);
    report_string(&s->out, "also_by", by);
    rp_infer_claim_text(&s->in, group->claim, by, sizeof by);
    tell_chain(s, group);
    tell_answer(s, group, by);
    report_number(&s->out, "address", s->index.places[group->first].start);
    report_close(&s->out, '}');
}

static void tell_totals(survey *s)
{
    uint64_t bytes = 0, typed = 0;
    for (int i = 0; i < STATE_COUNT; i++) {
        bytes += s->totals[i].bytes;
    }
    for (uint32_t i = 0; i < s->plan->copy_count; i++) {
        typed += rp_plan_copies(s->plan)[i].type != 0;
    }
    report_number(&s->out, "blocks", s->index.count);
    report_number(&s->out, "bytes", bytes);
    report_number(&s->out, "variables", s->plan->copy_count);
    report_number(&s->out, "variables_typed", typed);
    report_open(&s->out, "totals", '{');
    for (int i = 0; i < STATE_COUNT; i++) {
        report_open(&s->out, state_names[i], '{');
        report_number(&s->out, "blocks", s->totals[i].blocks);
        report_number(&s->out, "bytes", s->totals[i].bytes);
        report_close(&s->out, '}');
    }
    report_close(&s->out, '}');
}

static void tell(survey *s, rp_report_writer *writer, void *context)
{
    qsort(s->groups, s->group_count, sizeof *s->groups, compare_groups);
    s->out = report_begin(RP_REPORT_JSON, writer, context);
    report_open(&s->out, NULL, '{');
    tell_totals(s);
    report_open(&s->out, "groups", '[');
    for (uint32_t i = 0; i < s->group_count; i++) {
        tell_group(s, &s->groups[i]);
    }
    report_close(&s->out, ']');
    report_number(&s->out, "left_out", s->left_out);
    report_close(&s->out, '}');
    report_end(&s->out);
}

/* ---- looking ---- */

static rp_status make_room(survey *s)
{
    module_arena *arena = &s->index.arena;
    s->groups = rp_arena_take(arena, GROUPS_MOST, sizeof *s->groups);
    s->slots = rp_arena_take(arena, GROUP_SLOTS, sizeof *s->slots);
    s->in.origins = rp_arena_take(arena, (size_t)s->index.count + 1, sizeof *s->in.origins);
    return s->groups && s->slots && s->in.origins ? RP_OK : arena->failure;
}

static rp_status look(survey *s, rp_carry_read_fn *read, void *read_context,
                      const rp_carry_span *foreign, size_t foreign_count)
{
    const uint8_t **values;
    rp_status status = rp_blocks_collect(&s->index);
    if (status == RP_OK) {
        status = rp_infer_values(s->plan, &s->index, read, read_context, &values);
    }
    if (status == RP_OK) {
        status = rp_infer_begin(&s->in, s->plan, &s->index);
    }
    if (status == RP_OK) {
        status = make_room(s);
    }
    if (status == RP_OK) {
        status = rp_infer_all(&s->in, values, foreign, foreign_count);
    }
    for (uint32_t i = 0; status == RP_OK && i < s->index.count; i++) {
        take(s, i);
    }
    return status;
}

rp_status rp_survey(const rp_plan *plan, rp_carry_read_fn *read, void *read_context,
                    const rp_carry_span *foreign, size_t foreign_count, rp_report_writer *writer,
                    void *context)
{
    survey s = {.plan = plan};
    if (!plan->type_count) {
        return rp_fail(RP_E_UNSUPPORTED,
                       "types: nothing is known of the types of build %u: compile "
                       "it with -g",
                       plan->old_build);
    }
    rp_status status = look(&s, read, read_context, foreign, foreign_count);
    if (status == RP_OK) {
        tell(&s, writer, context);
    }
    rp_blocks_drop(&s.index);
    return status;
}
