#include "robust_take_write.h"

#include "support/test.h"

#include <base/bits.h>
#include <os/os.h>
#include <region/region.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS_MOST = 256, RANGES_MOST = 1024, PAGES_MOST = 1 << 20 };

static void builds_write(const session *s, rp_take_writer *writer)
{
    for (uint32_t i = 0; i < s->build_count; i++) {
        const session_build *from = &s->builds[i];
        rp_take_build build = {.base = from->base,
                               .low = from->low,
                               .high = from->high,
                               .tls_address = from->tls_address,
                               .number = i + 1,
                               .id_bytes = from->elf->build_id_bytes,
                               .path = "/somewhere/else/game.so"};
        rp_take_part part = {.build = i + 1, .role = RP_TAKE_ROLE_MODULE, .name = "game.so"};
        memcpy(build.id, from->elf->build_id, sizeof build.id);
        rp_os_bytes bytes;
        ck_ok(rp_os_file_read(from->path, RP_GIB(1), &bytes));
        ck_ok(rp_take_writer_build(writer, &build));
        ck_ok(rp_take_writer_file(writer, &part, bytes.data, bytes.size_bytes));
        rp_os_file_free(&bytes);
    }
}

static void lists_write(const session *s, rp_take_writer *writer, const take_change *change)
{
    static rp_take_object objects[OBJECTS_MOST];
    static rp_take_range ranges[RANGES_MOST];
    uint32_t count = s->live.link->object_count;
    for (uint32_t i = 0; i < count; i++) {
        const link_object *from = &s->live.link->objects[i];
        objects[i] = (rp_take_object){.base = from->base,
                                      .low = from->low,
                                      .high = from->high,
                                      .tls_address = from->tls_address,
                                      .build = from->build,
                                      .zone = from->zone,
                                      .id_bytes = from->build_id_bytes};
        memcpy(objects[i].id, from->build_id, sizeof objects[i].id);
        memcpy(objects[i].path, from->path, sizeof objects[i].path);
    }
    if (change->objects) {
        change->objects(objects, count);
    }
    ck_ok(rp_take_writer_objects(writer, objects, count));
    for (uint32_t i = 0; i < s->known_count; i++) {
        const link_range *from = &s->known[i];
        ranges[i] = (rp_take_range){.start = from->start,
                                    .size_bytes = from->size_bytes,
                                    .first_page = from->first_page,
                                    .build = from->build};
        memcpy(ranges[i].name, from->name, sizeof ranges[i].name);
    }
    ck_ok(rp_take_writer_ranges(writer, ranges, s->known_count));
}

static void frame_write(session *s, uint64_t index, rp_take_writer *writer, bool thin, bool first)
{
    static uint32_t numbers[PAGES_MOST];
    rp_record record;
    const rp_page_slot *entries;
    size_t count;
    ck_ok(rp_log_seek(s->log, index, &entries, &count));
    ck_assert(rp_log_record(s->log, index, &record));
    rp_take_frame_desc desc = {.frame = record.frame,
                               .build = record.build,
                               .kind = record.kind,
                               .step_ns = record.step_ns,
                               .thin = thin,
                               .has_hash = true};
    desc.input = rp_log_input(s->log, index, &desc.input_bytes);
    ck_ok(rp_log_hash(s->log, index, &desc.hash));
    if (first) {
        ck_ok(rp_log_full(s->log, &entries, &count));
        ck_assert_uint_le(count, PAGES_MOST);
        for (size_t i = 0; i < count; i++) {
            numbers[i] = entries[i].page;
        }
    } else {
        count = rp_log_record_pages(s->log, index, numbers, PAGES_MOST);
    }
    rp_take_page *pages = calloc(count + 1, sizeof *pages);
    size_t fed = 0;
    for (size_t i = 0; i < count && !thin; i++) {
        uint32_t slot = rp_log_slot_of(s->log, numbers[i]);
        pages[fed++] =
            (rp_take_page){.page = numbers[i], .content = slot ? rp_log_slot(s->log, slot) : NULL};
    }
    ck_ok(rp_take_writer_frame(writer, &desc, pages, fed));
    free(pages);
}

void take_write(session *s, const char *path, const take_change *change)
{
    rp_take_file file;
    rp_take_writer *writer;
    uint64_t stood = session_frame(s);
    rp_take_environment environment = {.seed = s->start.seed,
                                       .start_wall_ns = s->start.start_wall_ns,
                                       .canary = s->start.canary,
                                       .pointer_guard = s->start.pointer_guard,
                                       .rate_hz = s->rate_hz,
                                       .width_px = s->width_px,
                                       .height_px = s->height_px,
                                       .flags = change->thin ? RP_TAKE_INPUTS_ALONE : 0};
    ck_ok(rp_take_file_create(&file, path, true));
    rp_take_writer_desc desc = {.sink = rp_take_file_sink(&file),
                                .region_base =
                                    change->region_base ? change->region_base : RP_REGION_BASE,
                                .environment = &environment};
    ck_ok(rp_take_writer_open(&desc, &writer));
    if (!change->without_builds) {
        builds_write(s, writer);
    }
    lists_write(s, writer, change);
    uint64_t first = rp_log_first(s->log), last = rp_log_last(s->log);
    for (uint64_t index = first; index <= last; index++) {
        frame_write(s, index, writer, change->thin && index > first, index == first);
    }
    ck_ok(rp_take_writer_finish(writer));
    rp_take_writer_close(writer);
    rp_take_file_close(&file);
    ck_ok(session_seek(s, stood));
}
