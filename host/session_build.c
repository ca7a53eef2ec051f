/* Fresh runners of a session: restored, carried to another build, promoted. See session.h. */
#include "session.h"
#include "session_internal.h"
#include "type_answers.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <history/world.h>
#include <module/plan.h>
#include <os/os.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { SPARE_READY_BYTES = 32 << 20 };
enum { SPARES_MOST = 4 }; /* that may be killed in a row */

/* ---- page numbers of ranges ---- */

static bool is_known(const session *s, const link_range *range)
{
    for (uint32_t i = 0; i < s->known_count; i++) {
        if (s->known[i].first_page == range->first_page) {
            return true;
        }
    }
    return false;
}

static rp_status known_add(session *s, const link_range *range)
{
    if (s->known_count == s->known_capacity) {
        uint32_t capacity = s->known_capacity ? s->known_capacity * 2 : 64;
        link_range *grown = realloc(s->known, capacity * sizeof *grown);
        if (!grown) {
            return rp_fail(RP_E_MEMORY, "session: no memory for the list of ranges");
        }
        s->known = grown;
        s->known_capacity = capacity;
    }
    s->known[s->known_count++] = *range;
    uint32_t pages = rp_world_range_pages((void *)(uintptr_t)range->start, range->size_bytes);
    if (range->first_page + pages > s->next_page) {
        s->next_page = range->first_page + pages;
    }
    return RP_OK;
}

static rp_status range_check(const link_range *range)
{
    uint64_t pages = range->size_bytes / RP_PAGE_BYTES + 2;
    bool good = range->first_page >= RP_PAGE_EXTRA && range->first_page < RP_PAGE_LIMIT &&
                pages < RP_PAGE_LIMIT - range->first_page;
    return good ? RP_OK
                : rp_fail(RP_E_FORMAT, "runner: range %s has no sensible page number", range->name);
}

rp_status session_range_learn(session *s, const link_range *range)
{
    rp_status status = range_check(range);
    return status || is_known(s, range) ? status : known_add(s, range);
}

/* Takes over what a runner declared. */
static rp_status known_update(session *s, const process *p)
{
    uint32_t count = p->link->range_count;
    if (count > LINK_RANGE_MAX) {
        return rp_fail(RP_E_FORMAT, "runner: it declared more ranges than the link holds");
    }
    for (uint32_t i = 0; i < count; i++) {
        link_range range = p->link->ranges[i];
        range.name[sizeof range.name - 1] = 0;
        rp_status status = session_range_learn(s, &range);
        if (status) {
            return status;
        }
    }
    return RP_OK;
}

/* The ranges of the libraries, and those of one build (0: none), into a runner's bulk at `offset`.
 */
static void known_write(const session *s, process *p, size_t offset, uint32_t build, bool libraries)
{
    link_known *known = (link_known *)(p->link->bulk + offset);
    link_range *ranges = (link_range *)(known + 1);
    size_t most = (LINK_BULK_BYTES - offset - sizeof *known) / sizeof *ranges;
    *known = (link_known){.next_page = s->next_page};
    for (uint32_t i = 0; i < s->known_count && known->range_count < most; i++) {
        if ((s->known[i].build == 0 && libraries) || (build && s->known[i].build == build)) {
            ranges[known->range_count++] = s->known[i];
        }
    }
}

/* ---- the spare ---- */

rp_status session_spare_start(session *s)
{
    s->start.width_px = s->width_px;
    s->start.height_px = s->height_px;
    s->start.rate_hz = s->rate_hz;
    s->spare_told = 0;
    process_end(&s->spare); /* one that ended left its descriptors */
    return process_start(&s->start, &s->spare);
}

/* Tells the spare of builds that it does not know yet, a bulk at a time. */
static rp_status old_builds_tell(session *s)
{
    const size_t most = LINK_BULK_BYTES / sizeof(link_old_build);
    while (s->spare_told < s->build_count) {
        link_old_build *old = (link_old_build *)s->spare.link->bulk;
        size_t count = 0;
        for (; s->spare_told < s->build_count && count < most; s->spare_told++) {
            const session_build *build = &s->builds[s->spare_told];
            if (build->high) {
                old[count] = (link_old_build){.base = build->base,
                                              .low = build->low,
                                              .high = build->high,
                                              .build = s->spare_told + 1};
                memcpy(old[count++].path, build->path, sizeof build->path);
            }
        }
        link_message answer, request = {.op = LINK_OLD, .a = count};
        process_wait wait = session_wait(s);
        rp_status status = process_ask(&s->spare, &request, &answer, &wait);
        if (status) {
            return status;
        }
    }
    return RP_OK;
}

