/* Where counter_module.c draws what: blocks of one colour each, read by tests.
 *
 * Block i covers the pixels from (i % 8 * 40, i / 8 * 45); its colour is the value's low 24 bits.
 */
#ifndef PROGRAMS_COUNTER_MODULE_H
#define PROGRAMS_COUNTER_MODULE_H

enum { COUNTER_ACROSS = 8, COUNTER_BLOCK_WIDTH_PX = 40, COUNTER_BLOCK_HEIGHT_PX = 45 };

typedef enum counter_block {
    COUNTER_GLOBAL,       /* a global, + STRIDE a frame */
    COUNTER_STATIC,       /* a file's static, from 100, + 1 a frame */
    COUNTER_INNER_STATIC, /* a function's static, + 1 a frame */
    COUNTER_THREAD,       /* a thread-local, from 7, + 1 a frame */
    COUNTER_SECTION,      /* a variable in a section of its own, from 5, + 1 a frame */
    COUNTER_LIST,         /* items in the malloced list: frames, at most 40 */
    COUNTER_LIST_SUM,     /* hash of the items' labels (strdup, asprintf, getline, strtok) */
    COUNTER_OPERATION,    /* worked on by the function pointers */
    COUNTER_LITERAL,      /* hash of the text that the literal pointer leads to */
    COUNTER_SORTED,       /* hash of the items' weights after qsort */
    COUNTER_RANDOM,       /* sum of rand() */
    COUNTER_GETRANDOM,    /* sum of getrandom */
    COUNTER_TIME,         /* time() when the world began */
    COUNTER_CLOCK,        /* milliseconds of CLOCK_MONOTONIC */
    COUNTER_HOUR,         /* localtime's hour * 60 + minute */
    COUNTER_SPARE,        /* a global that EDIT_3 removes; it draws 0xedede3 then */
    COUNTER_ADDED,        /* a global that EDIT_2 adds in front: 77, + 1 a frame; else 0 */
    COUNTER_BUILD,        /* stage->build */
    COUNTER_RELOADS,      /* calls of rp_module_reloaded */
    COUNTER_PRESSED,      /* how often space was pressed */
    COUNTER_DIGEST,       /* hash of all the blocks before this one but BUILD and RELOADS */
    COUNTER_BLOCKS
} counter_block;

#endif
