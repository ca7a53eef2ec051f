/* A take of this process: a module that the test compiles, its variables, and the blocks that it
 * makes in the region. What `reprise run --take` records of a runner, without one.
 *
 *     live_take_begin(&t, "a.take", "gcc -g", text)             text has step(); LIVE_PRELUDE is
 * before it live_take_frame(&t, 1)                                    step(), then a frame record
 *     live_take_end(&t)
 *
 * One at a time in a process.
 */
#ifndef TESTS_HOST_LIVE_TAKE_H
#define TESTS_HOST_LIVE_TAKE_H

#include "history/log.h"
#include "module/elf.h"
#include "module/object.h"
#include "support/test.h"
#include "take/writer.h"
#include "trace/trace.h"

#include <base/bits.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <os/os.h>
#include <reprise/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIVE_PRELUDE                                                         \
    "#include <stddef.h>\n#include <string.h>\nvoid *(*allocate)(size_t);\n" \
    "void (*release)(void *); void rp_module_step(void *s) { (void)s; }\n#line 1\n"

typedef struct live_take {
    rp_take_file file;
    rp_take_writer *writer;
    void *handle;
    void (*step)(int frame);
    rp_object object;
    rp_take_page *pages;
    uint8_t *contents; /* of pages that are only in part state */
    size_t count, capacity;
} live_take;

static inline void *live_allocate(size_t size_bytes)
{
    void *block = rp_alloc_at(rp_generic(RP_ZONE_WORLD), size_bytes, "game.c:1 Thing");
    memset(block, 0, rp_usable_bytes(block));
    return block;
}

static inline void live_compile(const char *compiler, const char *text, const char *so)
{
    char line[512];
    FILE *file = fopen("game.c", "w");
    ck_assert_ptr_nonnull(file);
    fputs(LIVE_PRELUDE, file);
    fputs(text, file);
    fclose(file);
    snprintf(line, sizeof line, "%s -w -fPIC -shared game.c -o %s", compiler, so);
    ck_assert_msg(system(line) == 0, "%s", text);
}

static inline void live_load(live_take *t, const char *so)
{
    static rp_object objects[RP_OBJECT_MAX];
    char path[512], here[256];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(path, sizeof path, "%s/%s", here, so);
    t->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(t->handle != NULL, "%s", dlerror());
    *(void **)&t->step = dlsym(t->handle, "step");
    ck_assert_ptr_nonnull(dlsym(t->handle, "step"));
    void *(**allocate)(size_t) = dlsym(t->handle, "allocate");
    void (**release)(void *) = dlsym(t->handle, "release");
    *allocate = live_allocate;
    *release = rp_free;
    size_t count = rp_objects_scan(objects, RP_OBJECT_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(objects[i].path, path) == 0) {
            t->object = objects[i];
        }
    }
    ck_assert(t->object.base != 0);
    if (t->object.tls_bytes) {
        t->object.state[t->object.state_count++] =
            (rp_object_span){(uint64_t)(uintptr_t)rp_object_tls(&t->object), t->object.tls_bytes};
    }
}

static inline void live_lists(live_take *t, const char *so)
{
    rp_take_build build = {.base = t->object.base,
                           .low = t->object.low,
                           .high = t->object.high,
                           .tls_address = (uint64_t)(uintptr_t)rp_object_tls(&t->object),
                           .number = 1};
    rp_take_part part = {.build = 1, .role = RP_TAKE_ROLE_MODULE, .name = "game.so"};
    rp_take_range ranges[RP_OBJECT_STATE_MAX] = {0};
    uint32_t page = RP_PAGE_EXTRA;
    rp_os_bytes bytes;
    for (uint32_t i = 0; i < t->object.state_count; i++) {
        const rp_object_span *span = &t->object.state[i];
        ranges[i] = (rp_take_range){.start = span->start,
                                    .size_bytes = span->size_bytes,
                                    .first_page = page,
                                    .build = 1,
                                    .name = "game.so data"};
        page += 2 + (uint32_t)(span->size_bytes / RP_PAGE_BYTES + 1);
    }
    ck_ok(rp_os_file_read(so, RP_MIB(64), &bytes));
    ck_ok(rp_take_writer_build(t->writer, &build));
    ck_ok(rp_take_writer_file(t->writer, &part, bytes.data, bytes.size_bytes));
    ck_ok(rp_take_writer_ranges(t->writer, ranges, t->object.state_count));
    rp_os_file_free(&bytes);
}

