/* Names for the addresses of a report. See memory_text.h. */
#include "memory_text.h"

#include "symbols.h"

#include <base/text.h>
#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char mark_open[] = "{@";
enum { NAME_BYTES = 240, NAMES_MOST = 1 << 14, DIGITS_MOST = 16 };

typedef struct name {
    uint64_t address; /* 0: none */
    bool outside;
    char text[NAME_BYTES];
} name;

typedef struct naming {
    const link_object *objects;
    int object_count;
    Dwfl *dwfl;  /* opened for the first address */
    name *names; /* NAMES_MOST, found by their address */
    name other;  /* where they are full */
} naming;

/* ---- one address ---- */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Frames below the program's say nothing of it: the runner's own, and the start of a process. */
static bool is_outside(const symbols_frame *frame)
{
    return strcmp(frame->object, "reprise-runner") == 0 ||
           strncmp(frame->function, "__libc_start_", 13) == 0;
}

static void describe(const symbols_report *report, name *to)
{
    rp_text_buffer text = rp_text_buffer_over(to->text, sizeof to->text);
    to->outside = report->frame_count > 0;
    for (int i = 0; i < report->frame_count; i++) {
        const symbols_frame *frame = &report->frames[i];
        to->outside = to->outside && is_outside(frame);
        if (!frame->function[0] && !frame->object[0]) {
            continue; /* it lies in nothing that is known */
        }
        rp_text_add(&text, "%s%s", text.length ? ", inlined into " : "",
                    frame->function[0] ? frame->function : "?");
        if (frame->file[0]) {
            rp_text_add(&text, " (%s:%d)", file_name(frame->file), frame->line);
        } else {
            rp_text_add(&text, " (%s)", frame->object);
        }
    }
    if (!text.length) {
        rp_text_add(&text, "0x%llx", (unsigned long long)to->address);
    }
}

static name *place_of(naming *n, uint64_t address)
{
    uint64_t at = address * UINT64_C(0x9e3779b97f4a7c15) >> 50;
    for (size_t tried = 0; n->names && tried < 64; tried++) {
        name *place = &n->names[(at + tried) % NAMES_MOST];
        if (!place->address || place->address == address) {
            return place;
        }
    }
    n->other.address = 0;
    return &n->other;
}

static const name *name_of(naming *n, uint64_t address)
{
    if (!n->dwfl) {
        n->dwfl = symbols_open(n->objects, n->object_count);
        n->names = calloc(NAMES_MOST, sizeof *n->names);
    }
    name *place = place_of(n, address);
    if (!place->address) {
        symbols_report report = {.blame = -1};
        if (n->dwfl) {
            symbols_find(n->dwfl, address, &report);
        }
        place->address = address;
        describe(&report, place);
    }
    return place;
}

static void naming_finish(naming *n)
{
    if (n->dwfl) {
        dwfl_end(n->dwfl);
    }
    free(n->names);
}

/* ---- texts with addresses ---- */

/* The next mark; its address and its length. Null: there is none. */
static const char *mark_next(const char *text, uint64_t *address, size_t *length)
{
    for (const char *at = text; (at = strstr(at, mark_open)); at++) {
        const char *digits = at + sizeof mark_open - 1;
        size_t count = strspn(digits, "0123456789abcdef");
        if (count && count <= DIGITS_MOST && digits[count] == '}') {
            *address = strtoull(digits, NULL, 16);
            *length = sizeof mark_open - 1 + count + 1;
            return at;
        }
    }
    return NULL;
}

/* "0x5501 {@5501}": the number says nothing beside the name. */
static const char *before_number(const char *line, const char *mark)
{
    const char *at = mark;
    while (at > line && at[-1] != ' ') {
        at--;
    }
    if (at == mark && at > line) {
        do {
            at--;
        } while (at > line && at[-1] != ' ');
    }
    return strncmp(at, "0x", 2) == 0 ? at : mark;
}

static bool is_blank(const char *from, const char *to)
{
    return strspn(from, " ") >= (size_t)(to - from);
}

