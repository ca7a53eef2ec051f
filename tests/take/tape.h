/* Takes in memory for the tests: a sink that can fill up, a source over bytes, and a small world
 * with full copies of what it was after each frame.
 */
#ifndef TESTS_TAKE_TAPE_H
#define TESTS_TAKE_TAPE_H

#include "base/bits.h"
#include "base/error.h"
#include "history/log.h"
#include "support/test.h"
#include "take/codec.h"
#include "take/reader.h"
#include "take/state.h"
#include "take/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- bytes ----------------------------------------------------------------------------------- */

typedef struct tape {
    uint8_t *bytes;
    size_t size_bytes, capacity;
    size_t room_bytes; /* of the disk; 0: as much as there is memory */
    int published, synced;
} tape;

static inline rp_status tape_append(void *context, const void *data, size_t size_bytes)
{
    tape *t = context;
    if (t->room_bytes && t->size_bytes + size_bytes > t->room_bytes) {
        size_t fits = t->room_bytes - t->size_bytes; /* as a full disk does */
        memcpy(t->bytes + t->size_bytes, data, fits);
        t->size_bytes += fits;
        return rp_fail_system(RP_E_SYSTEM, ENOSPC, "tape: cannot be written");
    }
    if (t->size_bytes + size_bytes > t->capacity) {
        t->capacity = 2 * (t->size_bytes + size_bytes) + t->room_bytes;
        t->bytes = realloc(t->bytes, t->capacity);
    }
    memcpy(t->bytes + t->size_bytes, data, size_bytes);
    t->size_bytes += size_bytes;
    return RP_OK;
}

static inline rp_status tape_sync(void *context)
{
    ((tape *)context)->synced++;
    return RP_OK;
}

static inline rp_status tape_publish(void *context)
{
    ((tape *)context)->published++;
    return RP_OK;
}

static inline rp_take_sink tape_sink(tape *t)
{
    if (t->room_bytes && !t->bytes) {
        t->bytes = malloc(t->room_bytes);
        t->capacity = t->room_bytes;
    }
    return (rp_take_sink){t, tape_append, tape_sync, tape_publish};
}

static inline rp_status tape_read(void *context, uint64_t offset, void *data, size_t size_bytes)
{
    const tape *t = context;
    if (offset > t->size_bytes || size_bytes > t->size_bytes - offset) {
        return rp_fail(RP_E_FORMAT, "tape: ends before %llu",
                       (unsigned long long)offset + size_bytes);
    }
    if (size_bytes) {
        memcpy(data, t->bytes + offset, size_bytes);
    }
    return RP_OK;
}

static inline rp_take_source tape_source(tape *t)
{
    return (rp_take_source){t, "tape", t->size_bytes, tape_read};
}

static inline rp_status tape_open(tape *t, rp_take **take)
{
    return rp_take_open(&(rp_take_open_desc){.source = tape_source(t)}, take);
}

/* ---- a world --------------------------------------------------------------------------------- */

enum {
    WORLD_PAGES = 96,
    WORLD_FRAMES_MOST = 4096,
    WORLD_EXTRA = 8 /* the last ones are of a range */
};

typedef struct world {
    uint8_t pages[WORLD_PAGES][4096];
    uint8_t *copies[WORLD_FRAMES_MOST]; /* after each frame record; null: thin */
    uint8_t owed[WORLD_PAGES];          /* differ from the last record that was not thin */
    uint64_t frames;                    /* records */
    uint64_t random;
} world;

static inline uint32_t world_page(int index)
{
    return index < WORLD_PAGES - WORLD_EXTRA ? (uint32_t)(index * 3 + 1)
                                             : RP_PAGE_EXTRA + (uint32_t)index;
}

static inline world *world_new(uint64_t seed)
{
    world *w = calloc(1, sizeof *w);
    w->random = seed ? seed : 1;
    for (int i = 0; i < WORLD_PAGES; i++) {
        for (int j = 0; j < 4096 && i % 5; j += 8) {
            uint64_t r = i % 3 ? (uint64_t)i : test_random(&w->random);
            memcpy(w->pages[i] + j, &r, 8);
        }
        w->owed[i] = 1;
    }
    return w;
}

static inline void world_free(world *w)
{
    for (uint64_t i = 0; i < w->frames; i++) {
        free(w->copies[i]);
    }
    free(w);
}

/* What programs do to pages: a few words, all of it, zeros, another page's content, what it was. */
static inline void world_write(world *w, int index)
{
    uint64_t r = test_random(&w->random);
    uint8_t *page = w->pages[index];
    w->owed[index] = 1;
    switch (r % 8) {
    case 0:
        memset(page, 0, 4096);
        break;
    case 1:
        memcpy(page, w->pages[(r >> 8) % WORLD_PAGES], 4096);
        break;
    case 2:
        for (size_t i = 0; i < 4096; i += 8) {
            uint64_t word = test_random(&w->random);
            memcpy(page + i, &word, 8);
        }
        break;
    case 3:
        break; /* written with what it had */
    default:
        for (uint64_t i = 0; i <= r % 20; i++) {
            uint64_t word = test_random(&w->random);
            memcpy(page + word % 512 * 8, &word, 8);
        }
    }
}

static inline uint64_t world_hash(const world *w)
{
    uint64_t hash = 0;
    for (int i = 0; i < WORLD_PAGES; i++) {
        hash += rp_take_page_hash(world_page(i), w->pages[i]);
    }
    return hash;
}

