/* Windows in the address space. See survey.h. */
#include "region/survey.h"
#include "base/bits.h"
#include "region/region.h"

#define CELL_BYTES (UINT64_C(1) << RP_SURVEY_CELL_SHIFT)
#define SPACE_END (UINT64_C(1) << RP_SURVEY_ADDRESS_BITS)
#define GIB(n) ((uint64_t)(n) << 30)

static bool is_marked(const rp_survey_cells *cells, uint32_t cell)
{
    return cells->words[cell / 64] >> (cell % 64) & 1;
}

void rp_survey_add(rp_survey_cells *cells, uint64_t from, uint64_t to)
{
    if (from >= to || from >= SPACE_END) {
        return;
    }
    uint64_t last = (to < SPACE_END ? to - 1 : SPACE_END - 1) >> RP_SURVEY_CELL_SHIFT;
    for (uint64_t cell = from >> RP_SURVEY_CELL_SHIFT; cell <= last; cell++) {
        cells->words[cell / 64] |= UINT64_C(1) << (cell % 64);
    }
}

void rp_survey_unite(rp_survey_cells *cells, const rp_survey_cells *other)
{
    for (size_t i = 0; i < RP_COUNT_OF(cells->words); i++) {
        cells->words[i] |= other->words[i];
    }
}

bool rp_survey_is_free(const rp_survey_cells *cells, uint64_t from, uint64_t to)
{
    if (from >= to) {
        return true;
    }
    if (to > SPACE_END) {
        return false;
    }
    uint32_t cell = (uint32_t)(from >> RP_SURVEY_CELL_SHIFT);
    uint32_t last = (uint32_t)((to - 1) >> RP_SURVEY_CELL_SHIFT);
    while (cell < last && !is_marked(cells, cell)) {
        cell++;
    }
    return !is_marked(cells, cell);
}

bool rp_survey_free_run(const rp_survey_cells *cells, uint32_t *first, uint32_t *count)
{
    uint32_t cell = *first;
    while (cell < RP_SURVEY_CELLS && is_marked(cells, cell)) {
        cell++;
    }
    *first = cell;
    while (cell < RP_SURVEY_CELLS && !is_marked(cells, cell)) {
        cell++;
    }
    *count = cell - *first;
    return *count != 0;
}

/* ---- what could be ---- */

/* Linux on x86-64: arch/x86/mm/mmap.c, fs/binfmt_elf.c, arch/x86/include/asm/elf.h. */
#define TASK_SIZE (SPACE_END - RP_PAGE_BYTES)
#define PIE_BASE (TASK_SIZE / 3 * 2)
#define LEGACY_BASE (TASK_SIZE / 3)
/* An unlimited stack leaves a sixth of the space below the place where mappings begin. */
#define UNLIMITED_STACK_BASE (TASK_SIZE / 6)
#define STACK_RANDOM_BYTES GIB(16)
#define BRK_RANDOM_BYTES GIB(1)
/* Stacks are limited to some MiB as a rule; between that and no limit at all the place moves down.
 */
#define STACK_LIMIT_BYTES GIB(64)

void rp_survey_reach(rp_survey_cells *cells, unsigned bits, uint64_t growth_bytes)
{
    uint64_t random = UINT64_C(1) << (bits + RP_PAGE_SHIFT);
    rp_survey_add(cells, 0,
                  GIB(4) + BRK_RANDOM_BYTES + growth_bytes); /* not position independent */
    rp_survey_add(cells, PIE_BASE, PIE_BASE + random + BRK_RANDOM_BYTES + growth_bytes);
    rp_survey_add(cells, LEGACY_BASE, LEGACY_BASE + random + growth_bytes);
    uint64_t below = STACK_RANDOM_BYTES + random + growth_bytes;
    rp_survey_add(cells, SPACE_END - STACK_LIMIT_BYTES - below, SPACE_END);
    uint64_t unlimited = UNLIMITED_STACK_BASE;
    rp_survey_add(cells, unlimited > below ? unlimited - below : 0, unlimited);
}

typedef struct range {
    uint64_t from, to;
} range;

/* What applications may use, where all versions agree: compiler-rt's asan_mapping.h and
 * asan_allocator.h (its heap stood at 96 TiB and stands at 80 TiB), tsan_platform.h, msan.h. */
static const range allowed[RP_SURVEY_SANITIZERS][4] = {
    [RP_SURVEY_ASAN] = {{UINT64_C(0x100080000000), UINT64_C(0x500000000000)},
                        {UINT64_C(0x540000000000), UINT64_C(0x600000000000)},
                        {UINT64_C(0x640000000000), SPACE_END}},
    [RP_SURVEY_TSAN] = {{0, UINT64_C(0x008000000000)},
                        {UINT64_C(0x550000000000), UINT64_C(0x568000000000)},
                        {UINT64_C(0x7e8000000000), SPACE_END}},
    [RP_SURVEY_MSAN] = {{0, UINT64_C(0x010000000000)},
                        {UINT64_C(0x510000000000), UINT64_C(0x600000000000)},
                        {UINT64_C(0x740000000000), SPACE_END}},
};

void rp_survey_forbid(rp_survey_cells *cells, rp_survey_sanitizer sanitizer)
{
    uint64_t from = 0;
    for (const range *r = allowed[sanitizer]; r->to; r++) {
        rp_survey_add(cells, from, r->from);
        from = r->to;
    }
    rp_survey_add(cells, from, SPACE_END);
}

/* ---- grades ---- */

/* The most that a kernel can be set to, and its default. */
static const unsigned reach_levels[] = {32, 28};

