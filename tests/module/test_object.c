#include "module/fixture.h"
#include "module/object.h"

#include <dlfcn.h>
#include <gelf.h>
#include <pthread.h>

static const char source[] =
    "#include <math.h>\n#include <stdio.h>\n"
    "int data = 1, bss[100]; static int hidden = 2; const char *text = \"x\"; static char odd = "
    "3;\n"
    "const char *const names[] = {\"a\", \"b\"};\n"
    "__attribute__((section(\"custom\"))) int in_custom = 4; _Thread_local int thread = 5;\n"
    "__attribute__((constructor)) static void begin(void) { hidden++; }\n"
    "void rp_module_step(void *s) { data += hidden + odd + (int)sin(data) + puts(text) + thread; "
    "}\n"
    "void *addresses[] = {&data, &hidden, bss};\n"
    "void *hidden_address(void) { return &hidden; } void *odd_address(void) { return &odd; }\n";

typedef struct opened {
    fixture f;
    const char *path;
    void *handle;
    rp_object object;
} opened;

static rp_object objects[RP_OBJECT_MAX];

static opened open_with(const char *compiler)
{
    opened o = {.f = fixture_open()};
    fixture_write(&o.f, "object.c", source);
    o.path = fixture_build(&o.f, compiler, "object.c -lm", "object.so");
    o.handle = dlopen(o.path, RTLD_NOW);
    ck_assert_msg(o.handle != NULL, "%s", dlerror());
    size_t count = rp_objects_scan(objects, RP_OBJECT_MAX), found = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(objects[i].path, o.path) == 0) {
            o.object = objects[i];
            found++;
        }
    }
    ck_assert_uint_eq(found, 1);
    return o;
}

static void close_all(opened *o)
{
    dlclose(o->handle);
    fixture_close(&o->f);
}

static bool is_state(const rp_object *object, uint64_t address)
{
    for (uint32_t i = 0; i < object->state_count; i++) {
        if (address - object->state[i].start < object->state[i].size_bytes) {
            return true;
        }
    }
    return false;
}

