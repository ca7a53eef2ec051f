/* What the commands that read takes share: opening one by its path, frames by their numbers
 * and bookmarks, ranges.
 *
 * Nothing of a take is run or loaded by any of them.
 *
 * Layer: host.  Users: cmd_info.c, cmd_diff.c, cmd_export.c, cmd_trim.c  Tests:
 * tests/host/test_take.c
 */
#ifndef HOST_TAKE_FILE_H
#define HOST_TAKE_FILE_H

#include "bookmarks.h"

#include <stdio.h>
#include <take/state.h>

enum {
    TAKE_EXIT_DONE = 0,
    TAKE_EXIT_FAILED = 1, /* it could not be read, or what was asked for is not in it */
    TAKE_EXIT_USAGE = 2,
    TAKE_EXIT_DAMAGED = 3, /* it was read as far as it is whole; or, for diff: the states differ */
};

typedef struct take_file {
    const char *path;
    rp_take_file_source source;
    struct net_source *net; /* of a take at an address; null: it is a file */
    rp_take *take;
    rp_take_overview overview;
    rp_take_array ranges; /* rp_take_range, by take_file_ranges */
    size_t range_count;
} take_file;

/* `path`: a file, or an address (net/net.h). Says on standard error where the take ends early. */
rp_status take_file_open(take_file *file, const char *path);
/* The same, and says nothing: of a take that may well have been cut off. */
rp_status take_file_open_quietly(take_file *file, const char *path);
void take_file_close(take_file *file); /* of all zero: nothing */

/* The bookmarks that there are at its end; names that none may have are left out. */
rp_status take_file_bookmarks(const take_file *file, bookmarks *b);
/* A frame by its number, by a bookmark's name, or "last" or "first". RP_E_RANGE with a text that
 * says which there are; RP_E_NOT_FOUND: no such bookmark. */
rp_status take_file_frame(const take_file *file, const char *text, uint64_t *index);
/* "120-240", "first-last": frame records. RP_E_ARGUMENT, RP_E_RANGE. */
rp_status take_file_span(const take_file *file, const char *text, uint64_t *first, uint64_t *last);
/* Marks, one byte a frame record, those that count: the last record of each frame, and none whose
 * future was dropped. What is marked rises. Ends with rp_take_array_finish, also after an error. */
rp_status take_file_timeline(const take_file *file, rp_take_array *marks);
/* The ranges that hold at a frame record; false: none could be read. */
rp_status take_file_ranges(take_file *file, uint64_t index);
static inline const rp_take_range *take_file_range_list(const take_file *file)
{
    return (const rp_take_range *)(const void *)file->ranges.data;
}

/* Writes a new file, or standard output for "-". What is there stays: RP_E_TAKEN. */
rp_status take_file_write(const char *path, const void *data, size_t size_bytes);

/* "reprise: COMMAND: text of the error record" on standard error; returns the exit code. */
int take_file_failed(const char *command);
int take_file_usage(const char *command, const char *help, FILE *to);

/* Of a text from a take: control characters would drive the terminal. In place. */
void take_file_plain(char *text);
void take_file_progress(void *context, uint64_t done,
                        uint64_t all); /* context: the command's name */

#endif
