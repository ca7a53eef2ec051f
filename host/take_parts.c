/* See take_parts.h. */
#include "take_parts.h"

#include "session_internal.h"

#include <base/bits.h>
#include <base/text.h>
#include <stdio.h>
#include <string.h>

/* ---- where it ran ---- */

static const char *module_of(const session *s)
{
    return s->desc.module ? s->desc.module : "";
}

void take_environment_fill(const session *s, rp_take_environment *environment)
{
    *environment = (rp_take_environment){.seed = s->start.seed,
                                         .start_wall_ns = s->start.start_wall_ns,
                                         .canary = s->start.canary,
                                         .pointer_guard = s->start.pointer_guard,
                                         .rate_hz = s->rate_hz,
                                         .width_px = s->width_px,
                                         .height_px = s->height_px};
    rp_take_environment_here("reprise", environment);
    rp_text_copy(environment->module, sizeof environment->module, module_of(s));
    rp_text_copy(environment->title, sizeof environment->title, s->title);
}

/* ---- builds ---- */

void take_build_fill(const session *s, uint32_t number, rp_take_build *build)
{
    const session_build *from = &s->builds[number - 1];
    *build = (rp_take_build){.base = from->base,
                             .low = from->low,
                             .high = from->high,
                             .tls_address = from->tls_address,
                             .number = number,
                             .id_bytes = from->elf->build_id_bytes};
    memcpy(build->id, from->elf->build_id, sizeof build->id);
    rp_text_copy(build->path, sizeof build->path, module_of(s));
}

rp_status take_build_files(const session *s, uint32_t number, take_file_add *add, void *context)
{
    const session_build *from = &s->builds[number - 1];
    const char *slash = strrchr(from->path, '/');
    rp_take_part part = {.build = number, .role = RP_TAKE_ROLE_MODULE};
    rp_text_copy(part.name, sizeof part.name, slash ? slash + 1 : from->path);
    return add(context, &part, from->path);
}

/* ---- lists ---- */

static rp_status list_add(rp_take_array *list, rp_take_struct which, const void *element)
{
    size_t size_bytes = rp_take_layout_of(which)->size_bytes;
    rp_status status = rp_take_array_need(list, size_bytes);
    if (!status) {
        rp_take_encode(which, element, list->data + list->used_bytes);
        list->used_bytes += size_bytes;
    }
    return status;
}

static void object_fill(const link_object *from, rp_take_object *object)
{
    *object = (rp_take_object){.base = from->base,
                               .low = from->low,
                               .high = from->high,
                               .tls_address = from->tls_address,
                               .zone = from->zone};
    object->id_bytes = from->build_id_bytes <= sizeof object->id ? from->build_id_bytes : 0;
    memcpy(object->id, from->build_id, sizeof object->id);
    snprintf(object->path, sizeof object->path, "%.*s", (int)sizeof from->path - 1, from->path);
}

/* Another build of the module than the runner has loaded. */
static void object_of_build(const session *s, uint32_t number, rp_take_object *object)
{
    rp_take_build build;
    take_build_fill(s, number, &build);
    *object = (rp_take_object){.base = build.base,
                               .low = build.low,
                               .high = build.high,
                               .tls_address = build.tls_address,
                               .build = number,
                               .zone = object->zone,
                               .id_bytes = build.id_bytes};
    memcpy(object->id, build.id, sizeof object->id);
    memcpy(object->path, build.path, sizeof object->path);
}

rp_status take_objects_list(const session *s, const process *p, uint32_t number,
                            rp_take_array *list, rp_take_objects *head)
{
    const link_memory *link = p->link;
    uint32_t count = link->object_count < LINK_OBJECT_MAX ? link->object_count : LINK_OBJECT_MAX;
    rp_status status = RP_OK;
    *head = (rp_take_objects){.count = count};
    for (uint32_t i = 0; !status && i < count; i++) {
        rp_take_object object;
        object_fill(&link->objects[i], &object);
        if (link->objects[i].build) {
            object_of_build(s, number, &object);
        }
        status = list_add(list, RP_TAKE_STRUCT_object, &object);
    }
    return status;
}

rp_status take_ranges_list(const session *s, rp_take_array *list, rp_take_ranges *head)
{
    rp_status status = RP_OK;
    *head = (rp_take_ranges){.count = s->known_count};
    for (uint32_t i = 0; !status && i < s->known_count; i++) {
        const link_range *from = &s->known[i];
        rp_take_range range = {.start = from->start,
                               .size_bytes = from->size_bytes,
                               .first_page = from->first_page,
                               .build = from->build};
        rp_text_copy(range.name, sizeof range.name, from->name);
        status = list_add(list, RP_TAKE_STRUCT_range, &range);
    }
    return status;
}

/* ---- checked values ---- */

static const watched_layer *layer_of(const session *s, uint64_t frame, uint32_t build)
{
    const watched_frame *kept = watched_at(&s->watched, frame);
    if (!kept) {
        return NULL;
    }
    return kept->now.build == build ? &kept->now
                                    : (kept->before.build == build ? &kept->before : NULL);
}

rp_status take_checks_list(const session *s, uint64_t frame, uint32_t build, rp_take_array *list,
                           rp_take_checks *head)
{
    const watched_layer *layer = layer_of(s, frame, build);
    rp_status status = RP_OK;
    *head =
        (rp_take_checks){.frame = frame, .build = build, .count = layer ? layer->check_count : 0};
    for (uint32_t i = 0; !status && i < head->count; i++) {
        const link_check *from = &layer->checks[i];
        rp_take_checked checked = {
            .value = from->value, .size_bytes = from->size_bytes, .kind = from->kind};
        rp_text_copy(checked.name, sizeof checked.name, from->name);
        memcpy(checked.start, from->start, sizeof checked.start);
        status = list_add(list, RP_TAKE_STRUCT_checked, &checked);
    }
    return status;
}

/* ---- the failure ---- */

rp_status take_crash_fill(const session *s, rp_take_array *report, rp_take_crash *crash)
{
    const session_failure *f = &s->failure;
    rp_status status = RP_OK;
    /* The format has the link's numbers. */
    _Static_assert(LINK_CRASH_SIGNAL == 1 && LINK_CRASH_HEAP == 6, "as in format_table.h");
    *crash = (rp_take_crash){.frame = f->frame,
                             .address = f->address,
                             .build = f->build,
                             .signal = f->signal,
                             .kind = f->kind ? f->kind : LINK_CRASH_SIGNAL};
    rp_text_copy(crash->text, sizeof crash->text, f->line_count ? f->lines[0] : "");
    for (int i = 0; !status && i < f->line_count; i++) {
        status = rp_take_array_add(report, f->lines[i], strlen(f->lines[i]));
        status = status ? status : rp_take_array_add(report, "\n", 1);
    }
    return status;
}
