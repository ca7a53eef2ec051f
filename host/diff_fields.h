/* What differs between two frames, by fields: `enemies[3].hp (int): 80 → 73`.
 *
 * Of one build by addresses: each span of bytes that differ is cut into the fields that lie there;
 * what no type is known of is told as bytes and whose they are. Of two builds by names.
 *
 * Layer: host.  Users: cmd_diff.c  Tests: tests/host/test_diff.c
 */
#ifndef HOST_DIFF_FIELDS_H
#define HOST_DIFF_FIELDS_H

#include "take_view.h"

#include <take/copy.h>

typedef struct diff_field {
    const char *path;  /* "enemies[3].hp"; "": no field is known */
    const char *type;  /* "int"; "" */
    const char *place; /* where no field is known: whose memory it is */
    uint64_t address;  /* 0: by names */
    uint32_t size_bytes;
    const char *old_text, *new_text;
    bool is_new; /* the object is not there in the first frame */
} diff_field;

typedef struct diff_sides {
    take_view *views[2];
    take_builds *builds[2];                               /* the same for two frames of one take */
    void (*told)(void *context, const diff_field *field); /* null: only counts */
    void *context;
    bool bytes_alone; /* no fields, and also the allocators' books and free memory */
} diff_sides;

typedef struct diff_sum {
    rp_take_difference_sum bytes; /* not where builds differ */
    uint64_t fields;              /* that differ */
    uint64_t others;              /* spans of which no field is known */
    uint64_t book_bytes;          /* of books and free memory, not told */
    bool by_names;                /* of two builds: `bytes` is not known */
    char no_types[480];           /* why there are no fields; "": there are */
} diff_sum;

/* Both views are at their frames. */
rp_status diff_fields(const diff_sides *sides, diff_sum *sum);

#endif