/* A small world is made ready in the spare; for a large one that would be a third copy of it. */
static uint64_t ready_bytes(const session *s)
{
    rp_log_stats stats;
    rp_log_stats_get(s->log, &stats);
    return rp_min_size(stats.world_bytes, SPARE_READY_BYTES);
}

rp_status session_spare_prepare(session *s)
{
    rp_status status = s->spare.pid ? RP_OK : session_spare_start(s);
    bool fresh = !s->spare.ready;
    if (!status) {
        status = process_ready(&s->spare);
    }
    if (!status && fresh) {
        s->randomised = s->spare.randomised;
        known_write(s, &s->spare, 0, 0, true);
        link_message answer;
        process_wait wait = session_wait(s);
        link_message request = {.op = LINK_RANGES, .a = ready_bytes(s)};
        status = process_ask(&s->spare, &request, &answer, &wait);
        if (!status) {
            status = known_update(s, &s->spare);
        }
    }
    return status ? status : old_builds_tell(s);
}

void session_spare_promote(session *s, uint32_t build)
{
    process_end(&s->live);
    s->live = s->spare;
    s->spare = (process){
        .socket = -1, .output = -1, .print = s->live.print, .print_context = s->live.print_context};
    s->loaded = build;
}

/* ---- loading ---- */

static const link_object *module_object(const process *p)
{
    uint32_t count = p->link->object_count;
    for (uint32_t i = 0; i < count && i < LINK_OBJECT_MAX; i++) {
        if (p->link->objects[i].build) {
            return &p->link->objects[i];
        }
    }
    return NULL;
}

static rp_status place_note(session *s, uint32_t number)
{
    const link_object *object = module_object(&s->spare);
    session_build *build = session_build_at(s, number);
    if (!object) {
        return rp_fail(RP_E_FORMAT, "runner: it did not say where the build lies");
    }
    if (build->high && (build->base != object->base || build->low != object->low)) {
        return rp_fail(RP_E_TAKEN,
                       "build %u: it lay at 0x%llx and came to 0x%llx in a new process: "
                       "link it with `reprise ldflags`, or allow the runner to turn "
                       "address randomisation off",
                       number, (unsigned long long)build->low, (unsigned long long)object->low);
    }
    build->base = object->base;
    build->low = object->low;
    build->high = object->high;
    build->tls_address = object->tls_address;
    return RP_OK;
}

static rp_status spare_load(session *s, uint32_t number)
{
    const session_build *build = session_build_at(s, number);
    process *p = &s->spare;
    link_load *load = (link_load *)p->link->bulk;
    *load = (link_load){.build = number, .low = build->low, .high = build->high};
    memcpy(load->path, build->path, sizeof load->path);
    known_write(s, p, sizeof *load, number, true);
    link_message answer;
    process_wait wait = session_wait(s);
    rp_status status = process_ask(p, &(link_message){.op = LINK_LOAD}, &answer, &wait);
    if (!status) {
        status = known_update(s, p);
    }
    return status ? status : place_note(s, number);
}

static rp_status spare_restore_state(session *s)
{
    const rp_page_slot *entries;
    size_t count;
    rp_status status = rp_log_full(s->log, &entries, &count);
    return status ? status : session_apply(s, &s->spare, entries, count);
}

/* A spare that failed says why where it can: a constructor or rp_module_reloaded may have crashed.
 */
static rp_status spare_failed(session *s, rp_status status, const char *doing)
{
    rp_error why = *rp_error_last();
    if (status == RP_E_DIED || status == RP_E_TIMEOUT) {
        session_failure was = s->failure;
        session_failure_fill(s, &s->spare, 0);
        char lines[400];
        rp_text_buffer text = rp_text_buffer_over(lines, sizeof lines);
        for (int i = 0; i < s->failure.line_count; i++) {
            rp_text_add(&text, "%s%s", i ? "\n" : "", s->failure.lines[i]);
        }
        rp_fail(status, "%s: %s", doing, lines);
        s->failure = was;
    } else {
        rp_fail(status, "%s", why.text);
    }
    s->entry_count = 0;
    rp_log_slots_reset(s->log);
    process_end(&s->spare);
    return status;
}

