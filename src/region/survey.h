/* Where a static address can lie: what was seen to be occupied, what randomisation could reach,
 * what sanitizers do not allow, and which windows that leaves. Pure functions on sets of cells of 1
 * GiB in the lower 47 bits, in the caller's memory.
 *
 *     rp_survey_add(&seen, from, to);            each mapping of each run
 *     rp_survey_windows(&seen, …, windows, …);   best first
 *
 * The numbers are those of x86-64; a machine of another kind needs its own.
 *
 * Layer: region.  Threads: any.  Design: docs/internals/region.md
 * Tests: tests/region/test_survey.c
 */
#ifndef RP_REGION_SURVEY_H
#define RP_REGION_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RP_SURVEY_CELL_SHIFT = 30, RP_SURVEY_ADDRESS_BITS = 47, RP_SURVEY_CELLS = 1 << 17 };

typedef struct rp_survey_cells {
    uint64_t words[RP_SURVEY_CELLS / 64]; /* 16 KiB; a bit is set where the cell is occupied */
} rp_survey_cells;

/* Marks [from, to), rounded out to whole cells and cut at 47 bits. Nothing where it is empty. */
void rp_survey_add(rp_survey_cells *cells, uint64_t from, uint64_t to);
void rp_survey_unite(rp_survey_cells *cells, const rp_survey_cells *other);
/* Whether no cell that [from, to) touches is marked; what lies beyond 47 bits counts as marked. */
bool rp_survey_is_free(const rp_survey_cells *cells, uint64_t from, uint64_t to);
/* The first run of free cells at or behind cell `*first`; false: none. A run ends at a marked cell
 * or at the end. */
bool rp_survey_free_run(const rp_survey_cells *cells, uint32_t *first, uint32_t *count);

/* Marks what the kernel could choose with `bits` bits of mmap randomisation (28: the default; 32:
 * the most), in every layout and for every kind of program: executables that are position
 * independent or not, the brk heap behind either, mappings from the top down with any limit of the
 * stack up to none, from a third of the space upward (the legacy layout), and the stack.
 * `growth_bytes`: how much a program may map beside what was chosen. */
void rp_survey_reach(rp_survey_cells *cells, unsigned bits, uint64_t growth_bytes);

typedef enum rp_survey_sanitizer {
    RP_SURVEY_ASAN,
    RP_SURVEY_TSAN,
    RP_SURVEY_MSAN,
    RP_SURVEY_SANITIZERS
} rp_survey_sanitizer;

/* Marks what a program under the sanitizer may not map, in any version from gcc 12 and clang 14 on.
 */
void rp_survey_forbid(rp_survey_cells *cells, rp_survey_sanitizer sanitizer);

/* How well a range does, beyond having been free whenever somebody looked. */
typedef struct rp_survey_grade {
    unsigned reach_bits; /* out of reach at 32 or 28 bits of randomisation; or 0 */
    bool sanitizers[RP_SURVEY_SANITIZERS]; /* that allow it */
} rp_survey_grade;

typedef struct rp_survey_window {
    uint64_t start, end; /* the whole run of free cells */
    uint64_t base;     /* where in it the reserve would best stand: the default's place, else as far
                          from what moves as it goes */
    uint64_t distance; /* bytes from the reserve to the nearest that moves or was seen */
    rp_survey_grade grade;
    bool is_default; /* holds the range that is built in */
} rp_survey_window;

/* What the grade of [from, to) is. False: it was seen to be occupied. */
bool rp_survey_grade_of(const rp_survey_cells *seen, uint64_t growth_bytes, uint64_t from,
                        uint64_t to, rp_survey_grade *grade);
/* The windows of at least `need_bytes` that were free in every run and that no kernel with 28 bits
 * can reach, best first: out of reach at 32 bits too; allowed by the sanitizers; the default; size;
 * distance. A window that overlaps a better one is left out. Returns how many were written, at most
 * `capacity`. */
size_t rp_survey_windows(const rp_survey_cells *seen, uint64_t growth_bytes, uint64_t need_bytes,
                         rp_survey_window *windows, size_t capacity);

#endif