static inline size_t world_list(world *w, rp_take_page *list)
{
    size_t count = 0;
    for (int i = WORLD_PAGES; i-- > 0;) { /* out of order */
        if (w->owed[i]) {
            list[count++] = (rp_take_page){.page = world_page(i), .content = w->pages[i]};
        }
    }
    return count;
}

/* A frame record with what was written since the last one. */
static inline rp_status world_frame(world *w, rp_take_writer *writer, uint64_t frame, bool thin)
{
    rp_take_page list[WORLD_PAGES];
    uint8_t input[32];
    uint32_t input_bytes = (uint32_t)(w->frames % sizeof input);
    memset(input, (int)w->frames, sizeof input);
    rp_take_frame_desc desc = {.frame = frame,
                               .build = 1 + (uint32_t)(w->frames / 50),
                               .step_ns = 1000 + w->frames,
                               .input = input,
                               .input_bytes = input_bytes,
                               .thin = thin,
                               .has_hash = true,
                               .hash = world_hash(w)};
    rp_status status = rp_take_writer_frame(writer, &desc, list, thin ? 0 : world_list(w, list));
    if (status) {
        return status;
    }
    w->copies[w->frames] = NULL;
    if (!thin) {
        w->copies[w->frames] = malloc(sizeof w->pages);
        memcpy(w->copies[w->frames], w->pages, sizeof w->pages);
        memset(w->owed, 0, sizeof w->owed);
    }
    w->frames++;
    return RP_OK;
}

static inline void world_expect(const world *w, rp_take_state *state, uint64_t index)
{
    static const uint8_t zeros[4096];
    for (int i = 0; i < WORLD_PAGES; i++) {
        const uint8_t *page = rp_take_state_page(state, world_page(i));
        ck_assert_msg(memcmp(page ? page : zeros, w->copies[index] + (size_t)i * 4096, 4096) == 0,
                      "frame record %llu: page %d differs", (unsigned long long)index, i);
    }
}

/* ---- a take of everything ---------------------------------------------------------------------
 */

static inline rp_take_environment tape_environment(void)
{
    return (rp_take_environment){.seed = 7,
                                 .start_wall_ns = 8,
                                 .canary = 9,
                                 .pointer_guard = 10,
                                 .rate_hz = 60,
                                 .width_px = 320,
                                 .height_px = 180,
                                 .program = "reprise test",
                                 .system = "a system",
                                 .cpu = "a cpu",
                                 .module = "./game.so",
                                 .title = "Game"};
}

static inline rp_status tape_begin(tape *t, rp_take_writer **writer)
{
    rp_take_environment environment = tape_environment();
    rp_take_writer_desc desc = {.sink = tape_sink(t),
                                .take_id = 0x1234,
                                .region_base = UINT64_C(0x550000000000),
                                .environment = &environment,
                                .base_frames = 10,
                                .publish_early = true};
    return rp_take_writer_open(&desc, writer);
}

static inline rp_status tape_lists(rp_take_writer *writer)
{
    static const char module[10000] = "\177ELF and so on";
    rp_take_build build = {.base = 0x1000,
                           .low = 0x1000,
                           .high = 0x9000,
                           .number = 1,
                           .id_bytes = 2,
                           .id = {0xab, 0xcd},
                           .path = "../game/game.so"};
    rp_take_part part = {.build = 1, .role = RP_TAKE_ROLE_MODULE, .name = "game.so"};
    rp_take_object objects[2] = {{.base = 0x1000, .build = 1, .zone = 1, .path = "game.so"},
                                 {.base = 0xa000, .zone = 2, .path = "libc.so.6"}};
    rp_take_range range = {.start = 0x2010,
                           .size_bytes = WORLD_EXTRA * 4096 - 0x20,
                           .first_page = RP_PAGE_EXTRA + WORLD_PAGES - WORLD_EXTRA,
                           .build = 1,
                           .name = "game.so .data"};
    rp_status status = rp_take_writer_build(writer, &build);
    status = status ? status : rp_take_writer_file(writer, &part, module, sizeof module);
    status = status ? status : rp_take_writer_objects(writer, objects, 2);
    return status ? status : rp_take_writer_ranges(writer, &range, 1);
}

static inline rp_status tape_end(rp_take_writer *writer)
{
    rp_take_loop loop = {.from = 2, .to = 5, .name = "jump"};
    rp_take_bookmark bookmark = {.frame = 3, .name = "before the gap"};
    rp_take_crash crash = {
        .frame = 9, .build = 1, .signal = 11, .kind = 1, .text = "e->target is null"};
    static const char report[] = "game.c:141 step\n";
    rp_status status = rp_take_writer_loop(writer, &loop);
    status = status ? status : rp_take_writer_bookmark(writer, &bookmark);
    status =
        status ? status : rp_take_writer_crash(writer, &crash, "in", 2, report, sizeof report - 1);
    return status ? status : rp_take_writer_finish(writer);
}

/* `frames` frames with all kinds of records. */
static inline rp_status tape_whole(tape *t, world *w, int frames)
{
    rp_take_writer *writer;
    rp_status status = tape_begin(t, &writer);
    status = status ? status : tape_lists(writer);
    for (int i = 0; i < frames && !status; i++) {
        for (int j = 0; j < 5; j++) {
            world_write(w, (int)(test_random(&w->random) % WORLD_PAGES));
        }
        status = world_frame(w, writer, (uint64_t)i + 1, i % 7 == 5);
    }
    status = status ? status : tape_end(writer);
    rp_take_writer_close(writer);
    return status;
}

#endif