rp_status session_build_place(session *s, uint32_t number)
{
    session_build *build = session_build_at(s, number);
    rp_status status = session_spare_prepare(s);
    status = status ? status : spare_load(s, number);
    if (status == RP_E_TAKEN) {
        build->high = 0; /* forgotten: where it is now counts */
        status = place_note(s, number);
    }
    if (!status) {
        return RP_OK;
    }
    return spare_failed(s, status, "the build cannot be loaded");
}

/* Whether somebody ended it from outside, or the system did for want of memory: that says nothing
 * against what it was doing, and another one may do it. */
static bool spare_was_killed(const session *s, rp_status status)
{
    int how = s->spare.wait_status;
    return status == RP_E_DIED && !s->spare.crashed && WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL;
}

static rp_status restart_once(session *s, uint32_t build)
{
    rp_status status = session_spare_prepare(s);
    if (!status) {
        status = spare_load(s, build);
    }
    return status ? status : spare_restore_state(s);
}

rp_status session_restart(session *s)
{
    rp_record record;
    if (!session_record(s, &record)) {
        process_end(&s->live);
        s->loaded = 0;
        return rp_fail(RP_E_DIED, "session: it failed before its first frame");
    }
    rp_status status = restart_once(s, record.build);
    for (int spares = 1; spares < SPARES_MOST && spare_was_killed(s, status); spares++) {
        status = restart_once(s, record.build);
    }
    if (status) {
        return spare_failed(s, status, "restart");
    }
    session_spare_promote(s, record.build);
    s->restarts++;
    return RP_OK; /* the next spare is started between frames: session_tend */
}

/* ---- carrying ---- */

static rp_status plan_send(session *s, process *p, const rp_plan *plan)
{
    rp_status status = RP_OK;
    for (uint64_t at = 0; !status && at < plan->total_bytes;) {
        uint64_t part = rp_min_size(plan->total_bytes - at, LINK_BULK_BYTES);
        memcpy(p->link->bulk, (const uint8_t *)plan + at, part);
        link_message answer,
            request = {.op = LINK_PLAN, .a = at, .b = part, .c = plan->total_bytes};
        process_wait wait = session_wait(s);
        status = process_ask(p, &request, &answer, &wait);
        at += part;
    }
    return status;
}

static rp_status carry_ask(session *s, rp_plan *plan, uint32_t from, link_message *answer)
{
    process *p = &s->spare;
    rp_status status = plan_send(s, p, plan);
    if (!status) {
        known_write(s, p, 0, from, false);
        status = session_offer_slots(s, p);
    }
    process_wait wait = session_wait(s);
    status = status ? status : process_ask(p, &(link_message){.op = LINK_CARRY}, answer, &wait);
    if (status == RP_E_CHANGED) {
        s->refusal = p->link->refusal;
    }
    return status;
}

static void report_keep(session *s, const rp_plan *plan)
{
    const char *text = (const char *)plan + plan->names_offset + plan->report_offset;
    size_t most = plan->names_bytes - plan->report_offset;
    snprintf(s->reload_report, sizeof s->reload_report, "%.*s",
             plan->report_count ? (int)rp_min_size(strnlen(text, most), 599) : 0, text);
}

static rp_status plan_make(session *s, uint32_t from, uint32_t to, rp_plan **plan)
{
    const session_build *old = session_build_at(s, from), *new = session_build_at(s, to);
    type_answers answers;
    rp_status status = type_answers_read(s->desc.types, &answers);
    if (status) {
        return status;
    }
    const rp_plan_options options = {
        .answers = answers.first, .regardless = new->regardless, .refusal = &s->refusal};
    uint64_t begin_ns = rp_os_monotonic_ns();
    status =
        rp_plan_make(old->elf, from, old->base, old->tls_address, new->elf, to, &options, plan);
    s->times.plan_ms = (double)(rp_os_monotonic_ns() - begin_ns) / 1e6;
    type_answers_drop(&answers);
    return status;
}

/* Of the build that runs to itself. */
static rp_status survey_plan_make(session *s, rp_plan **plan)
{
    const session_build *build = session_build_at(s, s->loaded);
    type_answers answers;
    rp_status status = type_answers_read(s->desc.types, &answers);
    if (!status) {
        const rp_plan_options options = {.answers = answers.first, .survey = true};
        status = rp_plan_make(build->elf, s->loaded, build->base, build->tls_address, build->elf,
                              s->loaded, &options, plan);
        type_answers_drop(&answers);
    }
    return status;
}

