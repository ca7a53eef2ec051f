#include "module/fixture.h"
#include "module/object.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

static rp_object objects[RP_OBJECT_MAX];

TEST(the_shipped_list_keeps_the_system_and_nothing_else)
{
    const char *kept[] = {"/lib/x86_64-linux-gnu/libc.so.6",
                          "/lib64/ld-linux-x86-64.so.2",
                          "libm.so.6",
                          "libm-2.31.so",
                          "libGL.so.1",
                          "libSDL2-2.0.so.0",
                          "libEGL_mesa.so.0",
                          "libX11.so.6",
                          "libxcb.so.1",
                          "libwayland-client.so.0",
                          "libgomp.so.1",
                          "libasan.so.8",
                          "libreprise.so.0",
                          "/opt/bin/reprise-runner",
                          "libssl.so.3",
                          "libpulsecommon-16.1.so",
                          "linux-vdso.so.1",
                          "libnss_files.so.2",
                          ""};
    const char *world[] = {
        "game.so",       "libstdc++.so.6",  "liblua5.4.so.0",        "libmad.so.0",
        "libcairo.so.2", "libsqlite3.so.0", "/home/libc.so/game.so", "libcJSON.so",
        "libmylib.so",   "libdlib.so.19",   "librtaudio.so",         "libGLM.so",
        "libutility.so", "libz.so.1"};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        ck_assert_msg(rp_class_of(kept[i]) == RP_ZONE_KEEP, "%s", kept[i]);
    }
    for (size_t i = 0; i < sizeof world / sizeof world[0]; i++) {
        ck_assert_msg(rp_class_of(world[i]) == RP_ZONE_WORLD, "%s", world[i]);
    }
}

TEST(names_may_be_added)
{
    ck_assert_int_eq(rp_class_of("/usr/lib/libfoo.so.3"), RP_ZONE_WORLD);
    ck_ok(rp_class_keep("libfoo"));
    ck_ok(rp_class_keep("libbar.so.3"));
    ck_ok(rp_class_keep("*baz*"));
    ck_assert_int_eq(rp_class_of("/usr/lib/libfoo.so.3"), RP_ZONE_KEEP);
    ck_assert_int_eq(rp_class_of("/usr/lib/libfoo-1.2.so"), RP_ZONE_KEEP);
    ck_assert_int_eq(rp_class_of("/usr/lib/libfood.so"), RP_ZONE_WORLD);
    ck_assert_int_eq(rp_class_of("libbar.so.3"), RP_ZONE_KEEP);
    ck_assert_int_eq(rp_class_of("libbar.so.4"), RP_ZONE_WORLD);
    ck_assert_int_eq(rp_class_of("my-baz.so"), RP_ZONE_KEEP);
}

TEST(impossible_names_are_refused)
{
    char longer[80] = "";
    memset(longer, 'x', 70);
    ck_assert_int_eq(rp_class_keep(""), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_class_keep(longer), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_class_keep("/usr/lib/libfoo.so"), RP_E_ARGUMENT);
    for (int i = 0; i < 64; i++) {
        ck_ok(rp_class_keep("libany"));
    }
    ck_assert_int_eq(rp_class_keep("libany"), RP_E_RANGE);
}

static void *load(fixture *f, const char *name)
{
    fixture_write(f, "m.c", FIXTURE_STEP);
    const char *path = fixture_build(f, "gcc", "m.c", name);
    void *handle = dlopen(path, RTLD_NOW);
    ck_assert_msg(handle != NULL, "%s", dlerror());
    return handle;
}

TEST(code_has_the_class_of_its_object)
{
    fixture f = fixture_open();
    void *game = load(&f, "game.so"), *sdl = load(&f, "libSDL9.so");
    void *in_game = dlsym(game, "rp_module_step"), *in_sdl = dlsym(sdl, "rp_module_step");
    for (int pass = 0; pass < 3; pass++) { /* looked up, remembered, from the map */
        ck_assert_int_eq(rp_class_of_code(in_game), RP_ZONE_WORLD);
        ck_assert_int_eq(rp_class_of_code(in_sdl), RP_ZONE_KEEP);
        ck_assert_int_eq(rp_class_of_code(dlsym(RTLD_DEFAULT, "qsort")), RP_ZONE_KEEP);
        ck_assert_int_eq(rp_class_of_code((void *)(uintptr_t)load), RP_ZONE_KEEP);
        if (pass == 1) {
            rp_class_map_update(objects, rp_objects_scan(objects, RP_OBJECT_MAX));
        }
    }
    dlclose(game);
    dlclose(sdl);
    fixture_close(&f);
}

