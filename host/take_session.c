/* A take's builds, ranges and libraries in a session. Its frames: take_session_load.c. */
#include "take_session.h"
#include "session_internal.h"
#include "take_session_internal.h"
#include "take_trust.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <os/os.h>
#include <region/region.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUILD_MOST_BYTES = 1 << 30 };

/* ---- what a take was made in ---- */

static rp_status base_check(const take_file *file)
{
    uint64_t base = file->overview.header.region_base;
    return base == RP_REGION_BASE
               ? RP_OK
               : rp_fail(RP_E_UNSUPPORTED,
                         "%s: its memory lies at 0x%llx, and that of this program at 0x%llx: open "
                         "it with the reprise that made it (\"%.32s\")",
                         file->path, (unsigned long long)base, (unsigned long long)RP_REGION_BASE,
                         file->overview.environment.program);
}

/* Whose main loop is not in the take, so nothing here could make a frame. */
static rp_status loop_check(const take_file *file)
{
    return file->overview.environment.flags & RP_TAKE_EMBEDDED
               ? rp_fail(RP_E_NOT_FOUND,
                         "%s: it was saved by a program that embeds the deck (rp_take_save), whose "
                         "own loop makes its frames: they can be read (reprise info, diff, plot, "
                         "export), and not run",
                         file->path)
               : RP_OK;
}

static bool is_canvas(uint32_t side)
{
    return side >= 1 && side <= LINK_CANVAS_MAX_PX;
}

static rp_status session_begin(const take_session_desc *desc, session *s)
{
    const rp_take_environment *e = &desc->file->overview.environment;
    const rp_os_secrets origin = {.canary = e->canary, .pointer_guard = e->pointer_guard};
    session_desc as = desc->session;
    as.origin = &origin;
    as.seed = e->seed;
    as.start_wall_ns = e->start_wall_ns;
    as.width_px = is_canvas(e->width_px) ? e->width_px : as.width_px;
    as.height_px = is_canvas(e->height_px) ? e->height_px : as.height_px;
    as.rate_hz = e->rate_hz >= 1 && e->rate_hz <= 1000 ? e->rate_hz : as.rate_hz;
    rp_status status = session_open(&as, s);
    rp_text_copy(s->title, sizeof s->title, e->title);
    take_file_plain(s->title);
    return status;
}

/* ---- builds ---- */

static void id_text(const uint8_t *id, uint32_t bytes, char *text, size_t capacity)
{
    rp_text_buffer to = rp_text_buffer_over(text, capacity);
    rp_text_add(&to, "%s", bytes ? "" : "none");
    for (uint32_t i = 0; i < bytes; i++) {
        rp_text_add(&to, "%02x", id[i]);
    }
}

static rp_status build_file_read(const take_file *file, uint32_t number, rp_take_array *bytes)
{
    const rp_take_index_other *other;
    for (uint64_t i = 0; (other = rp_take_other_at(file->take, i)); i++) {
        rp_take_part part;
        if (other->type != RP_TAKE_FILE) {
            continue;
        }
        rp_status status = rp_take_other_read(file->take, i, &part, NULL, NULL);
        if (status) {
            return status;
        }
        if (part.build == number && part.role == RP_TAKE_ROLE_MODULE && part.offset_bytes == 0) {
            return rp_take_file_read(file->take, i, bytes);
        }
    }
    return rp_fail(RP_E_NOT_FOUND,
                   "%s: build %u is not in it: its frames can be read (reprise info, diff, "
                   "export), and not run",
                   file->path, number);
}

static bool is_file_of_the_user(const take_session_desc *desc, const rp_take_array *bytes)
{
    rp_os_bytes own;
    if (!desc->known || rp_os_file_read(desc->known, BUILD_MOST_BYTES, &own)) {
        return false;
    }
    bool same =
        own.size_bytes == bytes->used_bytes && memcmp(own.data, bytes->data, own.size_bytes) == 0;
    rp_os_file_free(&own);
    return same;
}

