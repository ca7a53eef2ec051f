#include "base/error.h"
#include "module/elf.h"
#include "module/fixture.h"
#include "support/fault.h"

#include <elf.h>
#include <errno.h>
#include <pthread.h>

static const char small_source[] =
    "#include <math.h>\n"
    "int speed = 3; double angle;\n"
    "void rp_module_start(void *s) { (void)s; angle = 1; }\n"
    "void rp_module_step(void *s) { (void)s; angle = sin(angle) + speed; }\n";

static size_t build_small(fixture *f, const char *compiler, uint8_t **bytes)
{
    fixture_write(f, "small.c", small_source);
    return fixture_read(fixture_build(f, compiler, "small.c -lm", "small.so"), bytes);
}

static rp_status open_bytes(const uint8_t *bytes, size_t size_bytes)
{
    rp_elf *elf = NULL;
    rp_status status = rp_elf_open_memory(bytes, size_bytes, "small.so", &elf);
    if (status == RP_OK) {
        rp_elf_close(elf);
    }
    return status;
}

TEST(a_whole_module_is_described)
{
    fixture f = fixture_open();
    fixture_write(&f, "small.c", small_source);
    const char *path = fixture_build(&f, "gcc -g -Wl,--build-id=sha1", "small.c -lm", "small.so");
    rp_elf *elf;
    ck_ok(rp_elf_open(path, NULL, &elf));
    ck_assert_str_eq(elf->path, path);
    ck_assert(elf->has_step && elf->has_start && !elf->has_render && !elf->has_reloaded);
    ck_assert(!elf->has_stop && elf->has_symtab);
    ck_assert_uint_eq(elf->build_id_bytes, 20);
    ck_assert_str_eq(elf->needed[0], "libm.so.6");
    ck_assert_uint_lt(elf->low, elf->text_low);
    ck_assert_uint_lt(elf->text_high, elf->data_low);
    ck_assert_uint_le(elf->data_high, elf->high);
    ck_assert_uint_eq(elf->high % 4096, 0);
    rp_elf_close(elf);
    fixture_close(&f);
}

TEST(the_copy_holds_exactly_the_bytes_that_were_checked)
{
    fixture f = fixture_open();
    uint8_t *original, *copied;
    size_t size = build_small(&f, "gcc", &original);
    const char *copy = fixture_path(&f, "copy.so");
    rp_elf *elf;
    ck_ok(rp_elf_open(fixture_path(&f, "small.so"), copy, &elf));
    ck_assert_uint_eq(elf->file_bytes, size);
    ck_assert_uint_eq(fixture_read(copy, &copied), size);
    ck_assert_mem_eq(original, copied, size);
    rp_elf_close(elf);
    free(original);
    free(copied);
    fixture_close(&f);
}

TEST(a_refused_file_leaves_no_copy)
{
    fixture f = fixture_open();
    uint8_t *bytes;
    size_t size = build_small(&f, "gcc", &bytes);
    const char *cut = fixture_path(&f, "cut.so"), *copy = fixture_path(&f, "copy.so");
    fixture_write_bytes(cut, bytes, size - 1);
    rp_elf *elf;
    ck_assert_int_eq(rp_elf_open(cut, copy, &elf), RP_E_INCOMPLETE);
    ck_assert_int_ne(access(copy, F_OK), 0);
    free(bytes);
    fixture_close(&f);
}

static void refuse_all_cuts(const char *compiler)
{
    fixture f = fixture_open();
    uint8_t *bytes;
    size_t size = build_small(&f, compiler, &bytes), step = size / 2000 + 1;
    ck_assert_int_eq(open_bytes(bytes, size), RP_OK);
    for (size_t cut = 0; cut < size; cut += cut < 200 || size - cut < 200 ? 1 : step) {
        ck_assert_msg(open_bytes(bytes, cut) == RP_E_INCOMPLETE, "%s: %zu of %zu bytes: %s",
                      compiler, cut, size, rp_error_last()->text);
    }
    free(bytes);
    fixture_close(&f);
}

