/* Accesses to the data of a build that is not the current one: named by the thread that makes them,
 * in a signal handler. */
#include "deck/deck_private.h"

#include "base/error.h"
#include "base/text.h"

#include <stdarg.h>

static rp_deck *watched; /* one deck a process */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    rp_os_error_line(format, arguments);
    va_end(arguments);
}

/* The build in whose loaded range it lies; 0: none. */
static uint32_t build_of(const rp_deck *deck, uint64_t address)
{
    uint32_t count = __atomic_load_n(&deck->module.count, __ATOMIC_ACQUIRE);
    for (uint32_t number = 1; number <= count; number++) {
        const rp_object *object = &deck_build_at(deck, number)->object;
        if (address >= object->low && address < object->high) {
            return number;
        }
    }
    return 0;
}

/* "counter+4 of build 2" */
static void describe(const rp_deck *deck, uint64_t address, char *text, size_t capacity)
{
    rp_text_buffer to = rp_text_buffer_over(text, capacity);
    uint32_t number = build_of(deck, address);
    if (!number) {
        rp_text_add(&to, "%#llx outside the module", (unsigned long long)address);
        return;
    }
    const deck_build *build = deck_build_at(deck, number);
    uint64_t in_file = address - build->object.base;
    const rp_planned_symbol *symbol = rp_planned_find(build->planned, in_file);
    if (symbol) {
        rp_text_add(&to, "%.80s+%llu of build %u", rp_planned_name(build->planned, symbol),
                    (unsigned long long)(in_file - symbol->address), number);
    } else {
        rp_text_add(&to, "data without a name at %#llx of build %u", (unsigned long long)in_file,
                    number);
    }
}

static void on_access(void *context, const rp_os_denied_access *access)
{
    const rp_deck *deck = context;
    uint64_t address = (uint64_t)(uintptr_t)access->address;
    uint32_t number = build_of(deck, address);
    char what[128], who[128];
    if (!number || number == deck->module.current) {
        return; /* the program's own fault */
    }
    describe(deck, address, what, sizeof what);
    describe(deck, access->pc, who, sizeof who);
    say("stale access: %s %s, by %s: build %u runs: ask rp_deck_symbol again after a reload, and "
        "keep such addresses in the state",
        access->is_write ? "write to" : "read of", what, who, deck->module.current);
}

/* The loader runs the builds' destructors, which use their data. */
static void on_exit_of_process(void)
{
    if (watched) {
        deck_builds_calm(watched);
    }
}

rp_status deck_stale_watch(rp_deck *deck)
{
    rp_status status = rp_os_exit_set(on_exit_of_process);
    if (status == RP_OK) {
        status = rp_os_denied_watch(on_access, deck);
    }
    if (status == RP_OK) {
        watched = deck;
        deck->module.watched = true;
    }
    return status;
}

void deck_stale_end(void)
{
    watched = NULL;
    rp_os_denied_end();
    (void)rp_os_exit_set(NULL);
}
