/* The builds of an embedded program's module: asked about, loaded, made the current one. */
#include "deck/deck_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "module/loaded.h"

#include <stdarg.h>
#include <string.h>

enum { PLAN_LIMIT_MS = 60000 };

/* ---- asking about a file ---- */

typedef struct asked {
    char copy[12], answer[12], number[12], old_file[12], old_number[12];
    char old_base[20], old_thread[20];
} asked;

__attribute__((format(printf, 3, 4))) static void put(char *text, size_t capacity,
                                                      const char *format, ...)
{
    va_list arguments;
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    va_start(arguments, format);
    rp_text_add_v(&buffer, format, arguments);
    va_end(arguments);
}

static rp_status run_planner(const rp_deck *deck, const rp_module_desc *desc, int copy, int answer)
{
    const deck_module *module = &deck->module;
    const deck_build *old = module->current ? deck_build_at(deck, module->current) : NULL;
    asked text;
    put(text.copy, sizeof text.copy, "%d", copy);
    put(text.answer, sizeof text.answer, "%d", answer);
    put(text.number, sizeof text.number, "%u", module->count + 1);
    put(text.old_file, sizeof text.old_file, "%d", old ? old->file : -1);
    put(text.old_number, sizeof text.old_number, "%u", module->current);
    put(text.old_base, sizeof text.old_base, "%llx",
        old ? (unsigned long long)old->object.base : 0ull);
    put(text.old_thread, sizeof text.old_thread, "%llx",
        old ? (unsigned long long)(uintptr_t)old->tls : 0ull);
    const int descriptors[] = {copy, answer, old ? old->file : copy};
    return rp_os_helper_run(&(rp_os_helper){
        .name = "reprise-plan",
        .variable = "REPRISE_PLAN",
        .arguments = {desc->path, text.copy, text.answer, text.number, text.old_file,
                      text.old_number, text.old_base, text.old_thread,
                      desc->types ? desc->types : "", desc->regardless ? "1" : "0"},
        .descriptors = descriptors,
        .descriptor_count = RP_COUNT_OF(descriptors),
        .limit_ms = PLAN_LIMIT_MS});
}

/* The other process has ended, so nobody changes the answer any more. */
static rp_status answer_map(int answer, deck_build *made)
{
    char path[RP_OS_MEMFILE_PATH_BYTES];
    int again;
    uint64_t size_bytes;
    void *mapped;
    rp_os_memfile_path(answer, path);
    rp_status status = rp_os_file_open(path, &again, &size_bytes);
    if (status != RP_OK) {
        return status;
    }
    rp_os_file_close(again);
    if (size_bytes < sizeof(rp_planned) || size_bytes > RP_PLANNED_MOST_BYTES) {
        return rp_fail(RP_E_FORMAT, "reprise-plan: it gave no answer: reload once more");
    }
    size_t mapped_bytes = (size_t)rp_align_up(size_bytes, RP_PAGE_BYTES);
    status = rp_os_memfile_map(answer, 0, NULL, mapped_bytes, RP_OS_READ, &mapped);
    if (status == RP_OK) {
        made->planned = mapped;
        made->planned_bytes = mapped_bytes;
        status = rp_planned_check(made->planned, (size_t)size_bytes);
    }
    return status;
}

rp_status deck_build_ask(const rp_deck *deck, const rp_module_desc *desc, deck_build *made)
{
    int answer = -1;
    *made = (deck_build){.file = -1};
    rp_status status = rp_os_memfile_create("reprise-build", 0, &made->file);
    if (status == RP_OK) {
        status = rp_os_memfile_create("reprise-plan", 0, &answer);
    }
    if (status == RP_OK) {
        status = run_planner(deck, desc, made->file, answer);
    }
    if (status == RP_OK) {
        status = answer_map(answer, made);
    }
    rp_os_memfile_close(answer);
    if (status != RP_OK) {
        deck_build_drop(made);
    }
    return status;
}

/* ---- a build ---- */

typedef struct span {
    uint8_t *start;
    size_t size_bytes;
} span;

static uint32_t span_count(const deck_build *build)
{
    return build->object.state_count + (build->tls != NULL);
}

/* The pieces of its state; the thread's is the last one. */
static span span_at(const deck_build *build, uint32_t i)
{
    const rp_object *object = &build->object;
    if (i == object->state_count) {
        return (span){build->tls, (size_t)object->tls_bytes};
    }
    return (span){(uint8_t *)(uintptr_t)object->state[i].start,
                  (size_t)object->state[i].size_bytes};
}