TEST(no_beginning_of_a_file_by_gnu_ld_is_taken)
{
    refuse_all_cuts("gcc -g");
}

TEST(no_beginning_of_a_file_by_lld_is_taken)
{
    refuse_all_cuts("clang -g -fuse-ld=lld");
}

TEST(no_beginning_of_a_file_by_gold_is_taken)
{
    refuse_all_cuts("gcc -g -fuse-ld=gold");
}

TEST(a_file_whose_header_is_still_to_be_written_is_incomplete)
{
    fixture f = fixture_open();
    uint8_t *bytes;
    size_t size = build_small(&f, "gcc", &bytes);
    memset(bytes, 0, sizeof(Elf64_Ehdr));
    ck_assert_int_eq(open_bytes(bytes, size), RP_E_INCOMPLETE);
    free(bytes);
    fixture_close(&f);
}

TEST(a_file_whose_build_id_is_still_to_be_written_is_incomplete)
{
    fixture f = fixture_open();
    uint8_t *bytes;
    size_t size = build_small(&f, "gcc -Wl,--build-id=sha1", &bytes);
    rp_elf *elf;
    ck_ok(rp_elf_open_memory(bytes, size, "small.so", &elf));
    uint8_t *id = memmem(bytes, size, elf->build_id, 20);
    ck_assert_ptr_nonnull(id);
    rp_elf_close(elf);
    memset(id, 0, 20);
    ck_assert_int_eq(open_bytes(bytes, size), RP_E_INCOMPLETE);
    free(bytes);
    fixture_close(&f);
}

TEST(an_empty_file_is_incomplete_and_a_missing_one_not_found)
{
    fixture f = fixture_open();
    const char *path = fixture_path(&f, "empty.so");
    fixture_write_bytes(path, "", 0);
    rp_elf *elf;
    ck_assert_int_eq(rp_elf_open(path, NULL, &elf), RP_E_INCOMPLETE);
    ck_assert_int_eq(rp_elf_open(fixture_path(&f, "gone.so"), NULL, &elf), RP_E_NOT_FOUND);
    fixture_close(&f);
}

TEST(other_files_are_no_elf)
{
    ck_assert_int_eq(open_bytes((const uint8_t *)"#!/bin/sh\n", 10), RP_E_FORMAT);
    ck_assert_int_eq(open_bytes((const uint8_t *)"\x7f"
                                                 "ELG",
                                4),
                     RP_E_FORMAT);
    ck_assert_int_eq(open_bytes((const uint8_t *)"\x7f"
                                                 "EL",
                                3),
                     RP_E_INCOMPLETE);
    uint8_t noise[4096];
    uint64_t state = test_seed();
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof noise; i++) {
            noise[i] = (uint8_t)test_random(&state);
        }
        noise[0] = 'x';
        ck_assert_int_eq(open_bytes(noise, 1 + test_random(&state) % sizeof noise), RP_E_FORMAT);
    }
}

TEST(another_machine_is_named)
{
    fixture f = fixture_open();
    uint8_t *bytes;
    size_t size = build_small(&f, "gcc", &bytes);
    Elf64_Ehdr header;
    memcpy(&header, bytes, sizeof header);
    header.e_machine = EM_AARCH64;
    memcpy(bytes, &header, sizeof header);
    ck_assert_int_eq(open_bytes(bytes, size), RP_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "another machine"));
    free(bytes);
    fixture_close(&f);
}

static void refuse_kind(const char *command, rp_status expected, const char *words)
{
    fixture f = fixture_open();
    fixture_write(&f, "a.c", FIXTURE_STEP "int main(void) { return 0; }\n");
    fixture_write(&f, "b.c", "int other;\n");
    fixture_write(&f, "c.c", "__attribute__((visibility(\"hidden\"))) " FIXTURE_STEP);
    fixture_write(&f, "d.c", "void rp_module_step(void *); void f(void) { rp_module_step(0); }\n");
    ck_assert(fixture_run(&f, command));
    rp_elf *elf;
    ck_assert_int_eq(rp_elf_open(fixture_path(&f, "out"), NULL, &elf), expected);
    ck_assert_msg(strstr(rp_error_last()->text, words) != NULL, "%s", rp_error_last()->text);
    fixture_close(&f);
}

