/* A reload in one process: the old build runs, the new one is loaded beside it, and the world is
 * carried over as a runner does it.
 *
 *     reload r = reload_open();                     the region; a folder for sources
 *     reload_build(&r, "gcc -g", old_text, new_text)   both start with RELOAD_PRELUDE
 *     reload_carry(&r, NULL)                        calls old make(), carries, returns the status
 *     reload_check(&r)                              calls new check(): 0, or a line that failed
 *     reload_drop(&r);                              both builds, and all blocks
 *
 * The builds allocate through the pointer `allocate`, since the test's malloc is the system's.
 */
#ifndef TESTS_MODULE_RELOAD_H
#define TESTS_MODULE_RELOAD_H

#include "base/error.h"
#include "module/carry.h"
#include "module/elf.h"
#include "module/fixture.h"
#include "module/object.h"
#include "region/region.h"
#include "trace/trace.h"

#include <dlfcn.h>
#include <reprise/memory.h>

#define RELOAD_PRELUDE                                                \
    "#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n" \
    "void *(*allocate)(size_t); void *(*keep)(size_t);\n"             \
    "#define CHECK(e) do { if (!(e)) return __LINE__; } while (0)\n"  \
    "void rp_module_step(void *s) { (void)s; }\n#line 1\n"

typedef struct reload_build_of {
    rp_elf *elf;
    void *handle;
    rp_object object;
} reload_build_of;

typedef struct reload {
    fixture files;
    reload_build_of old_build, new_build;
    rp_carry_report report;
    rp_migration migration;
    rp_refusal refusal;
    rp_plan *plan;
    bool cxx;
} reload;

/* What a runner's malloc gives: a byte more than asked for, and nothing left of former blocks. */
static inline void *reload_allocate(size_t size_bytes)
{
    void *block = rp_alloc_at(rp_generic(RP_ZONE_WORLD), size_bytes + 1, NULL);
    memset(block, 0, rp_usable_bytes(block));
    return block;
}

static inline reload reload_open(void)
{
    reload r = {.files = fixture_open()};
    ck_ok(rp_memory_open(&(rp_memory_desc){0}));
    return r;
}

static inline void reload_close(reload *r)
{
    rp_memory_close();
    fixture_close(&r->files);
}

static inline void reload_load(reload_build_of *b, const char *path)
{
    ck_ok(rp_elf_open(path, NULL, &b->elf));
    b->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(b->handle != NULL, "%s", dlerror());
    static rp_object objects[RP_OBJECT_MAX];
    size_t count = rp_objects_scan(objects, RP_OBJECT_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(objects[i].path, path) == 0) {
            b->object = objects[i];
            void *(**allocate)(size_t) = dlsym(b->handle, "allocate");
            *allocate = reload_allocate;
            return;
        }
    }
    ck_abort_msg("%s is not among the loaded objects", path);
}

static inline bool reload_compile(reload *r, const char *compiler, const char *text,
                                  const char *name)
{
    const char *file = r->cxx ? "game.cc" : "game.c";
    char line[512], *source = malloc(strlen(text) + 1024);
    ck_assert_ptr_nonnull(source);
    size_t length = (size_t)snprintf(source, 1024, "%s%s%s", r->cxx ? "extern \"C\" {\n" : "",
                                     RELOAD_PRELUDE, r->cxx ? "}\n#line 1\n" : "");
    memcpy(source + length, text, strlen(text) + 1);
    fixture_write(&r->files, file, source);
    free(source);
    snprintf(line, sizeof line, "%s -w -fPIC -shared %s -o %s", compiler, file, name);
    return fixture_run(&r->files, line);
}

/* Names differ each time, as the loader knows a file by its name. */
static inline void reload_build(reload *r, const char *compiler, const char *old_text,
                                const char *new_text)
{
    static int serial;
    char old_name[32], new_name[32];
    serial++;
    snprintf(old_name, sizeof old_name, "old%d.so", serial);
    snprintf(new_name, sizeof new_name, "new%d.so", serial);
    ck_assert_msg(reload_compile(r, compiler, old_text, old_name), "%s", old_text);
    reload_load(&r->old_build, fixture_path(&r->files, old_name)); /* before its .dwo is gone */
    ck_assert_msg(reload_compile(r, compiler, new_text, new_name), "%s", new_text);
    reload_load(&r->new_build, fixture_path(&r->files, new_name));
}