static inline void live_take_begin(live_take *t, const char *path, const char *compiler,
                                   const char *text)
{
    static int serial;
    char so[32];
    rp_take_environment environment = {.rate_hz = 60, .program = "test", .module = "./game.so"};
    *t = (live_take){.capacity = 4096};
    snprintf(so, sizeof so, "game%d.so", ++serial);
    t->pages = malloc(t->capacity * sizeof *t->pages);
    t->contents = malloc(t->capacity * RP_PAGE_BYTES);
    ck_ok(rp_memory_open(&(rp_memory_desc){0}));
    live_compile(compiler, text, so);
    live_load(t, so);
    ck_ok(rp_take_file_create(&t->file, path, false));
    rp_take_writer_desc desc = {.sink = rp_take_file_sink(&t->file),
                                .region_base = RP_REGION_BASE,
                                .environment = &environment,
                                .publish_early = true};
    ck_ok(rp_take_writer_open(&desc, &t->writer));
    live_lists(t, so);
}

static inline void live_add(live_take *t, uint32_t page, const void *bytes, size_t skip,
                            size_t size_bytes)
{
    ck_assert_uint_lt(t->count, t->capacity);
    uint8_t *to = t->contents + t->count * RP_PAGE_BYTES;
    memset(to, 0, RP_PAGE_BYTES);
    memcpy(to + skip, bytes, size_bytes);
    t->pages[t->count++] = (rp_take_page){.page = page, .content = to};
}

static inline bool live_zeros(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, RP_PAGE_BYTES - 1) == 0;
}

/* All of it each time: the writer finds out what changed. */
static inline void live_take_frame(live_take *t, int frame)
{
    rp_region_span spans[RP_REGION_SPANS];
    rp_take_frame_desc desc = {.frame = (uint64_t)frame, .build = 1};
    uint32_t page = RP_PAGE_EXTRA;
    t->step(frame);
    t->count = 0;
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (int i = 0; i < RP_REGION_SPANS; i++) {
        for (size_t at = 0; at < spans[i].size_bytes; at += RP_PAGE_BYTES) {
            const uint8_t *start = spans[i].start + at;
            uint64_t number = ((uint64_t)(uintptr_t)start - RP_REGION_BASE) / RP_PAGE_BYTES;
            if (!live_zeros(start)) {
                live_add(t, (uint32_t)number, start, 0, RP_PAGE_BYTES);
            }
        }
    }
    for (uint32_t i = 0; i < t->object.state_count; i++) {
        uint64_t start = t->object.state[i].start, end = start + t->object.state[i].size_bytes;
        for (uint64_t at = start; at < end; at = rp_align_up(at + 1, RP_PAGE_BYTES)) {
            uint64_t to = rp_min_size(rp_align_up(at + 1, RP_PAGE_BYTES), end);
            live_add(t,
                     page + (uint32_t)((at - rp_align_down(start, RP_PAGE_BYTES)) / RP_PAGE_BYTES),
                     (const void *)(uintptr_t)at, at % RP_PAGE_BYTES, to - at);
        }
        page += 2 + (uint32_t)(t->object.state[i].size_bytes / RP_PAGE_BYTES + 1);
    }
    ck_ok(rp_take_writer_frame(t->writer, &desc, t->pages, t->count));
}

static inline void live_take_end(live_take *t)
{
    ck_ok(rp_take_writer_finish(t->writer));
    rp_take_writer_close(t->writer);
    rp_take_file_close(&t->file);
    dlclose(t->handle);
    free(t->pages);
    free(t->contents);
    rp_memory_close();
}

#endif