/* Sections that are never state, whatever the linker. */
static bool is_loaders(const char *name)
{
    const char *names[] = {".dynamic", ".init_array", ".fini_array", ".got.plt"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_programs(const char *name)
{
    const char *names[] = {".data", ".bss", "custom"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Every byte of each section of the file against the spans from the image in memory. */
static int check_sections(const opened *o)
{
    uint8_t *bytes;
    size_t size = fixture_read(o->path, &bytes), strings;
    elf_version(EV_CURRENT);
    Elf *elf = elf_memory((char *)bytes, size);
    ck_assert_int_eq(elf_getshdrstrndx(elf, &strings), 0);
    Elf_Scn *section = NULL;
    int checked = 0;
    while ((section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        gelf_getshdr(section, &header);
        const char *name = elf_strptr(elf, strings, header.sh_name);
        bool state = is_programs(name);
        if (!state && !is_loaders(name) &&
            (header.sh_flags & SHF_WRITE || !(header.sh_flags & SHF_ALLOC))) {
            continue;
        }
        for (uint64_t i = 0; i < header.sh_size; i++) {
            ck_assert_msg(is_state(&o->object, o->object.base + header.sh_addr + i) == state,
                          "%s + %lu of %lu", name, i, header.sh_size);
        }
        checked++;
    }
    elf_end(elf);
    free(bytes);
    return checked;
}

static void check_state(const char *compiler)
{
    opened o = open_with(compiler);
    ck_assert_uint_eq(o.object.state_lost, 0);
    ck_assert_uint_gt(o.object.state_count, 0);
    ck_assert_int_gt(check_sections(&o), 8);
    uint64_t *names = dlsym(o.handle, "names");
    bool relro = !strstr(compiler, "norelro");
    ck_assert_msg(is_state(&o.object, (uintptr_t)names) != relro, "%s", compiler);
    close_all(&o);
}

TEST(state_is_byte_for_byte_what_the_program_writes)
{
    check_state("gcc -O0");
    check_state("gcc -O2 -Wl,-z,now");
    check_state("gcc -O2 -Wl,-z,lazy");
    check_state("gcc -O2 -Wl,-z,norelro");
    check_state("gcc -O2 -Wl,-z,norelro,-z,now");
    check_state("gcc -O2 -Wl,-z,pack-relative-relocs");
    check_state("gcc -O2 -Wl,-z,noseparate-code");
    check_state("gcc -O2 -mtls-dialect=gnu2");
    check_state("gcc -O2 -fuse-ld=gold");
    check_state("clang -O2 -fuse-ld=lld");
    check_state("clang -O2 -fuse-ld=lld -Wl,-z,now");
    check_state("clang -O2 -fuse-ld=lld -Wl,-z,norelro,-z,lazy");
    check_state("clang -O2 -fuse-ld=lld -Wl,--no-rosegment");
    check_state("gcc -O2 -s");
    check_state("clang -O2 -fuse-ld=lld -s");
}

/* Writing back its own state must leave a module that works; with the loader's words among it a
 * lazy binding that happened in between would be undone, but also nothing would break, so the words
 * that a binding changes are looked at. */
TEST(binding_a_function_changes_no_state)
{
    const char *compilers[] = {"gcc -O0 -Wl,-z,lazy", "clang -O0 -fuse-ld=lld -Wl,-z,lazy",
                               "gcc -O0 -Wl,-z,lazy,-z,norelro"};
    for (size_t i = 0; i < 3; i++) {
        fixture f = fixture_open();
        fixture_write(
            &f, "lazy.c",
            "#include <stdlib.h>\nint state = 1;\n"
            "void rp_module_step(void *s) { (void)s; (void)labs(-1); abs(2); rand(); }\n");
        const char *path = fixture_build(&f, compilers[i], "-fno-builtin lazy.c", "lazy.so");
        void *handle = dlopen(path, RTLD_LAZY);
        ck_assert_ptr_nonnull(handle);
        size_t count = rp_objects_scan(objects, RP_OBJECT_MAX), at = 0;
        while (at < count && strcmp(objects[at].path, path) != 0) {
            at++;
        }
        ck_assert_uint_lt(at, count);
        uint64_t sums[2] = {0, 0};
        for (int pass = 0; pass < 2; pass++) {
            for (uint32_t k = 0; k < objects[at].state_count; k++) {
                const uint8_t *bytes = (const uint8_t *)(uintptr_t)objects[at].state[k].start;
                for (uint64_t b = 0; b < objects[at].state[k].size_bytes; b++) {
                    sums[pass] = sums[pass] * 31 + bytes[b];
                }
            }
            void (*step)(void *);
            *(void **)&step = dlsym(handle, "rp_module_step");
            step(NULL);
        }
        ck_assert_uint_eq(sums[0], sums[1]);
        dlclose(handle);
        fixture_close(&f);
    }
}

TEST(an_object_is_described)
{
    opened o = open_with("gcc -O2 -Wl,--build-id=sha1");
    Dl_info info;
    void *step = dlsym(o.handle, "rp_module_step");
    ck_assert_int_ne(dladdr(step, &info), 0);
    ck_assert_uint_eq(o.object.base, (uintptr_t)info.dli_fbase);
    ck_assert_uint_eq(o.object.build_id_bytes, 20);
    ck_assert_uint_eq(o.object.low % 4096 + o.object.high % 4096, 0);
    ck_assert_uint_eq(o.object.code_count, 1);
    ck_assert_uint_lt((uintptr_t)step - o.object.code[0].start, o.object.code[0].size_bytes);
    ck_assert_uint_eq(o.object.tls_bytes, 4);
    ck_assert_int_eq(o.object.zone, RP_ZONE_WORLD);
    uint64_t hidden;
    void *(*address)(void);
    *(void **)&address = dlsym(o.handle, "hidden_address");
    hidden = (uintptr_t)address();
    ck_assert(is_state(&o.object, hidden) && !is_state(&o.object, (uintptr_t)step));
    close_all(&o);
}

static void *tls_of(void *object)
{
    return rp_object_tls(object);
}

TEST(each_thread_has_its_own_tls_block)
{
    opened o = open_with("gcc -O2");
    int *mine = rp_object_tls(&o.object);
    ck_assert_ptr_eq(mine, dlsym(o.handle, "thread"));
    ck_assert_int_eq(*mine, 5);
    pthread_t thread;
    void *other;
    ck_assert_int_eq(pthread_create(&thread, NULL, tls_of, &o.object), 0);
    ck_assert_int_eq(pthread_join(thread, &other), 0);
    ck_assert_ptr_nonnull(other);
    ck_assert_ptr_ne(other, mine);
    close_all(&o);
    rp_object none = {.tls_module = 0};
    ck_assert_ptr_null(rp_object_tls(&none));
}

TEST(a_scan_with_too_little_room_fills_what_there_is)
{
    rp_object two[3];
    memset(two, 0x5a, sizeof two);
    ck_assert_uint_eq(rp_objects_scan(two, 2), 2);
    ck_assert_str_eq(two[0].path, "");
    ck_assert_int_eq(two[0].zone, RP_ZONE_KEEP);
    uint8_t expected[sizeof two[2]];
    memset(expected, 0x5a, sizeof expected);
    ck_assert_mem_eq(&two[2], expected, sizeof expected);
}

TEST(every_library_of_this_process_is_found_in_whole)
{
    size_t count = rp_objects_scan(objects, RP_OBJECT_MAX), libc = 0;
    for (size_t i = 0; i < count; i++) {
        const rp_object *object = &objects[i];
        ck_assert_uint_lt(object->low, object->high);
        ck_assert_uint_eq(object->state_lost, 0);
        uint64_t end = 0;
        for (uint32_t k = 0; k < object->state_count; k++) {
            ck_assert_uint_ge(object->state[k].start, end);
            end = object->state[k].start + object->state[k].size_bytes;
            ck_assert_uint_le(end, object->high);
        }
        libc += strstr(object->path, "libc.so.6") && object->zone == RP_ZONE_KEEP;
    }
    ck_assert_uint_eq(libc, 1);
}