bool rp_survey_grade_of(const rp_survey_cells *seen, uint64_t growth_bytes, uint64_t from,
                        uint64_t to, rp_survey_grade *grade)
{
    *grade = (rp_survey_grade){0};
    for (size_t i = 0; i < RP_COUNT_OF(reach_levels) && !grade->reach_bits; i++) {
        rp_survey_cells reach = {{0}};
        rp_survey_reach(&reach, reach_levels[i], growth_bytes);
        grade->reach_bits = rp_survey_is_free(&reach, from, to) ? reach_levels[i] : 0;
    }
    for (int i = 0; i < RP_SURVEY_SANITIZERS; i++) {
        rp_survey_cells forbidden = {{0}};
        rp_survey_forbid(&forbidden, (rp_survey_sanitizer)i);
        grade->sanitizers[i] = rp_survey_is_free(&forbidden, from, to);
    }
    return rp_survey_is_free(seen, from, to);
}

/* ---- windows ---- */

typedef struct search {
    const rp_survey_cells *seen;
    uint64_t growth_bytes, need_bytes;
    rp_survey_window *windows;
    size_t capacity, count;
} search;

/* What moves or was seen, for the distance. */
static rp_survey_cells moving_cells(const search *s)
{
    rp_survey_cells moving = *s->seen;
    rp_survey_reach(&moving, reach_levels[0], s->growth_bytes);
    return moving;
}

/* Free bytes directly before `from` and from `to` on. */
static uint64_t free_before(const rp_survey_cells *cells, uint64_t from)
{
    uint32_t cell = (uint32_t)(from >> RP_SURVEY_CELL_SHIFT), first = cell;
    while (cell > 0 && !is_marked(cells, cell - 1)) {
        cell--;
    }
    return (uint64_t)(first - cell) << RP_SURVEY_CELL_SHIFT;
}

static uint64_t free_behind(const rp_survey_cells *cells, uint64_t to)
{
    uint32_t cell = (uint32_t)(to >> RP_SURVEY_CELL_SHIFT), first = cell;
    while (cell < RP_SURVEY_CELLS && !is_marked(cells, cell)) {
        cell++;
    }
    return (uint64_t)(cell - first) << RP_SURVEY_CELL_SHIFT;
}

static void place(const search *s, const rp_survey_cells *moving, rp_survey_window *w)
{
    w->is_default = w->start <= RP_REGION_BASE && w->end >= RP_MODULE_LIMIT &&
                    w->end - RP_REGION_BASE >= s->need_bytes;
    w->base = RP_REGION_BASE;
    if (!w->is_default) {
        uint64_t middle = w->start + (w->end - w->start - s->need_bytes) / 2;
        uint64_t aligned = rp_align_down(middle, GIB(64));
        w->base = aligned >= w->start ? aligned : rp_align_down(middle, CELL_BYTES);
    }
    uint64_t end = w->base + s->need_bytes;
    bool stands_free = rp_survey_is_free(moving, w->base, end);
    uint64_t before = free_before(moving, w->base), behind = free_behind(moving, end);
    w->distance = !stands_free ? 0 : before < behind ? before : behind;
}

static bool better(const rp_survey_window *a, const rp_survey_window *b)
{
    if (a->is_default != b->is_default) {
        return a->is_default;
    }
    uint64_t size_a = a->end - a->start, size_b = b->end - b->start;
    return size_a != size_b ? size_a > size_b : a->distance > b->distance;
}

static bool overlaps_a_better_one(const search *s, const rp_survey_window *w, size_t better_count)
{
    for (size_t i = 0; i < better_count; i++) {
        if (w->start < s->windows[i].end && s->windows[i].start < w->end) {
            return true;
        }
    }
    return false;
}

/* Into its place among those of its level, which begin at `level_start`; the worst falls out. */
static void insert(search *s, size_t level_start, const rp_survey_window *w)
{
    size_t at = s->count;
    while (at > level_start && better(w, &s->windows[at - 1])) {
        at--;
    }
    if (at == s->capacity) {
        return;
    }
    s->count += s->count < s->capacity;
    for (size_t i = s->count - 1; i > at; i--) {
        s->windows[i] = s->windows[i - 1];
    }
    s->windows[at] = *w;
}

static void search_level(search *s, unsigned reach_bits, bool sanitizers)
{
    rp_survey_cells taken = *s->seen;
    rp_survey_cells moving = moving_cells(s);
    rp_survey_reach(&taken, reach_bits, s->growth_bytes);
    for (int i = 0; i < RP_SURVEY_SANITIZERS && sanitizers; i++) {
        rp_survey_forbid(&taken, (rp_survey_sanitizer)i);
    }
    size_t level_start = s->count;
    uint32_t first = 0, count;
    for (; rp_survey_free_run(&taken, &first, &count); first += count) {
        rp_survey_window w = {.start = (uint64_t)first << RP_SURVEY_CELL_SHIFT};
        w.end = w.start + ((uint64_t)count << RP_SURVEY_CELL_SHIFT);
        if (w.end - w.start < s->need_bytes || overlaps_a_better_one(s, &w, level_start)) {
            continue;
        }
        place(s, &moving, &w);
        rp_survey_grade_of(s->seen, s->growth_bytes, w.base, w.base + s->need_bytes, &w.grade);
        insert(s, level_start, &w);
    }
}

size_t rp_survey_windows(const rp_survey_cells *seen, uint64_t growth_bytes, uint64_t need_bytes,
                         rp_survey_window *windows, size_t capacity)
{
    search s = {seen, growth_bytes, need_bytes, windows, capacity, 0};
    for (size_t i = 0; i < RP_COUNT_OF(reach_levels); i++) {
        search_level(&s, reach_levels[i], true);
        search_level(&s, reach_levels[i], false);
    }
    return s.count;
}