static inline int reload_call(const reload_build_of *b, const char *name)
{
    int (*function)(void);
    *(void **)&function = dlsym(b->handle, name);
    ck_assert_msg(function != NULL, "%s: %s", name, dlerror());
    return function();
}

static inline bool reload_read(void *context, uint64_t old_address, void *to, size_t size_bytes)
{
    (void)context;
    memcpy(to, (const void *)(uintptr_t)old_address, size_bytes);
    return true;
}

static inline int reload_block(const rp_region_block *block, void *context)
{
    reload *r = context;
    bool state = block->kind != RP_BLOCK_FREE && block->kind != RP_BLOCK_RESERVED &&
                 !(block->flags & RP_BLOCK_SCRATCH);
    rp_carry_span span = {block->start, block->size_bytes};
    if (state) {
        rp_carry_pointers(r->plan, r->new_build.object.base, rp_object_tls(&r->new_build.object),
                          &span, 1, &r->report);
    }
    return 0;
}

static inline void reload_pointers(reload *r)
{
    const rp_object *object = &r->new_build.object;
    rp_region_walk(RP_ZONE_WORLD, reload_block, r);
    for (uint32_t i = 0; i < object->state_count; i++) {
        rp_carry_span span = {(void *)(uintptr_t)object->state[i].start,
                              object->state[i].size_bytes};
        rp_carry_pointers(r->plan, object->base, rp_object_tls(object), &span, 1, &r->report);
    }
    rp_carry_span thread = {rp_object_tls(object), object->tls_bytes};
    if (thread.start) {
        rp_carry_pointers(r->plan, object->base, thread.start, &thread, 1, &r->report);
    }
}

/* Carries the world as it is. RP_E_CHANGED: refused, the record says why. */
static inline rp_status reload_carry(reload *r, const rp_plan_options *options)
{
    rp_plan_options own = options ? *options : (rp_plan_options){0};
    own.refusal = &r->refusal;
    rp_status status = rp_plan_make(r->old_build.elf, 1, r->old_build.object.base,
                                    (uint64_t)(uintptr_t)rp_object_tls(&r->old_build.object),
                                    r->new_build.elf, 2, &own, &r->plan);
    if (status) {
        return status;
    }
    ck_ok(rp_plan_check(r->plan, r->plan->total_bytes));
    const rp_object *object = &r->new_build.object;
    void *tls = rp_object_tls(object);
    status = r->plan->type_count
                 ? rp_carry_migrate(r->plan, object->base, tls, reload_read, NULL, NULL, 0,
                                    &r->report, &r->migration, &r->refusal)
                 : rp_carry_copy(r->plan, object->base, tls, reload_read, NULL, &r->report);
    if (!status) {
        reload_pointers(r);
    }
    return status;
}

static inline const char *reload_report(const reload *r)
{
    return rp_plan_name(r->plan, (uint32_t)r->plan->report_offset);
}

static inline int reload_free_block(void *block, size_t size_bytes, void *context)
{
    void ***next = context;
    (void)size_bytes;
    *(*next)++ = block;
    return 0;
}

static inline void reload_drop(reload *r)
{
    rp_plan_free(r->plan);
    r->plan = NULL;
    rp_alloc_stats stats;
    rp_stats_get(rp_generic(RP_ZONE_WORLD), &stats);
    void **blocks = malloc((stats.live_count + 1) * sizeof *blocks), **next = blocks;
    ck_assert_ptr_nonnull(blocks);
    rp_walk(rp_generic(RP_ZONE_WORLD), reload_free_block, &next);
    while (next > blocks) {
        rp_free(*--next);
    }
    free(blocks);
    dlclose(r->old_build.handle);
    dlclose(r->new_build.handle);
    rp_elf_close(r->old_build.elf);
    rp_elf_close(r->new_build.elf);
    r->report = (rp_carry_report){0};
    r->migration = (rp_migration){0};
    r->refusal = (rp_refusal){0};
}

#endif
