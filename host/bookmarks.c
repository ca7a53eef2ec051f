#include "bookmarks.h"

#include <base/error.h>
#include <base/text.h>
#include <stdio.h>
#include <string.h>

static bookmark *named(bookmarks *b, const char *name)
{
    for (size_t i = 0; i < b->count; i++) {
        if (strcmp(b->items[i].name, name) == 0) {
            return &b->items[i];
        }
    }
    return NULL;
}

static void take_out(bookmarks *b, bookmark *item)
{
    size_t behind = b->count - (size_t)(item - b->items) - 1;
    memmove(item, item + 1, behind * sizeof *item);
    b->count--;
}

static rp_status check_name(const char *name)
{
    size_t length = strlen(name);
    bool frame = strspn(name, "0123456789") == length || strcmp(name, "first") == 0 ||
                 strcmp(name, "last") == 0;
    if (frame) {
        return rp_fail(RP_E_ARGUMENT,
                       "bookmark: '%.60s' is what a frame is called: give another name", name);
    }
    if (length >= BOOKMARK_NAME_BYTES) {
        return rp_fail(RP_E_ARGUMENT, "bookmark: '%.20s…' is longer than %d bytes: shorten it",
                       name, BOOKMARK_NAME_BYTES - 1);
    }
    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            return rp_fail(RP_E_ARGUMENT,
                           "bookmark: a name has no control characters: take them out");
        }
    }
    return name[0] == '-'
               ? rp_fail(RP_E_ARGUMENT,
                         "bookmark: '%.60s' begins like an option: give another name", name)
               : RP_OK;
}

static void free_name(bookmarks *b, char *name, size_t capacity)
{
    int number = 1;
    do {
        snprintf(name, capacity, "mark-%d", number++);
    } while (named(b, name));
}

rp_status bookmarks_put(bookmarks *b, const char *name, uint64_t frame, const bookmark **put)
{
    bookmark made = {.frame = frame};
    if (name && check_name(name)) {
        return rp_error_last()->status;
    }
    if (name) {
        rp_text_copy(made.name, sizeof made.name, name);
    } else {
        free_name(b, made.name, sizeof made.name);
    }
    bookmark *known = named(b, made.name);
    if (known) {
        take_out(b, known);
    }
    if (b->count == BOOKMARKS_MOST) {
        return rp_fail(
            RP_E_LIMIT,
            "bookmark: there are %d, which is the most: take one away first: `reprise ctl "
            "unbookmark NAME`",
            BOOKMARKS_MOST);
    }
    size_t at = b->count;
    while (at && b->items[at - 1].frame > frame) {
        at--;
    }
    memmove(b->items + at + 1, b->items + at, (b->count - at) * sizeof made);
    b->items[at] = made;
    b->count++;
    *put = &b->items[at];
    return RP_OK;
}

static rp_status not_there(const bookmarks *b, const char *name)
{
    char storage[240];
    rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
    for (size_t i = 0; i < b->count; i++) {
        rp_text_add(&text, "%s%s", i ? ", " : "", b->items[i].name);
    }
    return b->count ? rp_fail(RP_E_NOT_FOUND, "bookmark: there is no '%.60s': there are %s", name,
                              storage)
                    : rp_fail(RP_E_NOT_FOUND, "bookmark: there is no '%.60s', nor any other", name);
}

rp_status bookmarks_remove(bookmarks *b, const char *name)
{
    bookmark *known = named(b, name);
    if (!known) {
        return not_there(b, name);
    }
    take_out(b, known);
    return RP_OK;
}

rp_status bookmarks_find(const bookmarks *b, const char *name, uint64_t *frame)
{
    for (size_t i = 0; i < b->count; i++) {
        if (strcmp(b->items[i].name, name) == 0) {
            *frame = b->items[i].frame;
            return RP_OK;
        }
    }
    return not_there(b, name);
}

const bookmark *bookmarks_before(const bookmarks *b, uint64_t frame)
{
    const bookmark *found = NULL;
    for (size_t i = 0; i < b->count && b->items[i].frame < frame; i++) {
        found = &b->items[i];
    }
    return found;
}

const bookmark *bookmarks_behind(const bookmarks *b, uint64_t frame)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].frame > frame) {
            return &b->items[i];
        }
    }
    return NULL;
}

const bookmark *bookmarks_at(const bookmarks *b, uint64_t frame)
{
    const bookmark *found = NULL;
    for (size_t i = 0; i < b->count && b->items[i].frame <= frame; i++) {
        found = b->items[i].frame == frame ? &b->items[i] : NULL;
    }
    return found;
}