static rp_status keep_initial(deck_build *build)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < span_count(build); i++) {
        bytes += span_at(build, i).size_bytes;
    }
    build->initial_bytes = (size_t)rp_align_up(bytes + 1, RP_PAGE_BYTES);
    build->initial = rp_os_vm_reserve(build->initial_bytes);
    rp_status status = build->initial ? rp_os_vm_commit(build->initial, build->initial_bytes)
                                      : rp_error_last()->status;
    uint8_t *to = build->initial;
    for (uint32_t i = 0; i < span_count(build) && status == RP_OK; i++) {
        span from = span_at(build, i);
        memcpy(to, from.start, from.size_bytes);
        to += from.size_bytes;
    }
    return status;
}

void deck_build_reset(const deck_build *build)
{
    const uint8_t *from = build->initial;
    for (uint32_t i = 0; i < span_count(build); i++) {
        span to = span_at(build, i);
        memcpy(to.start, from, to.size_bytes);
        from += to.size_bytes;
    }
}

/* Page numbers are never given twice: the log knows the pages of every build by them. */
static void number_pages(rp_deck *deck, deck_build *build)
{
    for (uint32_t i = 0; i < span_count(build); i++) {
        span s = span_at(build, i);
        build->first_pages[i] = deck->next_range_page;
        deck->next_range_page += rp_world_range_pages(s.start, s.size_bytes);
    }
}

rp_status deck_build_load(rp_deck *deck, deck_build *made)
{
    char path[RP_OS_MEMFILE_PATH_BYTES];
    rp_os_memfile_path(made->file, path);
    rp_status status = rp_loaded_open(path, deck->module.name, &made->handle, &made->object);
    if (status != RP_OK) {
        return status;
    }
    made->data_low = rp_loaded_data_low(made->handle);
    made->tls = rp_object_tls(&made->object);
    status = keep_initial(made);
    if (status == RP_OK) {
        number_pages(deck, made);
    }
    return status;
}

void deck_build_drop(deck_build *build)
{
    bool gone = rp_loaded_close(build->handle);
    if (build->initial) {
        rp_os_vm_release(build->initial, build->initial_bytes);
    }
    if (build->planned) {
        rp_os_unmap((void *)(uintptr_t)build->planned, build->planned_bytes);
    }
    if (gone) { /* the loader knows a library by its path, which names the descriptor */
        rp_os_memfile_close(build->file);
    }
    *build = (deck_build){.file = -1};
}

uint32_t deck_build_add(rp_deck *deck, const deck_build *made)
{
    deck_module *module = &deck->module;
    rp_status status = RP_OK;
    if (module->count == DECK_BUILDS_MAX) {
        (void)rp_fail(RP_E_LIMIT, "%s: %d builds were loaded: start the program again",
                      module->name, DECK_BUILDS_MAX);
        return 0;
    }
    if (!module->builds.data) {
        status = rp_grow_init(&module->builds, DECK_BUILDS_MAX * sizeof *made);
    }
    if (status == RP_OK) {
        status = rp_grow_need(&module->builds, (module->count + 1) * sizeof *made);
    }
    if (status != RP_OK) {
        return 0;
    }
    *deck_build_at(deck, module->count + 1) = *made;
    __atomic_store_n(&module->count, module->count + 1, __ATOMIC_RELEASE);
    return module->count;
}

/* ---- its data ---- */

/* Whole pages: what else lies on them, the first of .got.plt, is the build's own. */
static rp_status protect(const deck_build *build, rp_os_protection protection)
{
    rp_status status = RP_OK;
    for (uint32_t i = 0; i < build->object.state_count && status == RP_OK; i++) {
        span s = span_at(build, i);
        uintptr_t start = rp_align_down((uintptr_t)s.start, RP_PAGE_BYTES);
        uintptr_t end = rp_align_up((uintptr_t)s.start + s.size_bytes, RP_PAGE_BYTES);
        start = start < build->data_low ? (uintptr_t)build->data_low : start;
        if (start < end) {
            status = rp_os_vm_protect((void *)start, end - start, protection);
        }
    }
    return status;
}

enum { STALE_BYTE = 0xdd }; /* eight of them are no address */

rp_status deck_build_deny(const deck_build *build)
{
    rp_status status = protect(build, RP_OS_NONE);
    if (status != RP_OK) {
        rp_error why = *rp_error_last();
        (void)protect(build, RP_OS_READ_WRITE);
        return rp_fail(why.status, "%s", why.text);
    }
    if (build->tls) { /* it lies in the midst of others' */
        memset(build->tls, STALE_BYTE, (size_t)build->object.tls_bytes);
    }
    return RP_OK;
}

rp_status deck_build_allow(const deck_build *build)
{
    return protect(build, RP_OS_READ_WRITE);
}

/* ---- the current build ---- */

