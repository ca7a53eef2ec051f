/* What a deck's history holds, as a take. See reprise/take.h. */
#include <reprise/take.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "deck/deck_parts.h"
#include "region/region.h"
#include "take/frames.h"
#include "take/memory.h"

#include <string.h>

enum { PROGRAM_BUILD = 1 }; /* the records of a deck without a module say so */

typedef struct saving {
    rp_deck *deck;
    rp_log *log;
    uint64_t first, last; /* records */
    rp_take_file file;
    rp_take_writer *writer;
    rp_take_array list;       /* what is written next */
    rp_take_array scanned;    /* rp_object: what is loaded */
    const rp_object *program; /* of them */
    size_t scanned_count;
    char program_path[RP_OBJECT_PATH_BYTES];
} saving;

/* ---- what is loaded ---- */

static rp_status scan(saving *s)
{
    rp_status status = rp_take_array_need(&s->scanned, RP_OBJECT_MAX * sizeof(rp_object));
    if (status) {
        return status;
    }
    rp_object *objects = (rp_object *)(void *)s->scanned.data;
    s->scanned_count = rp_objects_scan(objects, RP_OBJECT_MAX);
    for (size_t i = 0; i < s->scanned_count && !s->program; i++) {
        s->program = objects[i].path[0] ? NULL : &objects[i];
    }
    rp_os_program_path(s->program_path, sizeof s->program_path);
    return RP_OK;
}

/* 0: no build of the module. */
static uint32_t build_of(const saving *s, const rp_object *object)
{
    uint32_t count = rp_deck_parts_build_count(s->deck);
    for (uint32_t number = 1; number <= count; number++) {
        rp_deck_build_part part;
        rp_deck_parts_build(s->deck, number, &part);
        if (part.object->base == object->base) {
            return number;
        }
    }
    return !count && object == s->program ? PROGRAM_BUILD : 0;
}

static const char *path_of(const saving *s, const rp_object *object, uint32_t build)
{
    return object == s->program ? s->program_path
           : build              ? rp_deck_parts_module(s->deck)
                                : object->path;
}

static rp_status write_objects(saving *s)
{
    const rp_object *objects = (const rp_object *)(const void *)s->scanned.data;
    rp_status status = RP_OK;
    s->list.used_bytes = 0;
    for (size_t i = 0; !status && i < s->scanned_count; i++) {
        const rp_object *from = &objects[i];
        rp_take_object object = {.base = from->base,
                                 .low = from->low,
                                 .high = from->high,
                                 .tls_address = (uint64_t)(uintptr_t)rp_object_tls(from),
                                 .build = build_of(s, from),
                                 .id_bytes = from->build_id_bytes};
        object.zone = object.build ? RP_ZONE_WORLD : RP_ZONE_KEEP;
        memcpy(object.id, from->build_id, sizeof object.id);
        rp_text_copy(object.path, sizeof object.path, path_of(s, from, object.build));
        status = rp_take_array_add(&s->list, &object, sizeof object);
    }
    return status ? status
                  : rp_take_writer_objects(s->writer,
                                           (const rp_take_object *)(const void *)s->list.data,
                                           s->scanned_count);
}

/* ---- builds ---- */

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static rp_status write_one_build(saving *s, uint32_t number, const rp_deck_build_part *from,
                                 const char *path)
{
    const rp_object *object = from->object;
    rp_take_build build = {.base = object->base,
                           .low = object->low,
                           .high = object->high,
                           .tls_address = from->tls_address,
                           .number = number,
                           .id_bytes = object->build_id_bytes};
    rp_take_part part = {.build = number, .role = RP_TAKE_ROLE_MODULE};
    memcpy(build.id, object->build_id, sizeof build.id);
    rp_text_copy(build.path, sizeof build.path, path);
    rp_text_copy(part.name, sizeof part.name, name_of(path));
    rp_status status = rp_take_writer_build(s->writer, &build);
    return status ? status : rp_take_writer_file_at(s->writer, &part, from->path);
}