TEST(code_made_at_run_time_is_world)
{
    void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_int_eq(rp_class_of_code(code), RP_ZONE_WORLD);
    ck_assert_int_eq(rp_class_of_code(code), RP_ZONE_WORLD);
    ck_assert_int_eq(rp_class_of_code(NULL), RP_ZONE_WORLD);
    munmap(code, 4096);
}

TEST(a_class_that_was_given_stays_when_names_are_added)
{
    fixture f = fixture_open();
    void *game = load(&f, "libgamelate.so"), *step = dlsym(game, "rp_module_step");
    ck_assert_int_eq(rp_class_of_code(step), RP_ZONE_WORLD);
    ck_ok(rp_class_keep("libgamelate"));
    size_t count = rp_objects_scan(objects, RP_OBJECT_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strstr(objects[i].path, "libgamelate")) {
            ck_assert_int_eq(objects[i].zone, RP_ZONE_WORLD);
            objects[i].zone = RP_ZONE_KEEP;
        }
    }
    rp_class_map_update(objects, count);
    ck_assert_int_eq(rp_class_of_code(step), RP_ZONE_KEEP);
    dlclose(game);
    fixture_close(&f);
}

/* A table of made-up objects: 4 pages each, every third one keep, with holes between. */
static void fill(rp_object *made, size_t count, uint64_t base)
{
    for (size_t i = 0; i < count; i++) {
        size_t k = (i * 37) % count; /* out of order */
        made[i] = (rp_object){.low = base + k * 0x10000,
                              .high = base + k * 0x10000 + 0x4000,
                              .zone = k % 3 == 0 ? RP_ZONE_KEEP : RP_ZONE_WORLD};
    }
}

TEST(the_map_finds_each_of_many_objects_and_no_hole)
{
    uint64_t base = UINT64_C(0x7e0000000000);
    fill(objects, 251, base);
    rp_class_map_update(objects, 251);
    for (size_t k = 0; k < 251; k++) {
        rp_zone zone = k % 3 == 0 ? RP_ZONE_KEEP : RP_ZONE_WORLD;
        uint64_t low = base + k * 0x10000;
        ck_assert_int_eq(rp_class_of_code((void *)(uintptr_t)low), zone);
        ck_assert_int_eq(rp_class_of_code((void *)(uintptr_t)(low + 0x3fff)), zone);
        ck_assert_int_eq(rp_class_of_code((void *)(uintptr_t)(low + 0x4000)), RP_ZONE_WORLD);
        ck_assert_int_eq(rp_class_of_code((void *)(uintptr_t)(low - 1)), RP_ZONE_WORLD);
    }
}

static _Atomic int done;

static void *read_map(void *context)
{
    uint64_t base = UINT64_C(0x7e0000000000), seed = (uintptr_t)context;
    size_t wrong = 0;
    while (!atomic_load(&done)) {
        size_t k = test_random(&seed) % 30 * 3; /* a keep object in both tables */
        wrong += rp_class_of_code((void *)(uintptr_t)(base + k * 0x10000 + 64)) != RP_ZONE_KEEP;
    }
    return (void *)wrong;
}

TEST(readers_never_see_a_half_written_map)
{
    static rp_object few[90], many[240];
    uint64_t base = UINT64_C(0x7e0000000000);
    fill(few, 89, base);
    fill(many, 239, base);
    rp_class_map_update(few, 89);
    pthread_t threads[2];
    for (uintptr_t i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, read_map, (void *)(i + 1));
    }
    for (int i = 0; i < 3000; i++) {
        rp_class_map_update(i % 2 ? few : many, i % 2 ? 89 : 239);
    }
    atomic_store(&done, 1);
    for (int i = 0; i < 2; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
}

TEST(a_look_up_costs_a_few_nanoseconds)
{
    rp_class_map_update(objects, rp_objects_scan(objects, RP_OBJECT_MAX));
    const void *code = dlsym(RTLD_DEFAULT, "qsort");
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    int kept = 0;
    for (int i = 0; i < 1000000; i++) {
        kept += rp_class_of_code((const char *)code + i % 16) == RP_ZONE_KEEP;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    ck_assert_int_eq(kept, 1000000);
    printf("class of code: %.1f ns\n",
           ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / 1e6);
}
