/* Modules that a test compiles and reloads in its own process.
 *
 *     modules m = modules_open();                a folder; a deck
 *     modules_write(&m, "int n; …");             compiles game.so
 *     ck_ok(rp_deck_load(m.deck, &m.desc));
 *     modules_call(&m, "step");
 *     modules_close(&m);
 *
 * The modules allocate through the pointer `allocate`, as the test's malloc is the system's.
 */
#ifndef TESTS_DECK_RELOAD_MODULE_H
#define TESTS_DECK_RELOAD_MODULE_H

#include "base/bits.h"
#include "module/fixture.h"

#include <reprise/reload.h>

#define MODULE_PRELUDE                                                       \
    "#include <stddef.h>\n#include <stdint.h>\nvoid *(*allocate)(size_t);\n" \
    "#define CHECK(e) do { if (!(e)) return __LINE__; } while (0)\n#line 1\n"

typedef struct modules {
    fixture files;
    rp_deck *deck;
    rp_module_desc desc;
    char path[128];
    const char *compiler; /* null: gcc -g */
} modules;

static rp_deck *modules_deck;

/* As in a runner: a byte more than asked for, and zero behind. */
static inline void *modules_allocate(size_t size_bytes)
{
    void *block = rp_alloc_zeroed(rp_deck_heap(modules_deck), 1, size_bytes + 1);
    ck_assert_ptr_nonnull(block);
    return block;
}

static inline modules modules_open_with(const rp_deck_desc *desc)
{
    modules m = {.files = fixture_open()};
    rp_deck_desc own = desc ? *desc : (rp_deck_desc){0};
    own.reserve_bytes = RP_GIB(1);
    own.budget_bytes = own.budget_bytes ? own.budget_bytes : RP_MIB(16);
    setenv("REPRISE_PLAN", RP_TEST_PLANNER, 1);
    ck_ok(rp_deck_open(&own, &m.deck));
    modules_deck = m.deck;
    snprintf(m.path, sizeof m.path, "%s/game.so", m.files.folder);
    return m;
}

static inline modules modules_open(void)
{
    return modules_open_with(NULL);
}

static inline void modules_write(modules *m, const char *text)
{
    size_t bytes = strlen(text) + sizeof MODULE_PRELUDE;
    char *source = malloc(bytes);
    snprintf(source, bytes, "%s%s", MODULE_PRELUDE, text);
    fixture_write(&m->files, "game.c", source);
    free(source);
    fixture_build(&m->files, m->compiler ? m->compiler : "gcc -g", "game.c", "game.so");
}

static inline void modules_load(modules *m, const char *text)
{
    modules_write(m, text);
    m->desc.path = m->path;
    ck_ok(rp_deck_load(m->deck, &m->desc));
    void *(**allocate)(size_t) = rp_deck_symbol(m->deck, "allocate");
    ck_assert_ptr_nonnull(allocate);
    *allocate = modules_allocate;
}

static inline rp_status modules_reload(modules *m, const char *text, rp_reload *reload)
{
    modules_write(m, text);
    return rp_deck_reload(m->deck, &m->desc, reload);
}

static inline int modules_call(modules *m, const char *name)
{
    int (*function)(void);
    *(void **)&function = rp_deck_symbol(m->deck, name);
    ck_assert_msg(function != NULL, "%s is not in build %u", name, rp_deck_build(m->deck));
    return function();
}

/* A frame that calls the function; what it was. */
static inline rp_moment modules_frame(modules *m, const char *name)
{
    rp_moment moment = rp_frame_begin(m->deck, NULL, 0);
    modules_call(m, name);
    ck_ok(rp_frame_end(m->deck, NULL));
    return moment;
}

static inline void modules_close(modules *m)
{
    rp_deck_close(m->deck);
    fixture_close(&m->files);
}

#endif
