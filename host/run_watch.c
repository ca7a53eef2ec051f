/* Ghosts over the picture, and what `reprise ctl watch` and `ctl checks` ask. See run.h, watched.h.
 */
#include "foreign_text.h"
#include "run.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LISTED_FRAMES = 4096, GHOST_NAMES = STAGE_GHOST_MAX / 2 };

/* ---- ghosts ---- */

/* A frame's layer of this build, or of one before it; null: there is none. */
static const watched_layer *layer_of(const watched_frame *kept, uint32_t build, bool earlier)
{
    if (!kept) {
        return NULL;
    }
    if (kept->now.build == build) {
        return !earlier ? &kept->now : kept->before.build ? &kept->before : NULL;
    }
    return earlier ? &kept->now : NULL;
}

/* Long loops are sampled. */
static void ghost_fill(const run *r, const char *name, bool earlier, stage_ghost *ghost)
{
    const rp_transport *t = &r->transport;
    uint64_t length = t->loop_to - t->loop_from;
    uint64_t stride = (length + STAGE_GHOST_POINTS - 1) / STAGE_GHOST_POINTS;
    const watched_frame *here = watched_at(&r->session.watched, t->position);
    double left = here ? here->now.origin_x : 0, top = here ? here->now.origin_y : 0;
    int known = 0;
    *ghost = (stage_ghost){.earlier = earlier, .here = -1};
    for (uint64_t frame = t->loop_from + 1; frame <= t->loop_to; frame += stride) {
        const watched_layer *layer =
            layer_of(watched_at(&r->session.watched, frame), r->session.loaded, earlier);
        const link_watch *point = layer ? watched_point(layer, name) : NULL;
        if (frame <= t->position && t->position < frame + stride) {
            ghost->here = ghost->count;
        }
        ghost->x[ghost->count] = point ? (float)(point->x + left) : NAN;
        ghost->y[ghost->count++] = point ? (float)(point->y + top) : NAN;
        known += point != NULL;
    }
    ghost->count = known ? ghost->count : 0;
}

/* While it loops: of each watched point the path under the build before, then that under this one.
 */
void run_ghosts(run *r)
{
    const rp_transport *t = &r->transport;
    stage_view *view = &r->view;
    char names[GHOST_NAMES][LINK_WATCH_NAME_BYTES];
    view->ghost_count = 0;
    if (!t->looping) {
        return;
    }
    int count = watched_points(&r->session.watched, t->loop_from, t->loop_to, names, GHOST_NAMES);
    for (int earlier = 1; earlier >= 0; earlier--) {
        for (int i = 0; i < count; i++) {
            stage_ghost *ghost = &view->ghosts[view->ghost_count];
            ghost_fill(r, names[i], earlier, ghost);
            view->ghost_count += ghost->count > 0;
        }
    }
}

/* ---- what was watched ---- */

static json_t *watch_json(const link_watch *watch)
{
    if (watch->is_point) {
        return json_pack("{s:o, s:f, s:f}", "name", foreign_json(watch->name), "x", watch->x, "y",
                         watch->y);
    }
    return json_pack("{s:o, s:f}", "name", foreign_json(watch->name), "value", watch->x);
}

static json_t *check_json(const link_check *check)
{
    char text[WATCHED_TEXT];
    watched_check_text(check, text, sizeof text);
    return json_pack("{s:o, s:o}", "name", foreign_json(check->name), "check", foreign_json(text));
}

static void layer_json(json_t *frames, uint64_t frame, const watched_layer *layer)
{
    json_t *values = json_array();
    for (uint32_t i = 0; i < layer->watch_count; i++) {
        json_array_append_new(values, watch_json(&layer->watches[i]));
    }
    for (uint32_t i = 0; i < layer->check_count; i++) {
        json_array_append_new(values, check_json(&layer->checks[i]));
    }
    json_array_append_new(frames, json_pack("{s:I, s:I, s:o}", "frame", (json_int_t)frame, "build",
                                            (json_int_t)layer->build, "values", values));
}

static void layer_text(FILE *to, uint64_t frame, const watched_layer *layer)
{
    for (uint32_t i = 0; i < layer->watch_count; i++) {
        const link_watch *watch = &layer->watches[i];
        fprintf(to, "%8llu  build %-4u %-31s  %.9g", (unsigned long long)frame, layer->build,
                watch->name, watch->x);
        if (watch->is_point) {
            fprintf(to, ", %.9g", watch->y);
        }
        fputc('\n', to);
    }
    for (uint32_t i = 0; i < layer->check_count; i++) {
        char text[WATCHED_TEXT];
        watched_check_text(&layer->checks[i], text, sizeof text);
        fprintf(to, "%8llu  build %-4u %-31s  %s\n", (unsigned long long)frame, layer->build,
                layer->checks[i].name, text);
    }
}