TEST(executables_and_object_files_are_no_modules)
{
    refuse_kind("gcc -pie -fPIE -rdynamic a.c -o out", RP_E_UNSUPPORTED, "executable");
    refuse_kind("clang -fuse-ld=lld -pie -fPIE -rdynamic a.c -o out", RP_E_UNSUPPORTED,
                "executable");
    refuse_kind("gcc -static-pie -fPIE a.c -o out", RP_E_UNSUPPORTED, "executable");
    refuse_kind("gcc -no-pie a.c -o out", RP_E_UNSUPPORTED, "executable");
    refuse_kind("gcc -c a.c -o out", RP_E_UNSUPPORTED, "object file");
}

TEST(a_library_without_an_exported_step_is_no_module)
{
    refuse_kind("gcc -shared -fPIC b.c -o out", RP_E_MODULE, "rp_module_step");
    refuse_kind("gcc -shared -fPIC c.c -o out", RP_E_MODULE, "rp_module_step");
    refuse_kind("gcc -shared -fPIC d.c -o out", RP_E_MODULE, "rp_module_step");
}

TEST(a_file_that_grows_while_it_is_written_is_taken_only_when_whole)
{
    fixture f = fixture_open();
    uint8_t *bytes;
    size_t size = build_small(&f, "gcc", &bytes), written = 0, taken = 0;
    const char *path = fixture_path(&f, "growing.so");
    FILE *file = fopen(path, "wb");
    while (written < size) {
        size_t piece = size - written < 777 ? size - written : 777;
        ck_assert_uint_eq(fwrite(bytes + written, 1, piece, file), piece);
        fflush(file);
        written += piece;
        rp_elf *elf;
        rp_status status = rp_elf_open(path, NULL, &elf);
        ck_assert_int_eq(status, written < size ? RP_E_INCOMPLETE : RP_OK);
        if (status == RP_OK) {
            taken++;
            rp_elf_close(elf);
        }
    }
    ck_assert_uint_eq(taken, 1);
    fclose(file);
    free(bytes);
    fixture_close(&f);
}

static rp_status open_and_copy(void *context)
{
    const char *const *paths = context;
    rp_elf *elf = NULL;
    rp_status status = rp_elf_open(paths[0], paths[1], &elf);
    ck_assert((status == RP_OK) == (elf != NULL));
    rp_elf_close(elf);
    return status;
}

typedef struct memory_file {
    uint8_t *bytes;
    size_t size_bytes;
} memory_file;

static rp_status open_in_memory(void *context)
{
    const memory_file *file = context;
    rp_elf *elf = NULL;
    rp_status status = rp_elf_open_memory(file->bytes, file->size_bytes, "small.so", &elf);
    ck_assert((status == RP_OK) == (elf != NULL));
    rp_elf_close(elf);
    return status;
}

TEST(each_failing_call_to_the_system_is_told)
{
    fixture f = fixture_open();
    memory_file file;
    file.size_bytes = build_small(&f, "gcc -g", &file.bytes);
    const char *paths[] = {fixture_path(&f, "small.so"), fixture_path(&f, "copy.so")};
    fault_each_call(open_and_copy, paths, ENOMEM);
    fault_each_call(open_in_memory, &file, ENOMEM);
    free(file.bytes);
    fixture_close(&f);
}

typedef struct writer {
    const char *path;
    const uint8_t *bytes;
    size_t size_bytes;
    _Atomic int done;
} writer;

static void *write_again_and_again(void *context)
{
    writer *w = context;
    while (!w->done) {
        FILE *file = fopen(w->path, "wb"); /* in place: cut to nothing, then written anew */
        for (size_t at = 0; at < w->size_bytes; at += 1000) {
            size_t piece = w->size_bytes - at < 1000 ? w->size_bytes - at : 1000;
            fwrite(w->bytes + at, 1, piece, file);
            fflush(file);
        }
        fclose(file);
    }
    return NULL;
}