void deck_module_ranges_out(rp_deck *deck)
{
    if (deck->module.current) {
        rp_world_range_cut(deck->world, deck->module.own_ranges);
    }
}

bool deck_build_range(const deck_build *build, uint32_t i, rp_world_range *range)
{
    if (i >= span_count(build)) {
        return false;
    }
    span s = span_at(build, i);
    *range = (rp_world_range){
        .start = s.start, .size_bytes = s.size_bytes, .first_page = build->first_pages[i]};
    put(range->name, sizeof range->name,
        i < build->object.state_count ? "module data %u" : "module thread", i);
    return true;
}

rp_status deck_module_ranges_in(rp_deck *deck)
{
    if (!deck->module.current) {
        return RP_OK;
    }
    const deck_build *build = deck_build_at(deck, deck->module.current);
    rp_status status = RP_OK;
    rp_world_range range;
    for (uint32_t i = 0; status == RP_OK && deck_build_range(build, i, &range); i++) {
        status = rp_world_range_add(deck->world, range.start, range.size_bytes, range.first_page,
                                    range.name);
    }
    if (status != RP_OK) {
        rp_world_range_cut(deck->world, deck->module.own_ranges);
    }
    return status;
}

rp_status deck_module_switch(rp_deck *deck, uint32_t number)
{
    deck_module *module = &deck->module;
    if (number == module->current && deck->broken == RP_OK) {
        return RP_OK;
    }
    if (!number || number > module->count) {
        return rp_fail(RP_E_FORMAT, "history: a frame of build %u, which was never loaded", number);
    }
    deck_module_ranges_out(deck);
    rp_status status =
        number == module->current ? RP_OK : deck_build_deny(deck_build_at(deck, module->current));
    if (status == RP_OK) {
        status = deck_build_allow(deck_build_at(deck, number));
    }
    if (status == RP_OK) {
        module->current = number;
        status = deck_module_ranges_in(deck);
    }
    return status;
}

/* ---- from outside ---- */

static rp_status check_first(const rp_deck *deck, const rp_module_desc *desc)
{
    if (deck->started || deck->module.current) {
        return rp_fail(RP_E_ARGUMENT, deck->started
                                          ? "module: the first frame has begun: load it before"
                                          : "module: the deck has one: one module a deck");
    }
    return desc->path && desc->path[0] ? RP_OK
                                       : rp_fail(RP_E_ARGUMENT, "module: no path: name its file");
}

rp_status rp_deck_load(rp_deck *deck, const rp_module_desc *desc)
{
    deck_module *module = &deck->module;
    deck_build made;
    rp_status status = check_first(deck, desc);
    if (status == RP_OK) {
        rp_text_copy(module->name, sizeof module->name, desc->path);
        status = deck_build_ask(deck, desc, &made);
    }
    if (status != RP_OK) {
        return status;
    }
    status = deck_build_load(deck, &made);
    if (status == RP_OK) {
        status = deck_stale_watch(deck);
    }
    uint32_t number = status == RP_OK ? deck_build_add(deck, &made) : 0;
    if (!number) {
        rp_error why = *rp_error_last();
        deck_build_drop(&made);
        return rp_fail(why.status, "%s", why.text);
    }
    const rp_world_range *ranges;
    module->own_ranges = rp_world_ranges(deck->world, &ranges);
    module->current = number;
    status = deck_module_ranges_in(deck);
    if (status != RP_OK) {
        rp_error why = *rp_error_last();
        module->current = module->count = 0;
        deck_build_drop(deck_build_at(deck, number));
        return rp_fail(why.status, "%s", why.text);
    }
    return RP_OK;
}

void *rp_deck_symbol(const rp_deck *deck, const char *name)
{
    const deck_module *module = &deck->module;
    return module->current ? rp_loaded_symbol(deck_build_at(deck, module->current)->handle, name)
                           : NULL;
}

uint32_t rp_deck_build(const rp_deck *deck)
{
    return deck->module.current;
}

const char *rp_deck_reload_report(const rp_deck *deck)
{
    return deck->module.report;
}

void deck_builds_calm(rp_deck *deck)
{
    for (uint32_t number = 1; number <= deck->module.count; number++) {
        const deck_build *build = deck_build_at(deck, number);
        if (number != deck->module.current && deck_build_allow(build) == RP_OK) {
            deck_build_reset(build);
        }
    }
}

void deck_module_close(rp_deck *deck)
{
    deck_module *module = &deck->module;
    if (module->watched) {
        deck_stale_end();
    }
    deck_module_ranges_out(deck);
    deck_builds_calm(deck);
    for (uint32_t number = module->count; number; number--) {
        deck_build_drop(deck_build_at(deck, number));
    }
    rp_grow_finish(&module->builds);
    module->count = module->current = 0;
}