rp_status session_survey(session *s, session_report *report)
{
    rp_plan *plan;
    *report = (session_report){0};
    if (!session_has_world(s)) {
        return rp_fail(RP_E_INCOMPLETE, "types: no build runs yet: wait for the first, or mend it");
    }
    rp_status status = survey_plan_make(s, &plan);
    if (!status) {
        status = plan_send(s, &s->live, plan);
        rp_plan_free(plan);
    }
    return status ? status : session_report_make(s, LINK_REPORT_TYPES, true, 0, 0, report);
}

static rp_status spare_carry(session *s, uint32_t from, uint32_t to, rp_plan *plan, uint64_t frame)
{
    link_message answer;
    rp_status status = session_spare_prepare(s);
    if (!status) {
        status = spare_restore_state(s);
    }
    if (!status) {
        status = spare_load(s, to);
    }
    if (!status) {
        s->spare.link->frame = frame;
        status = carry_ask(s, plan, from, &answer);
    }
    rp_record_desc desc = {.frame = frame, .build = to, .kind = RP_RECORD_CARRIED};
    return status ? status : session_commit(s, &s->spare, &answer, &desc);
}

/* Carries the state at the position to build `to`. */
static rp_status carry(session *s, uint32_t to)
{
    rp_record record;
    rp_plan *plan = NULL;
    if (!session_record(s, &record)) {
        return rp_fail(RP_E_RANGE, "session: there is no state to carry");
    }
    rp_status status = plan_make(s, record.build, to, &plan);
    if (status) {
        return status; /* nothing was touched */
    }
    if (s->spare.pid && s->spare.ready == false && process_ready(&s->spare)) {
        process_end(&s->spare);
    }
    uint64_t begin_ns = rp_os_monotonic_ns();
    status = spare_carry(s, record.build, to, plan, record.frame);
    for (int spares = 1; spares < SPARES_MOST && spare_was_killed(s, status); spares++) {
        s->entry_count = 0;
        rp_log_slots_reset(s->log);
        status = spare_carry(s, record.build, to, plan, record.frame);
    }
    if (status) {
        rp_plan_free(plan);
        return spare_failed(s, status, "the new build failed while the state was brought to it");
    }
    s->times.carry_ms = (double)(rp_os_monotonic_ns() - begin_ns) / 1e6;
    report_keep(s, plan);
    rp_plan_free(plan);
    session_spare_promote(s, to);
    s->reload = s->live.link->reload;
    s->migration = s->live.link->migration;
    s->migration.left_name[sizeof s->migration.left_name - 1] = 0;
    s->migration.lost_name[sizeof s->migration.lost_name - 1] = 0;
    return RP_OK; /* the next spare is started between frames: session_tend */
}

rp_status session_carry_to(session *s, uint32_t build)
{
    return carry(s, build);
}

rp_status session_carry_forward(session *s)
{
    rp_record record;
    if (session_record(s, &record) && record.build == s->newest) {
        return session_restart(s); /* nothing ran: there is nothing to carry */
    }
    return carry(s, s->newest);
}

/* ---- new builds ---- */

rp_status session_preload_learn(session *s, const rp_elf *elf, bool *changed)
{
    *changed = false;
    for (int i = 0; i < elf->needed_count; i++) {
        bool known = false;
        for (int k = 0; k < s->start.preload_count; k++) {
            known |= strcmp(s->start.preload[k], elf->needed[i]) == 0;
        }
        if (known) {
            continue;
        }
        size_t bytes = ((size_t)s->start.preload_count + 1) * sizeof(char *);
        const char **grown = realloc((void *)(uintptr_t)s->start.preload, bytes);
        char *name = strdup(elf->needed[i]);
        if (!grown || !name) {
            return rp_fail(RP_E_MEMORY, "session: no memory for the list of libraries");
        }
        grown[s->start.preload_count++] = name;
        s->start.preload = grown;
        *changed = true;
    }
    if (!s->start.preload) {
        s->start.preload = calloc(1, sizeof *s->start.preload);
    }
    return RP_OK;
}

static void copy_drop(rp_elf *elf, const char *path)
{
    rp_elf_close(elf);
    remove(path);
}

rp_status session_build_add(session *s, rp_elf *elf, const char *path, uint64_t complete_ns)
{
    session_build *grown = realloc(s->builds, (s->build_count + 1) * sizeof *grown);
    if (!grown) {
        copy_drop(elf, path);
        return rp_fail(RP_E_MEMORY, "session: no memory for the list of builds");
    }
    s->builds = grown;
    session_build *build = &grown[s->build_count++];
    *build = (session_build){.elf = elf, .complete_ns = complete_ns, .regardless = s->regardless};
    rp_text_copy(build->path, sizeof build->path, path);
    time_t now = time(NULL);
    struct tm local;
    strftime(build->time, sizeof build->time, "%H:%M:%S", localtime_r(&now, &local));
    return RP_OK;
}

