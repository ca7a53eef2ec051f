/* A reload in place: the state between two frames goes from the current build to another.
 *
 *   plan, load     nothing of the world is touched
 *   carry          the old build's ranges leave the world, the new one's enter it; values, objects,
 *                  pointers; the old data becomes unreadable
 *   commit         a record of the same frame
 *
 * What fails in the first part leaves nothing behind. After that everything goes back: the ranges,
 * and the world to the last record. */
#include "deck/deck_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "module/carry.h"

#include <string.h>

typedef struct carrying {
    const rp_plan *plan;
    uint32_t from, to, added, removed;
    bool known; /* `to` was loaded before */
    bool begun; /* the world was written to */
    rp_carry_report report;
    rp_migration migration;
} carrying;

/* ---- values and pointers ---- */

typedef struct old_data {
    const deck_build *build;
} old_data;

static bool lies_in(uint64_t address, size_t size_bytes, uint64_t start, uint64_t span_bytes)
{
    return address >= start && address - start <= span_bytes &&
           size_bytes <= span_bytes - (address - start);
}

/* The old build is loaded here, its data is as the last frame left it. */
static bool read_old(void *context, uint64_t old_address, void *to, size_t size_bytes)
{
    const old_data *old = context;
    const rp_object *object = &old->build->object;
    bool known = lies_in(old_address, size_bytes, (uint64_t)(uintptr_t)old->build->tls,
                         old->build->tls ? object->tls_bytes : 0);
    for (uint32_t i = 0; i < object->state_count && !known; i++) {
        known =
            lies_in(old_address, size_bytes, object->state[i].start, object->state[i].size_bytes);
    }
    if (known) {
        memcpy(to, (const void *)(uintptr_t)old_address, size_bytes);
    }
    return known;
}

static size_t spans_of(const rp_deck *deck, rp_carry_span spans[RP_RANGE_MAX])
{
    const rp_world_range *ranges;
    size_t count = rp_world_ranges(deck->world, &ranges);
    for (size_t i = 0; i < count; i++) {
        spans[i] = (rp_carry_span){ranges[i].start, ranges[i].size_bytes};
    }
    return count;
}

/* The program's own ranges: state, but of types that the module's debug information does not tell.
 */
static rp_status carry_state(rp_deck *deck, carrying *c)
{
    const deck_build *to = deck_build_at(deck, c->to);
    old_data old = {deck_build_at(deck, c->from)};
    rp_carry_span spans[RP_RANGE_MAX];
    size_t count = spans_of(deck, spans);
    rp_refusal refusal = {0};
    rp_status status =
        c->plan->type_count
            ? rp_carry_migrate(c->plan, to->object.base, to->tls, read_old, &old, spans,
                               deck->module.own_ranges, &c->report, &c->migration, &refusal)
            : rp_carry_copy(c->plan, to->object.base, to->tls, read_old, &old, &c->report);
    c->begun = status != RP_E_CHANGED; /* which is said before anything is written */
    if (status == RP_OK) {
        rp_carry_world_pointers(c->plan, to->object.base, to->tls, spans, count, &c->report);
    }
    return status;
}

/* ---- one build for another ---- */

static rp_status enter(rp_deck *deck, carrying *c)
{
    deck_build *to = deck_build_at(deck, c->to);
    rp_status status = deck_build_allow(to);
    if (status != RP_OK) {
        return status;
    }
    deck_build_reset(to);
    deck_module_ranges_out(deck);
    deck->module.current = c->to;
    status = deck_module_ranges_in(deck);
    if (status == RP_OK) {
        rp_os_lock_take(&deck->workers.world_lock);
        status = carry_state(deck, c);
        rp_os_lock_drop(&deck->workers.world_lock);
    }
    if (status == RP_OK) {
        status = deck_build_deny(deck_build_at(deck, c->from));
    }
    return status == RP_OK ? deck_commit(deck, &(rp_record_desc){.frame = deck->frame,
                                                                 .build = c->to,
                                                                 .kind = RP_RECORD_CARRIED})
                           : status;
}

/* The old build runs on. Its data is what it was: nobody wrote there. */
static rp_status go_back(rp_deck *deck, const carrying *c, rp_status why)
{
    rp_error kept = *rp_error_last();
    size_t page_count;
    uint32_t first_page;
    deck_module_ranges_out(deck);
    deck->module.current = c->from;
    rp_status status = deck_build_allow(deck_build_at(deck, c->from));
    if (status == RP_OK) {
        status = deck_module_ranges_in(deck);
    }
    if (status == RP_OK && c->begun && deck->broken == RP_OK) {
        status = rp_world_revert(deck->world, &page_count, &first_page);
        deck_ranges_rebuild(deck);
    }
    if (status == RP_OK && c->known) { /* else it is unloaded, which needs its data */
        status = deck_build_deny(deck_build_at(deck, c->to));
    }
    rp_fail(why, "%s", kept.text);
    return status == RP_OK ? why : deck_break(deck, why);
}