/* The frames that were asked for, else those of the loop, else this one. */
static rp_status frames_asked(const run *r, const json_t *request, uint64_t *from, uint64_t *to)
{
    const rp_transport *t = &r->transport;
    const json_t *a = json_object_get(request, "a"), *b = json_object_get(request, "b");
    *from = t->looping ? t->loop_from + 1 : t->position;
    *to = t->looping ? t->loop_to : t->position;
    if (json_is_integer(a)) {
        *from = (uint64_t)json_integer_value(a);
        *to = json_is_integer(b) ? (uint64_t)json_integer_value(b) : *from;
    }
    if (*to < *from || *to - *from >= LISTED_FRAMES) {
        return rp_fail(RP_E_RANGE,
                       "ctl: watch: FROM is at most TO, and %d frames are listed at once",
                       LISTED_FRAMES);
    }
    return RP_OK;
}

/* An answer with a text for people, or with `key` for programs; takes over both. */
static json_t *told(json_t *answer, const char *key, json_t *list, char *text, bool as_json)
{
    json_object_set_new(answer, "ok", json_true());
    if (as_json) {
        json_object_set(answer, key, list);
    } else {
        json_object_set_new(answer, "text", foreign_json(text ? text : ""));
    }
    json_decref(list);
    free(text);
    return answer;
}

json_t *run_watch_answer(run *r, const json_t *request)
{
    uint64_t from, to;
    if (frames_asked(r, request, &from, &to)) {
        return run_refused();
    }
    char *text = NULL;
    size_t length = 0;
    FILE *lines = open_memstream(&text, &length);
    json_t *frames = json_array();
    for (uint64_t frame = from; frame <= to && lines; frame++) {
        const watched_frame *kept = watched_at(&r->session.watched, frame);
        const watched_layer *layers[] = {kept ? &kept->before : NULL, kept ? &kept->now : NULL};
        for (size_t i = 0; kept && i < RP_COUNT_OF(layers); i++) {
            if (layers[i]->build) {
                layer_json(frames, frame, layers[i]);
                layer_text(lines, frame, layers[i]);
            }
        }
    }
    if (lines) {
        if (!json_array_size(frames)) {
            fprintf(lines,
                    "nothing is watched in frames %llu to %llu: call rp_watch in "
                    "rp_module_step\n",
                    (unsigned long long)from, (unsigned long long)to);
        }
        fclose(lines);
    }
    return told(json_object(), "frames", frames, text,
                json_is_true(json_object_get(request, "json")));
}

/* ---- checks ---- */

void run_check_differs(run *r, const watched_difference *d)
{
    run_mark(r, 'd', d->frame);
    run_toast(r, "check \"%s\": frame %llu: %s under build %u, %s under build %u", d->name,
              (unsigned long long)d->frame, d->old_text, d->old_build, d->new_text, d->new_build);
}

json_t *run_checks_answer(run *r, const json_t *request)
{
    const watched *w = &r->session.watched;
    json_t *answer = json_object(), *list = json_array();
    char *text = NULL;
    size_t length = 0;
    FILE *lines = open_memstream(&text, &length);
    for (int i = 0; i < w->difference_count && lines; i++) {
        const watched_difference *d = &w->differences[i];
        fprintf(lines, "%s: frame %llu: %s under build %u, %s under build %u\n", d->name,
                (unsigned long long)d->frame, d->old_text, d->old_build, d->new_text, d->new_build);
        json_array_append_new(
            list, json_pack("{s:o, s:I, s:I, s:I, s:o, s:o}", "name", foreign_json(d->name),
                            "frame", (json_int_t)d->frame, "old_build", (json_int_t)d->old_build,
                            "new_build", (json_int_t)d->new_build, "old", foreign_json(d->old_text),
                            "new", foreign_json(d->new_text)));
    }
    if (lines) {
        fprintf(lines, "%llu values compared with those of an earlier build, %d names differ\n",
                (unsigned long long)w->compared, w->difference_count);
        if (w->left_out) {
            fprintf(lines, "%llu values were left out: a frame keeps %d and %d\n",
                    (unsigned long long)w->left_out, LINK_WATCH_MAX, LINK_CHECK_MAX);
        }
        fclose(lines);
    }
    json_object_set_new(answer, "build", json_integer(w->build));
    json_object_set_new(answer, "compared", json_integer((json_int_t)w->compared));
    json_object_set_new(answer, "left_out", json_integer((json_int_t)w->left_out));
    return told(answer, "checks", list, text, json_is_true(json_object_get(request, "json")));
}