/* A build that was refused leaves no trace but its number. */
static void build_drop(session *s)
{
    session_build *build = &s->builds[--s->build_count];
    copy_drop(build->elf, build->path);
    if (s->spare_told > s->build_count) {
        s->spare_told = s->build_count;
    }
}

static rp_status world_start(session *s, uint32_t build)
{
    process *p = &s->spare;
    link_message answer;
    process_wait wait = session_wait(s);
    rp_status status = process_ask(p, &(link_message){.op = LINK_WORLD_NEW}, &answer, &wait);
    if (!status) {
        status = spare_load(s, build);
    }
    if (!status) {
        status = session_offer_slots(s, p);
    }
    if (!status) {
        status = process_ask(p, &(link_message){.op = LINK_START}, &answer, &wait);
    }
    rp_record_desc desc = {.frame = 0, .build = build, .kind = RP_RECORD_FRAME};
    return status ? status : session_commit(s, p, &answer, &desc);
}

rp_status session_first_world(session *s, uint32_t build)
{
    rp_status status = session_spare_prepare(s);
    if (!status) {
        status = world_start(s, build);
    }
    if (status) {
        return spare_failed(s, status, "the program failed in its start");
    }
    session_spare_promote(s, build);
    session_take_stage(s);
    return RP_OK; /* the next spare is started between frames: session_tend */
}

/* In a loop the state at its start is what is carried; the next pass begins there. */
static rp_status carry_to_new(session *s, uint32_t build)
{
    uint64_t before = rp_log_position(s->log), start;
    const rp_page_slot *entries;
    size_t count;
    bool moved = rp_loop_is_set(&s->loop) && rp_log_find_frame(s->log, s->loop.from, &start) &&
                 start != before && session_log_seek(s, start, &entries, &count) == RP_OK;
    rp_status status = carry(s, build);
    if (status && moved) {
        session_seek_back(s, before);
    }
    if (!status) {
        divergence_reset(s->divergence);
        s->diverged_frame = 0;
    }
    return status;
}

static rp_status build_use(session *s, rp_elf *elf, const char *path, uint64_t complete_ns)
{
    bool changed;
    rp_status status = session_preload_learn(s, elf, &changed);
    if (status) {
        copy_drop(elf, path);
        return status;
    }
    status = session_build_add(s, elf, path, complete_ns);
    if (status) {
        return status;
    }
    if (changed && s->spare.pid) { /* it lacks a library */
        process_end(&s->spare);
    }
    uint32_t build = s->build_count;
    rp_record record;
    s->refusal = (rp_refusal){0};
    status = session_record(s, &record) ? carry_to_new(s, build) : session_first_world(s, build);
    if (status == RP_E_CHANGED) {
        session_refused_keep(s);
        return status;
    }
    if (status) {
        build_drop(s);
        return status;
    }
    s->newest = build;
    s->waiting_since_ns = complete_ns;
    session_failure_clear(s);
    return RP_OK;
}

rp_status session_build_new(session *s, rp_elf *elf, const char *path, uint64_t complete_ns)
{
    uint32_t before = s->build_count;
    session_refused_drop(s);
    rp_status status = build_use(s, elf, path, complete_ns);
    if (status && s->build_count == before && !s->spare.pid && s->start.preload) {
        rp_error why = *rp_error_last();
        session_spare_start(s);
        rp_fail(why.status, "%s", why.text);
    }
    return status;
}

rp_status session_build_revert(session *s, uint32_t number)
{
    if (number < 1 || number > s->build_count) {
        return rp_fail(RP_E_RANGE, "revert: there is no build %u: builds 1 to %u were loaded",
                       number, s->build_count);
    }
    char path[RP_OBJECT_PATH_BYTES];
    const char *from = session_build_at(s, number)->path;
    rp_elf *elf;
    snprintf(path, sizeof path, "%.*s-again-%04u.so", (int)(strlen(from) - 3), from,
             s->build_count + 1);
    rp_status status = rp_elf_open(from, path, &elf);
    if (status) {
        remove(path); /* it may be there in part */
        return status;
    }
    return session_build_new(s, elf, path, rp_os_monotonic_ns());
}