static rp_status carry_over(rp_deck *deck, carrying *c)
{
    uint64_t frame = deck->frame;
    bool loops = rp_loop_is_set(&deck->loop);
    rp_status status = loops ? deck_restore(deck, "reload", deck->loop.from) : RP_OK;
    if (status != RP_OK) {
        return status;
    }
    status = enter(deck, c);
    if (status != RP_OK) {
        status = go_back(deck, c, status);
        rp_error why = *rp_error_last();
        if (loops && deck->broken == RP_OK && deck_restore(deck, "reload", frame) != RP_OK) {
            rp_loop_clear(&deck->loop); /* at its start, and whole */
        }
        return rp_fail(status, "%s", why.text);
    }
    if (loops) {
        rp_log_pin(deck->log, rp_log_position(deck->log));
        deck->loop_pass = 1;
    }
    deck->twice.pending = false;
    deck->sought = false;
    deck->module.reloaded = true;
    deck_ranges_rebuild(deck);
    return RP_OK;
}

/* ---- a file ---- */

/* A build that was loaded before, with these bytes; 0: none. */
static uint32_t loaded_before(const rp_deck *deck, const deck_build *asked)
{
    for (uint32_t number = deck->module.count; number; number--) {
        const rp_planned *planned = deck_build_at(deck, number)->planned;
        if (planned->content_hash == asked->planned->content_hash) {
            return number;
        }
    }
    return 0;
}

static void report_keep(rp_deck *deck, const rp_plan *plan)
{
    char *report = deck->module.report;
    report[0] = 0;
    if (plan->report_count) {
        rp_text_copy(report, sizeof deck->module.report,
                     rp_plan_name(plan, (uint32_t)plan->report_offset));
    }
}

static void tell(const carrying *c, rp_reload *reload)
{
    *reload = (rp_reload){.size_bytes = sizeof *reload,
                          .old_build = c->from,
                          .new_build = c->to,
                          .carried = c->report.carried,
                          .added = c->added,
                          .removed = c->removed,
                          .pointers_moved = c->report.pointers_moved,
                          .pointers_left = c->report.pointers_left,
                          .objects_converted = c->migration.objects,
                          .blocks_moved = c->migration.blocks_moved,
                          .values_lost = c->migration.values_lost,
                          .fields_left = c->migration.pointers_left};
}

/* The plan in an answer is of use once. */
static void plan_forget(deck_build *build)
{
    size_t keep = (size_t)build->planned->plan_offset;
    if (keep < build->planned_bytes) {
        rp_os_unmap((char *)(uintptr_t)build->planned + keep, build->planned_bytes - keep);
        build->planned_bytes = keep;
    }
}

static rp_status carry_to(rp_deck *deck, carrying *c)
{
    rp_status status = deck->started ? RP_OK : deck_start(deck);
    return status == RP_OK ? carry_over(deck, c) : status;
}

/* Bytes that are new are loaded, and stay if the state gets there. */
static rp_status reload_new(rp_deck *deck, deck_build *asked, carrying *c)
{
    rp_status status = deck_build_load(deck, asked);
    c->to = status == RP_OK ? deck_build_add(deck, asked) : 0;
    if (!c->to) {
        rp_error why = *rp_error_last();
        deck_build_drop(asked);
        return rp_fail(why.status, "%s", why.text);
    }
    status = carry_to(deck, c);
    if (status == RP_OK) {
        report_keep(deck, c->plan);
        plan_forget(deck_build_at(deck, c->to));
    } else {
        rp_error why = *rp_error_last();
        __atomic_store_n(&deck->module.count, c->to - 1, __ATOMIC_RELEASE);
        deck_build_drop(asked);
        return rp_fail(why.status, "%s", why.text);
    }
    return status;
}

/* Bytes that run already are left alone; those that ran before are carried to once more. */
static rp_status reload_known(rp_deck *deck, deck_build *asked, carrying *c)
{
    rp_status status = c->to == c->from ? RP_OK : carry_to(deck, c);
    rp_error why = *rp_error_last();
    if (status == RP_OK && c->to != c->from) {
        report_keep(deck, c->plan);
    }
    deck_build_drop(asked);
    return status == RP_OK ? RP_OK : rp_fail(why.status, "%s", why.text);
}

static rp_status check_call(rp_deck *deck, const rp_module_desc *desc)
{
    rp_status status = deck_make_whole(deck, "reload");
    if (status == RP_OK && !deck->module.current) {
        status = rp_fail(RP_E_ARGUMENT, "reload: no module: rp_deck_load first");
    }
    if (status == RP_OK && (!desc->path || !desc->path[0])) {
        status = rp_fail(RP_E_ARGUMENT, "reload: no path: name the module's file");
    }
    return status;
}

rp_status rp_deck_reload(rp_deck *deck, const rp_module_desc *desc, rp_reload *reload)
{
    RP_ASSERT(!deck->in_frame);
    deck_build asked;
    rp_status status = check_call(deck, desc);
    carrying c = {.from = deck->module.current};
    if (status == RP_OK) {
        status = deck_build_ask(deck, desc, &asked);
    }
    if (status != RP_OK) {
        return status;
    }
    c.plan = rp_planned_plan(asked.planned);
    c.to = loaded_before(deck, &asked);
    c.known = c.to != 0;
    c.added = c.plan->added;
    c.removed = c.plan->removed;
    status = c.known ? reload_known(deck, &asked, &c) : reload_new(deck, &asked, &c);
    if (status == RP_OK && reload) {
        tell(&c, reload);
    }
    return status;
}