static rp_status write_build(void *context, uint32_t number)
{
    saving *s = context;
    rp_deck_build_part part = {.object = s->program};
    if (rp_deck_parts_build_count(s->deck)) {
        rp_deck_parts_build(s->deck, number, &part);
        return write_one_build(s, number, &part, rp_deck_parts_module(s->deck));
    }
    if (!s->program) {
        return RP_OK; /* the loader does not tell of it: frames have no names of variables then */
    }
    part.tls_address = (uint64_t)(uintptr_t)rp_object_tls(s->program);
    rp_text_copy(part.path, sizeof part.path, rp_os_program_file());
    return write_one_build(s, number, &part, s->program_path);
}

/* ---- ranges, the loop ---- */

static rp_status add_range(void *context, uint32_t build, const rp_world_range *from)
{
    saving *s = context;
    rp_take_range range = {.start = (uint64_t)(uintptr_t)from->start,
                           .size_bytes = from->size_bytes,
                           .first_page = from->first_page,
                           .build = build};
    rp_text_copy(range.name, sizeof range.name, from->name);
    return rp_take_array_add(&s->list, &range, sizeof range);
}

static rp_status write_ranges(saving *s)
{
    s->list.used_bytes = 0;
    rp_status status = rp_deck_parts_ranges(s->deck, add_range, s);
    return status
               ? status
               : rp_take_writer_ranges(s->writer, (const rp_take_range *)(const void *)s->list.data,
                                       s->list.used_bytes / sizeof(rp_take_range));
}

/* Where all of it is in the take. */
static rp_status write_loop(saving *s, const rp_take_frames_result *written)
{
    rp_take_loop loop = {.flags = 1};
    bool is_set = rp_deck_parts_loop(s->deck, &loop.from, &loop.to);
    return is_set && loop.from >= written->first_frame && loop.to <= written->last_frame
               ? rp_take_writer_loop(s->writer, &loop)
               : RP_OK;
}

/* ---- all of it ---- */

static rp_status begin(saving *s)
{
    rp_take_environment environment = {.flags = RP_TAKE_EMBEDDED};
    rp_take_environment_here("librereprise", &environment);
    bool module = rp_deck_parts_build_count(s->deck);
    rp_text_copy(environment.module, sizeof environment.module,
                 module ? rp_deck_parts_module(s->deck) : s->program_path);
    rp_take_writer_desc desc = {.sink = rp_take_file_sink(&s->file),
                                .region_base = RP_REGION_BASE,
                                .created_wall_ns = rp_os_wall_ns(),
                                .environment = &environment};
    return rp_take_writer_open(&desc, &s->writer);
}

static rp_status write_all(saving *s)
{
    rp_take_frames_result result;
    rp_status status = begin(s);
    status = status ? status : write_objects(s);
    status = status ? status : write_ranges(s);
    status = status ? status : rp_take_frames_builds(s->log, s->first, s->last, write_build, s);
    if (!status) {
        const rp_take_frames_desc desc = {
            .log = s->log, .writer = s->writer, .first = s->first, .last = s->last};
        status = rp_take_frames_write(&desc, &result);
    }
    if (!status && !result.frames) {
        status =
            rp_fail(RP_E_RANGE, "take: of these frames only inputs are left: nothing was saved");
    }
    status = status ? status : write_loop(s, &result);
    return status ? status : rp_take_writer_finish(s->writer);
}

static rp_status save(saving *s, const char *path)
{
    rp_status status = rp_take_array_init(&s->list, RP_MIB(64));
    status = status ? status : rp_take_array_init(&s->scanned, RP_OBJECT_MAX * sizeof(rp_object));
    status = status ? status : scan(s);
    status = status ? status : rp_take_file_create(&s->file, path, false);
    if (!status) {
        status = write_all(s);
        rp_take_writer_close(s->writer);
        rp_take_file_close(&s->file); /* takes away what has no name yet */
    }
    rp_take_array_finish(&s->list);
    rp_take_array_finish(&s->scanned);
    return status;
}

rp_status rp_take_save(rp_deck *deck, const char *path, uint64_t from, uint64_t to)
{
    saving s = {.deck = deck, .log = rp_deck_parts_log(deck)};
    rp_status status = rp_deck_parts_check(deck);
    if (status) {
        return status;
    }
    if (!rp_take_frames_find(s.log, from, to, &s.first, &s.last)) {
        return rp_fail(RP_E_RANGE, "take: no frame from %llu to %llu is kept: nothing was saved",
                       (unsigned long long)from, (unsigned long long)to);
    }
    return save(&s, path);
}
