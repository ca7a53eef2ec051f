/* Values that steps watched, and values that builds must agree on. See watched.h. */
#include "watched.h"

#include <base/bits.h>
#include <base/text.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void layer_clear(watched_layer *layer)
{
    free(layer->watches);
    *layer = (watched_layer){0};
}

static void frame_clear(watched_frame *frame)
{
    layer_clear(&frame->now);
    layer_clear(&frame->before);
}

void watched_clear(watched *w)
{
    for (size_t i = 0; w->frames && i < WATCHED_FRAMES; i++) {
        frame_clear(&w->frames[i]);
    }
    free(w->frames);
    *w = (watched){0};
}

/* ---- taking over ---- */

/* What a program wrote there is shown to people: a name is text. */
static void name_clean(char name[LINK_WATCH_NAME_BYTES])
{
    name[LINK_WATCH_NAME_BYTES - 1] = 0;
    for (char *c = name; *c; c++) {
        *c = (unsigned char)*c >= ' ' && *c != 0x7f ? *c : '?';
    }
}

static void watches_take(watched_layer *layer, const link_watched *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        link_watch watch = from->watches[i];
        name_clean(watch.name);
        if (isfinite(watch.x) && isfinite(watch.y)) {
            layer->watches[layer->watch_count++] = watch;
        }
    }
}

static void checks_take(watched_layer *layer, const link_watched *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        link_check check = from->checks[i];
        name_clean(check.name);
        if (check.kind < LINK_CHECK_KINDS) {
            layer->checks[layer->check_count++] = check;
        }
    }
}

static bool layer_take(watched_layer *layer, const link_watched *from, uint32_t build)
{
    size_t watches = rp_min_size(from->watch_count, LINK_WATCH_MAX);
    size_t checks = rp_min_size(from->check_count, LINK_CHECK_MAX);
    *layer = (watched_layer){.build = build};
    if (isfinite(from->origin_x) && isfinite(from->origin_y)) {
        layer->origin_x = from->origin_x;
        layer->origin_y = from->origin_y;
    }
    if (!watches && !checks) {
        return true;
    }
    layer->watches = malloc(watches * sizeof *layer->watches + checks * sizeof *layer->checks);
    if (!layer->watches) {
        return false;
    }
    layer->checks = (link_check *)(void *)(layer->watches + watches);
    watches_take(layer, from, (uint32_t)watches);
    checks_take(layer, from, (uint32_t)checks);
    return true;
}

/* ---- comparing ---- */

void watched_check_text(const link_check *check, char *text, size_t capacity)
{
    double number;
    switch ((link_check_kind)check->kind) {
    case LINK_CHECK_INT:
        snprintf(text, capacity, "%" PRId64, (int64_t)check->value);
        break;
    case LINK_CHECK_UINT:
        snprintf(text, capacity, "%" PRIu64, check->value);
        break;
    case LINK_CHECK_FLOAT:
        memcpy(&number, &check->value, sizeof number);
        snprintf(text, capacity, "%.17g", number);
        break;
    case LINK_CHECK_TEXT: {
        int shown = (int)rp_min_size(check->size_bytes, LINK_CHECK_START);
        bool cut = check->size_bytes > LINK_CHECK_START;
        snprintf(text, capacity, "\"%.*s%s\"", shown, check->start, cut ? "…" : "");
        break;
    }
    default:
        snprintf(text, capacity, "%" PRIu64 " bytes, hash %016" PRIx64, check->size_bytes,
                 check->value);
    }
}

/* The nth check of that name; null: there are fewer. */
static const link_check *check_find(const watched_layer *layer, const char *name, uint32_t nth)
{
    for (uint32_t i = 0; i < layer->check_count; i++) {
        if (strcmp(layer->checks[i].name, name) == 0 && nth-- == 0) {
            return &layer->checks[i];
        }
    }
    return NULL;
}

static bool is_equal(const link_check *a, const link_check *b)
{
    return a->kind == b->kind && a->value == b->value && a->size_bytes == b->size_bytes;
}

/* Where the difference of that name stands or will; null: it is known from an earlier frame, or
 * there is no room. */
static watched_difference *place_of(watched *w, const char *name, uint64_t frame)
{
    for (int i = 0; i < w->difference_count; i++) {
        if (strcmp(w->differences[i].name, name) == 0) {
            return frame < w->differences[i].frame ? &w->differences[i] : NULL;
        }
    }
    return w->difference_count < WATCHED_DIFFERENCES ? &w->differences[w->difference_count++]
                                                     : NULL;
}

