/* reprise-symbols: answers each line "object+0xoffset" on standard input with a line "function
 * (file.c:12)" on standard output, by the debug information of the object.
 *
 * A process of its own, so that the one that reports needs neither libdwfl nor memory for it. The
 * offset is that of a return address from where the object is loaded; the place named is the call.
 * What is not known stays "object+0xoffset". Ends with its input.
 */
#include "symbols.h"

#include "base/text.h"

#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS_MOST = 64, LINE_BYTES = 4096 + 64 };

typedef struct opened {
    link_object object; /* the session points to it */
    Dwfl *dwfl;
} opened;

static opened objects[OBJECTS_MOST];
static int object_count;

/* Opened once; of more than OBJECTS_MOST, the last one makes room. */
static Dwfl *object_with(const char *path)
{
    for (int i = 0; i < object_count; i++) {
        if (strcmp(objects[i].object.path, path) == 0) {
            return objects[i].dwfl;
        }
    }
    if (object_count == OBJECTS_MOST) {
        dwfl_end(objects[--object_count].dwfl);
    }
    opened *made = &objects[object_count++];
    made->object = (link_object){0};
    rp_text_copy(made->object.path, sizeof made->object.path, path);
    made->dwfl = symbols_open(&made->object, 1);
    return made->dwfl;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void add_frame(rp_text_buffer *text, const symbols_frame *frame)
{
    rp_text_add(text, "%s", frame->function);
    if (frame->file[0]) {
        rp_text_add(text, " (%s:%d)", file_name(frame->file), frame->line);
    }
}

static void answer(char *line)
{
    char text[1024];
    rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
    static symbols_report report;
    char *plus = strrchr(line, '+');
    report.frame_count = 0;
    if (plus && strlen(line) < RP_OBJECT_PATH_BYTES) {
        *plus = 0;
        Dwfl *dwfl = object_with(line);
        if (dwfl) {
            symbols_find(dwfl, strtoull(plus + 1, NULL, 0), &report);
        }
        *plus = '+';
    }
    for (int i = 0; i < report.frame_count && report.frames[i].function[0]; i++) {
        rp_text_add(&buffer, "%s", i ? ", inlined into " : "");
        add_frame(&buffer, &report.frames[i]);
    }
    puts(buffer.length ? text : file_name(line));
    fflush(stdout);
}

int main(void)
{
    static char line[LINE_BYTES];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        answer(line);
    }
    return EXIT_SUCCESS;
}
