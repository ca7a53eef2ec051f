/* S16: a million objects of a changed type are brought to the new build.
 *
 *   array    one block of them, pointers among them
 *   singles  a block each, in a table, two pointers in each: the target
 *   list     a block each, found by following a list that jumps about in memory
 *
 * Measured is all that the process with the world does: finding every block and its type, making
 * every object anew, moving all pointers, freeing what was. The plan is made before. Each sample
 * begins with a fresh world, whose result is checked; beside it memcpy of the same bytes. What the
 * machine can do at best is given by the same work by hand, where the type and all objects are
 * known: a new block for each, its values, both pointers through a forwarding address, the old
 * block freed. The ratio to it is limited, too.
 */
#include "bench.h"

#include "base/error.h"
#include "module/carry.h"
#include "module/elf.h"
#include "module/object.h"
#include "region/region.h"

#include <dlfcn.h>
#include <reprise/memory.h>

enum { SAMPLES = 7, OBJECTS = 1000000, OBJECT_BYTES = 40 };

typedef struct build {
    rp_elf *elf;
    void *handle;
    rp_object object;
} build;

static void must(rp_status status, const char *what)
{
    if (status != RP_OK) {
        fprintf(stderr, "bench_migrate: %s: %s\n", what, rp_error_last()->text);
        exit(EXIT_FAILURE);
    }
}

/* As a runner's malloc. */
static void *allocate(size_t size_bytes)
{
    void *block = rp_alloc(rp_generic(RP_ZONE_WORLD), size_bytes + 1);
    size_t usable = rp_usable_bytes(block);
    memset((char *)block + size_bytes, 0, usable - size_bytes);
    return block;
}

static build load(const char *path)
{
    static rp_object objects[RP_OBJECT_MAX];
    build b = {0};
    must(rp_elf_open(path, NULL, &b.elf), path);
    b.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!b.handle) {
        fprintf(stderr, "bench_migrate: %s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    size_t count = rp_objects_scan(objects, RP_OBJECT_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(objects[i].path, path) == 0) {
            b.object = objects[i];
        }
    }
    void *(**slot)(size_t) = dlsym(b.handle, "allocate");
    *slot = allocate;
    return b;
}

static int call(const build *b, const char *front, const char *name)
{
    char symbol[32];
    int (*function)(void);
    snprintf(symbol, sizeof symbol, "%s_%s", front, name);
    *(void **)&function = dlsym(b->handle, symbol);
    return function();
}

static bool read_live(void *context, uint64_t old_address, void *to, size_t size_bytes)
{
    (void)context;
    memcpy(to, (const void *)(uintptr_t)old_address, size_bytes);
    return true;
}

static int note_block(void *block, size_t size_bytes, void *context)
{
    void ***next = context;
    (void)size_bytes;
    *(*next)++ = block;
    return 0;
}

static void free_all(void)
{
    rp_alloc_stats stats;
    rp_stats_get(rp_generic(RP_ZONE_WORLD), &stats);
    void **blocks = malloc((stats.live_count + 1) * sizeof *blocks), **next = blocks;
    rp_walk(rp_generic(RP_ZONE_WORLD), note_block, &next);
    while (next > blocks) {
        rp_free(*--next);
    }
    free(blocks);
}

static uint64_t migrate(const rp_plan *plan, const build *new_build)
{
    rp_carry_report report = {0};
    rp_migration migration = {0};
    rp_refusal refusal;
    uint64_t from = bench_ns();
    must(rp_carry_migrate(plan, new_build->object.base, NULL, read_live, NULL, NULL, 0, &report,
                          &migration, &refusal),
         "migrate");
    uint64_t took = bench_ns() - from;
    if (migration.objects < OBJECTS) {
        fprintf(stderr, "bench_migrate: only %llu objects\n",
                (unsigned long long)migration.objects);
        exit(EXIT_FAILURE);
    }
    return took;
}

/* As types_module.c has them. */
typedef struct by_hand_old {
    struct by_hand_old *next, *other;
    float place[4];
    int hp, team;
} by_hand_old;

typedef struct by_hand_new {
    struct by_hand_new *next, *other;
    float place[4];
    double coyote_s;
    int hp, team;
} by_hand_new;

static by_hand_new *forwarded(const by_hand_old *old)
{
    return old ? (by_hand_new *)(void *)old->next : NULL;
}