/* A name that one build does not check at all says nothing; one that it checks more often does. */
static const watched_difference *compare(watched *w, const watched_frame *frame)
{
    const watched_difference *first = NULL;
    const watched_layer *now = &frame->now, *before = &frame->before;
    for (uint32_t i = 0; i < now->check_count; i++) {
        const link_check *check = &now->checks[i], *old;
        uint32_t nth = 0;
        for (uint32_t k = 0; k < i; k++) {
            nth += strcmp(now->checks[k].name, check->name) == 0;
        }
        old = check_find(before, check->name, nth);
        if ((!old && !nth) || (old && is_equal(old, check))) {
            w->compared += old != NULL;
            continue;
        }
        w->compared++;
        watched_difference *difference = place_of(w, check->name, frame->frame);
        if (difference) {
            *difference = (watched_difference){
                .frame = frame->frame, .old_build = before->build, .new_build = now->build};
            memcpy(difference->name, check->name, sizeof difference->name);
            snprintf(difference->old_text, sizeof difference->old_text, "nothing");
            if (old) {
                watched_check_text(old, difference->old_text, sizeof difference->old_text);
            }
            watched_check_text(check, difference->new_text, sizeof difference->new_text);
            first = first ? first : difference;
        }
    }
    return first;
}

/* The frame's place; empty where another one had it, or the frame had another input. Null: no
 * memory. */
static watched_frame *frame_begin(watched *w, uint64_t frame, bool same_input)
{
    if (!w->frames && !(w->frames = calloc(WATCHED_FRAMES, sizeof *w->frames))) {
        return NULL;
    }
    watched_frame *kept = &w->frames[frame % WATCHED_FRAMES];
    if (kept->frame != frame || !same_input) {
        frame_clear(kept);
        kept->frame = frame;
    }
    return kept;
}

static bool now_take(watched_frame *kept, const link_watched *from, uint32_t build)
{
    layer_clear(&kept->now);
    bool taken = layer_take(&kept->now, from, build);
    if (!taken) {
        kept->now = (watched_layer){0};
    }
    return taken;
}

const watched_difference *watched_note(watched *w, const link_watched *from, uint64_t frame,
                                       uint32_t build, bool same_input)
{
    if (!w->frames && !from->watch_count && !from->check_count) {
        return NULL;
    }
    watched_frame *kept = frame_begin(w, frame, same_input);
    if (!kept) {
        return NULL;
    }
    if (w->build != build) {
        w->build = build;
        w->difference_count = 0;
        w->compared = w->left_out = 0;
    }
    w->left_out += from->left_out;
    if (kept->now.build && kept->now.build != build) {
        layer_clear(&kept->before);
        kept->before = kept->now;
        kept->now = (watched_layer){0};
    }
    return now_take(kept, from, build) && kept->before.build ? compare(w, kept) : NULL;
}

void watched_recall(watched *w, const link_watched *from, uint64_t frame, uint32_t build)
{
    watched_frame *kept = frame_begin(w, frame, false);
    if (kept) {
        (void)now_take(kept, from, build);
    }
}

/* ---- looking ---- */

const watched_frame *watched_at(const watched *w, uint64_t frame)
{
    const watched_frame *kept = w->frames ? &w->frames[frame % WATCHED_FRAMES] : NULL;
    return kept && kept->frame == frame && kept->now.build ? kept : NULL;
}

const link_watch *watched_point(const watched_layer *layer, const char *name)
{
    for (uint32_t i = 0; i < layer->watch_count; i++) {
        if (layer->watches[i].is_point && strcmp(layer->watches[i].name, name) == 0) {
            return &layer->watches[i];
        }
    }
    return NULL;
}

static int name_add(char names[][LINK_WATCH_NAME_BYTES], int count, int capacity, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return count;
        }
    }
    if (count < capacity) {
        memcpy(names[count++], name, LINK_WATCH_NAME_BYTES);
    }
    return count;
}

int watched_points(const watched *w, uint64_t from, uint64_t to,
                   char names[][LINK_WATCH_NAME_BYTES], int capacity)
{
    int count = 0;
    for (uint64_t frame = from + 1; frame <= to && frame - from <= WATCHED_FRAMES; frame++) {
        const watched_frame *kept = watched_at(w, frame);
        for (uint32_t i = 0; kept && i < kept->now.watch_count; i++) {
            if (kept->now.watches[i].is_point) {
                count = name_add(names, count, capacity, kept->now.watches[i].name);
            }
        }
    }
    return count;
}