/* The user's word is remembered: the next take of that build opens without it. */
static rp_status trust_check(const take_session_desc *desc, const rp_take_build *build,
                             const rp_take_array *bytes)
{
    char id[2 * sizeof build->id + 1], path[sizeof build->path];
    if (desc->own) {
        return RP_OK;
    }
    bool known = take_trust_knows(bytes->data, bytes->used_bytes);
    id_text(build->id, build->id_bytes, id, sizeof id);
    rp_text_copy(path, sizeof path, build->path);
    take_file_plain(path);
    if (known || is_file_of_the_user(desc, bytes)) {
        return RP_OK;
    }
    if (!desc->trust) {
        return rp_fail(RP_E_ARGUMENT,
                       "%s: build %u (build id %s, made as %.80s) did not run on this machine yet: "
                       "opening runs its code, with all that you may do: where you trust who sent "
                       "it say --trust; reprise info and diff run nothing",
                       desc->file->path, build->number, id, path);
    }
    if (take_trust_add(bytes->data, bytes->used_bytes, id, path)) {
        fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
    }
    return RP_OK;
}

static rp_status build_unpack(const take_session_desc *desc, const rp_take_build *build,
                              const rp_take_array *bytes, session *s)
{
    char path[RP_OBJECT_PATH_BYTES];
    rp_elf *elf;
    int length = snprintf(path, sizeof path, "%s/build-t%05u.so", desc->copies, s->build_count + 1);
    if (length >= (int)sizeof path) {
        return rp_fail(RP_E_RANGE, "%s: too long a path for builds", desc->copies);
    }
    rp_status status = rp_os_file_write(path, bytes->data, bytes->used_bytes);
    status = status ? status : rp_elf_open(path, NULL, &elf);
    if (status) {
        rp_error why = *rp_error_last();
        remove(path);
        return rp_fail(why.status, "%s: build %u: %s", desc->file->path, build->number, why.text);
    }
    bool changed;
    status = session_preload_learn(s, elf, &changed);
    if (!status &&
        (build->base + elf->low != build->low || build->base + elf->high != build->high)) {
        status = rp_fail(RP_E_FORMAT, "%s: build %u does not fit the place that the take says",
                         desc->file->path, build->number);
    }
    if (status) {
        rp_elf_close(elf);
        remove(path);
        return status;
    }
    status = session_build_add(s, elf, path, 0);
    if (!status) {
        session_build *to = session_build_at(s, s->build_count);
        to->base = build->base;
        to->low = build->low;
        to->high = build->high;
        to->tls_address = build->tls_address;
        s->newest = s->build_count;
    }
    return status;
}

static bool place_is_sensible(const rp_take_build *build)
{
    return build->high > build->low && build->high - build->low <= RP_GIB(4) &&
           build->low % RP_PAGE_BYTES == 0 && build->high % RP_PAGE_BYTES == 0;
}

static rp_status number_note(take_session *t, uint32_t number)
{
    uint32_t *grown = realloc(t->build_numbers, (t->build_count + 1) * sizeof *grown);
    if (!grown) {
        return rp_fail(RP_E_MEMORY, "session: no memory for the list of builds");
    }
    t->build_numbers = grown;
    grown[t->build_count++] = number;
    return RP_OK;
}

static rp_status build_take(const take_session_desc *desc, const rp_take_build *build,
                            take_session *t)
{
    rp_take_array bytes = {0};
    if (!place_is_sensible(build)) {
        return rp_fail(RP_E_FORMAT, "%s: build %u has no sensible place", desc->file->path,
                       build->number);
    }
    rp_status status = rp_take_array_init(&bytes, BUILD_MOST_BYTES);
    status = status ? status : build_file_read(desc->file, build->number, &bytes);
    status = status ? status : trust_check(desc, build, &bytes);
    status = status ? status : number_note(t, build->number);
    status = status ? status : build_unpack(desc, build, &bytes, t->session);
    rp_take_array_finish(&bytes);
    return status;
}