static void by_hand_move(by_hand_old **olds, by_hand_new **news)
{
    for (int i = 0; i < OBJECTS; i++) {
        by_hand_new *to = news[i] = allocate(sizeof *to);
        *to = (by_hand_new){(by_hand_new *)(void *)olds[i]->next,
                            (by_hand_new *)(void *)olds[i]->other,
                            {0},
                            0,
                            olds[i]->hp,
                            olds[i]->team};
        memcpy(to->place, olds[i]->place, sizeof to->place);
        olds[i]->next = (by_hand_old *)(void *)to;
    }
    for (int i = 0; i < OBJECTS; i++) {
        news[i]->next = forwarded((by_hand_old *)(void *)news[i]->next);
        news[i]->other = forwarded((by_hand_old *)(void *)news[i]->other);
    }
    for (int i = 0; i < OBJECTS; i++) {
        rp_free(olds[i]);
    }
}

static uint64_t by_hand(void)
{
    by_hand_old **olds = malloc(OBJECTS * sizeof *olds);
    by_hand_new **news = malloc(OBJECTS * sizeof *news);
    memset(news, 1, OBJECTS * sizeof *news);
    for (int i = 0; i < OBJECTS; i++) {
        olds[i] = allocate(sizeof **olds);
    }
    for (int i = 0; i < OBJECTS; i++) {
        *olds[i] = (by_hand_old){
            .next = i ? olds[i - 1] : NULL, .other = olds[i * 7919ll % OBJECTS], .hp = i};
    }
    uint64_t begin = bench_ns();
    by_hand_move(olds, news);
    uint64_t took = bench_ns() - begin;
    free(olds);
    free(news);
    free_all();
    return took;
}

static uint64_t copy_bytes(void)
{
    static uint8_t *from, *to;
    size_t bytes = (size_t)OBJECTS * OBJECT_BYTES;
    if (!from) {
        from = malloc(bytes);
        to = malloc(bytes);
        memset(from, 1, bytes);
        memset(to, 2, bytes);
    }
    uint64_t begin = bench_ns();
    memcpy(to, from, bytes);
    __asm__ volatile("" : : "r"(to) : "memory");
    return bench_ns() - begin;
}

static void measure(const build *old_build, const build *new_build, const rp_plan *plan,
                    const char *name, double target, double limit)
{
    static bench_samples took, copied, hand;
    took.count = copied.count = hand.count = 0;
    for (int i = 0; i < SAMPLES; i++) {
        call(old_build, "make", name);
        bench_add(&took, migrate(plan, new_build));
        bench_add(&copied, copy_bytes());
        int wrong = call(new_build, "check", name);
        if (wrong) {
            fprintf(stderr, "bench_migrate: %s: object %d is wrong\n", name, wrong - 1);
            exit(EXIT_FAILURE);
        }
        free_all();
        bench_add(&hand, by_hand());
    }
    char what[64];
    snprintf(what, sizeof what, "1M objects, %s", name);
    bench_result result = {.id = "S16",
                           .what = what,
                           .unit = "ms",
                           .target = target,
                           .median_us = bench_median(&took),
                           .peer_us = bench_median(&copied),
                           .spread = bench_spread(&took),
                           .note = "peer: memcpy of as many bytes"};
    result.value = result.median_us / 1e3;
    bench_print(&result);
    if (limit > 0) {
        result = (bench_result){.id = "S16",
                                .what = what,
                                .unit = "x",
                                .target = limit,
                                .median_us = bench_median(&took),
                                .peer_us = bench_median(&hand),
                                .spread = bench_spread(&hand),
                                .note = "peer: the same by hand"};
        result.value = result.median_us / result.peer_us;
        bench_print(&result);
    }
}

int main(int argc, char **argv)
{
    bench_open(argc, argv);
    if (!bench_wants("S16")) {
        return bench_done();
    }
    must(rp_memory_open(NULL), "region");
    build old_build = load(BENCH_MODULES "/types_module_0.so");
    build new_build = load(BENCH_MODULES "/types_module_1.so");
    rp_plan *plan;
    must(rp_plan_make(old_build.elf, 1, old_build.object.base, 0, new_build.elf, 2, NULL, &plan),
         "plan");
    measure(&old_build, &new_build, plan, "singles", 250, 8);
    measure(&old_build, &new_build, plan, "array", 0, 0);
    measure(&old_build, &new_build, plan, "list", 0, 12);
    rp_plan_free(plan);
    rp_elf_close(old_build.elf);
    rp_elf_close(new_build.elf);
    return bench_done();
}
