/* A frame of a take as an image (src/trace/image.h), and the variables of the builds in the take
 * (src/module/value.h): for commands that say what memory means.
 *
 * Nothing of the take is run or loaded: its builds are read as files.
 *
 * Layer: host.  Users: diff_fields.c, cmd_plot.c, cmd_strip.c  Tests: tests/host/test_diff.c
 */
#ifndef HOST_TAKE_VIEW_H
#define HOST_TAKE_VIEW_H

#include "take_file.h"

#include <module/value.h>

/* The builds of one take whose variables were asked for, each read once. All zero is none. */
typedef struct take_builds {
    struct take_build *first;
} take_builds;

/* The variables of a build; valid until take_builds_close. RP_E_NOT_FOUND: the take has not its
 * file, or that has no debug information about types; the text says it. Else RP_E_FORMAT and the
 * like. */
rp_status take_builds_values(take_builds *builds, take_file *file, uint32_t number,
                             rp_values **values);
/* The same for a build's file alone, and where it lay. */
rp_status take_builds_elf(take_builds *builds, take_file *file, uint32_t number, const rp_elf **elf,
                          const rp_take_build **place);
void take_builds_close(take_builds *builds);

typedef struct take_view {
    take_file *file;
    rp_take_state *state;
    rp_take_array ranges; /* that hold at the frame */
    size_t range_count;
    uint64_t index; /* frame record */
    uint32_t build;
    rp_image image;
} take_view;

/* `file` stays the caller's, open as long. */
rp_status take_view_open(take_view *view, take_file *file);
/* To the state after a frame record: as rp_take_state_seek. */
rp_status take_view_seek(take_view *view, uint64_t index);
void take_view_close(take_view *view); /* all zero is nothing */

static inline const rp_take_range *take_view_ranges(const take_view *view)
{
    return (const rp_take_range *)(const void *)view->ranges.data;
}

/* Whose memory an address is: "24 bytes into a block of 48 of heap 'deck', scope /level, made at
 * game.c:12 Body", ".data". Without control characters. */
void take_view_describe(const take_view *view, uint64_t address, char *text, size_t capacity);

#endif