static rp_status builds_take(const take_session_desc *desc, take_session *t)
{
    const rp_take_index_other *other;
    rp_status status = RP_OK;
    for (uint64_t i = 0; !status && (other = rp_take_other_at(desc->file->take, i)); i++) {
        rp_take_build build;
        if (other->type != RP_TAKE_BUILD) {
            continue;
        }
        status = rp_take_other_read(desc->file->take, i, &build, NULL, NULL);
        if (!status && !take_session_build(t, build.number)) {
            status = build_take(desc, &build, t);
        }
    }
    if (!status && !t->build_count) {
        status = rp_fail(RP_E_NOT_FOUND, "%s: it holds no build: its frames cannot be run",
                         desc->file->path);
    }
    return status;
}

uint32_t take_session_build(const take_session *t, uint32_t take_number)
{
    for (uint32_t i = 0; i < t->build_count; i++) {
        if (t->build_numbers[i] == take_number) {
            return i + 1;
        }
    }
    return 0;
}

/* ---- page numbers ---- */

/* All ranges that were ever declared: a number means the same bytes in all of a take. */
static rp_status ranges_take(take_session *t)
{
    rp_take *take = t->file->take;
    const rp_take_index_other *other;
    rp_take_array list = {0};
    rp_status status = rp_take_array_init(&list, sizeof(rp_take_range) * RP_TAKE_RANGE_MOST);
    for (uint64_t i = 0; !status && (other = rp_take_other_at(take, i)); i++) {
        size_t count = 0;
        if (other->type != RP_TAKE_RANGES) {
            continue;
        }
        list.used_bytes = 0;
        status = rp_take_list_read(take, RP_TAKE_RANGES, other->frame_index, &list, &count);
        const rp_take_range *ranges = (const rp_take_range *)(const void *)list.data;
        for (size_t k = 0; !status && k < count; k++) {
            link_range range = {.start = ranges[k].start,
                                .size_bytes = ranges[k].size_bytes,
                                .first_page = ranges[k].first_page,
                                .build = take_session_build(t, ranges[k].build)};
            rp_text_copy(range.name, sizeof range.name, ranges[k].name);
            bool lost = ranges[k].build && !range.build;
            status = lost ? RP_OK : session_range_learn(t->session, &range);
        }
    }
    rp_take_array_finish(&list);
    return status;
}

/* ---- open and close ---- */

static rp_status memory_take(take_session *t)
{
    t->moves = calloc(TAKE_SESSION_MOVES_MOST, sizeof *t->moves);
    if (!t->moves) {
        return rp_fail(RP_E_MEMORY, "session: no memory for the list of objects");
    }
    rp_status status =
        rp_take_array_init(&t->objects, sizeof(rp_take_object) * RP_TAKE_OBJECT_MOST);
    return status ? status : rp_take_state_create(t->file->take, &t->state);
}

rp_status take_session_open(const take_session_desc *desc, uint64_t index, take_session *t,
                            session *s)
{
    *t = (take_session){.session = s, .file = desc->file};
    rp_status status = loop_check(desc->file);
    status = status ? status : base_check(desc->file);
    if (status) {
        return status;
    }
    status = session_begin(desc, s);
    status = status ? status : builds_take(desc, t);
    status = status ? status : memory_take(t);
    status = status ? status : ranges_take(t);
    status = status ? status
                    : rp_take_list_read(desc->file->take, RP_TAKE_OBJECTS, index, &t->objects,
                                        &t->object_count);
    status = status ? status : take_objects_settle(t, index);
    if (status) {
        rp_error why = *rp_error_last();
        take_session_close(t);
        session_close(s);
        rp_fail(why.status, "%s", why.text);
    }
    return status;
}

void take_session_close(take_session *t)
{
    rp_take_state_destroy(t->state);
    rp_take_array_finish(&t->objects);
    free(t->build_numbers);
    free(t->moves);
    *t = (take_session){0};
}