TEST(what_is_taken_during_writing_is_the_whole_file)
{
    fixture f = fixture_open();
    uint8_t *bytes;
    writer w = {.size_bytes = build_small(&f, "gcc -g", &bytes)};
    w.path = fixture_path(&f, "written.so");
    w.bytes = bytes;
    rp_elf *whole, *elf;
    ck_ok(rp_elf_open_memory(bytes, w.size_bytes, "small.so", &whole));
    fixture_write_bytes(w.path, bytes, w.size_bytes);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, write_again_and_again, &w), 0);
    for (int i = 0; i < 2000; i++) {
        rp_status status = rp_elf_open(w.path, NULL, &elf);
        ck_assert(status == RP_OK || status == RP_E_INCOMPLETE);
        if (status == RP_OK) {
            ck_assert_uint_eq(elf->content_hash, whole->content_hash);
            rp_elf_close(elf);
        }
    }
    w.done = 1;
    pthread_join(thread, NULL);
    rp_elf_close(whole);
    free(bytes);
    fixture_close(&f);
}

/* What may come out of a damaged file is an error or a description; not a crash, which the
 * sanitizers of those builds see. All that the description says is used. */
static void use(const rp_elf *elf)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < elf->symbol_count; i++) {
        const rp_symbol *symbol = &elf->symbols[i];
        size_t count;
        const uint8_t *initial = rp_elf_initial(elf, symbol, &count);
        sum += strlen(symbol->name) + strlen(symbol->file) + strlen(symbol->scope);
        for (size_t k = 0; k < count && k < 4096; k++) {
            sum += initial[k];
        }
        ck_assert_uint_le(symbol->base_length, strlen(symbol->base));
    }
    for (int i = 0; i < elf->needed_count; i++) {
        sum += strlen(elf->needed[i]);
    }
    ck_assert_uint_ne(sum, 1);
}

static void damage(const char *compiler, int rounds)
{
    fixture f = fixture_open();
    uint8_t *whole, *bytes;
    size_t size = build_small(&f, compiler, &whole);
    bytes = malloc(size);
    uint64_t state = test_seed();
    int taken = 0;
    for (int round = 0; round < rounds; round++) {
        memcpy(bytes, whole, size);
        uint64_t flips = 1 + test_random(&state) % 16;
        for (uint64_t i = 0; i < flips; i++) {
            size_t near = test_random(&state) % 2 ? size : 4096;
            bytes[test_random(&state) % near] ^= (uint8_t)(1u << test_random(&state) % 8);
        }
        rp_elf *elf;
        if (rp_elf_open_memory(bytes, size, "damaged.so", &elf) == RP_OK) {
            use(elf);
            rp_elf_close(elf);
            taken++;
        }
    }
    ck_assert_int_gt(taken, 0); /* else the flips reach nothing behind the headers */
    free(bytes);
    free(whole);
    fixture_close(&f);
}

TEST(damaged_files_are_refused_or_read_without_harm)
{
    damage("gcc -g", 3000);
    damage("clang -g -fuse-ld=lld", 3000);
}

TEST(a_damaged_section_table_is_refused_or_read_without_harm)
{
    fixture f = fixture_open();
    uint8_t *whole, *bytes;
    size_t size = build_small(&f, "gcc -g", &whole);
    bytes = malloc(size);
    Elf64_Ehdr header;
    memcpy(&header, whole, sizeof header);
    uint64_t state = test_seed();
    for (int round = 0; round < 3000; round++) {
        memcpy(bytes, whole, size);
        size_t table = (size_t)header.e_shnum * sizeof(Elf64_Shdr);
        uint64_t value = test_random(&state) >> test_random(&state) % 64;
        size_t at = header.e_shoff + test_random(&state) % (table - sizeof value);
        memcpy(bytes + (at & ~(size_t)3), &value, 1 + test_random(&state) % 8);
        rp_elf *elf;
        if (rp_elf_open_memory(bytes, size, "damaged.so", &elf) == RP_OK) {
            use(elf);
            rp_elf_close(elf);
        }
    }
    free(bytes);
    free(whole);
    fixture_close(&f);
}