/* A new text; null: out of memory, or the line is nothing but a frame outside the program and such
 * ones are to be dropped. */
static char *line_named(naming *n, const char *line, bool drop)
{
    char *text = NULL;
    size_t bytes, length;
    uint64_t address;
    FILE *out = open_memstream(&text, &bytes);
    const char *mark, *rest = line;
    bool dropped = false;
    while (out && (mark = mark_next(rest, &address, &length))) {
        const name *named = name_of(n, address);
        const char *number = before_number(rest, mark);
        fprintf(out, "%.*s%s", (int)(number - rest), rest, named->text);
        dropped = rest == line && is_blank(line, number) && !mark[length] && named->outside;
        rest = mark + length;
    }
    if (out) {
        fputs(rest, out);
        fclose(out);
    }
    if (dropped && drop) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- folding ---- */

static int indent_of(const char *line)
{
    return (int)strspn(line, " ");
}

/* Cuts at the last space that is not of the indent; what has none stays long. */
static void line_fold(FILE *out, const char *line, int columns)
{
    int indent = indent_of(line), lead = 0;
    while (columns && (int)strlen(line) + lead > columns) {
        int cut = columns - lead;
        while (cut > (lead ? 0 : indent) && line[cut] != ' ') {
            cut--;
        }
        if (cut <= (lead ? 0 : indent)) {
            break;
        }
        fprintf(out, "%*s%.*s\n", lead, "", cut, line);
        line += cut;
        line += indent_of(line);
        lead = indent + 4 < columns / 2 ? indent + 4 : 4;
    }
    fprintf(out, "%*s%s\n", lead, "", line);
}

static void lines_write(naming *n, FILE *out, const char *text, int columns)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        char *line = strndup(text, length);
        char *named = line ? line_named(n, line, true) : NULL;
        if (named) {
            line_fold(out, named, columns);
        }
        free(named);
        free(line);
        text += length + (text[length] == '\n');
    }
}

char *memory_text_named(const char *text, const link_object *objects, int object_count, int columns)
{
    naming n = {.objects = objects, .object_count = object_count};
    char *named = NULL;
    size_t bytes;
    FILE *out = open_memstream(&named, &bytes);
    if (!out) {
        return NULL;
    }
    lines_write(&n, out, text, columns);
    fclose(out);
    naming_finish(&n);
    return named;
}

/* ---- JSON ---- */

static void value_name(naming *n, json_t *value);

/* A frame outside the program goes. */
static void array_name(naming *n, json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *member = json_array_get(array, i);
        const char *text = json_string_value(member);
        if (!text) {
            value_name(n, member);
        } else if (strstr(text, mark_open)) {
            char *named = line_named(n, text, true);
            if (named) {
                json_array_set_new(array, i, json_string(named));
            } else {
                json_array_remove(array, i--);
            }
            free(named);
        }
    }
}

/* A site is the program's, wherever it lies. */
static void member_name(naming *n, json_t *object, const char *key, json_t *member)
{
    const char *text = json_string_value(member);
    if (!text) {
        value_name(n, member);
    } else if (strstr(text, mark_open)) {
        char *named = line_named(n, text, false);
        if (named) {
            json_object_set_new(object, key, json_string(named));
        }
        free(named);
    }
}

/* Reports are some levels deep; what a runner made deeper the parser has refused. */
static void value_name(naming *n, json_t *value)
{
    if (json_is_array(value)) {
        array_name(n, value);
    } else if (json_is_object(value)) {
        const char *key;
        json_t *member;
        json_object_foreach(value, key, member)
        {
            member_name(n, value, key, member);
        }
    }
}

json_t *memory_json_named(const char *text, const link_object *objects, int object_count)
{
    naming n = {.objects = objects, .object_count = object_count};
    json_t *value = json_loads(text, 0, NULL);
    if (value) {
        value_name(&n, value);
    }
    naming_finish(&n);
    return value;
}
