#include "module/elf.h"
#include "module/fixture.h"

static const char source[] =
    "int speed = 3; const int limit = 9; int zero;\n"
    "static int hidden_state = 5;\n"
    "__attribute__((visibility(\"hidden\"))) int shared_state = 4;\n"
    "_Thread_local int per_thread = 7;\n"
    "const char *const names[] = {\"a\", \"b\"};\n"
    "__attribute__((noinline)) int f(void) { static int count = 1; return count++ + "
    "hidden_state++; }\n"
    "__attribute__((noinline)) int g(void) { static int count = 2; static _Thread_local int "
    "turns;\n"
    "  return count++ + per_thread++ + turns++ + shared_state++; }\n"
    "const char *volatile shown;\n"
    "void rp_module_step(void *s) { (void)s; shown = names[(f() + g() + zero++) & 1]; }\n";

static rp_elf *open_built(fixture *f, const char *compiler)
{
    fixture_write(f, "game.c", source);
    rp_elf *elf;
    ck_ok(rp_elf_open(fixture_build(f, compiler, "game.c", "game.so"), NULL, &elf));
    return elf;
}

static const rp_symbol *find(const rp_elf *elf, const char *base, const char *scope)
{
    for (size_t i = 0; i < elf->symbol_count; i++) {
        const rp_symbol *symbol = &elf->symbols[i];
        if (symbol->base_length == strlen(base) && memcmp(symbol->base, base, strlen(base)) == 0 &&
            strcmp(symbol->scope, scope) == 0) {
            return symbol;
        }
    }
    return NULL;
}

static uint64_t initial(const rp_elf *elf, const rp_symbol *symbol)
{
    size_t count;
    const uint8_t *bytes = rp_elf_initial(elf, symbol, &count);
    uint64_t value = 0;
    memcpy(&value, bytes, count < sizeof value ? count : sizeof value);
    return value;
}

static void check_common(const char *compiler)
{
    fixture f = fixture_open();
    rp_elf *elf = open_built(&f, compiler);
    const rp_symbol *speed = find(elf, "speed", ""), *limit = find(elf, "limit", "");
    const rp_symbol *hidden = find(elf, "hidden_state", ""), *thread = find(elf, "per_thread", "");
    const rp_symbol *names = find(elf, "names", ""), *shared = find(elf, "shared_state", "");
    ck_assert_msg(speed && limit && hidden && thread && names && shared, "%s", compiler);
    ck_assert(!speed->local && !speed->read_only && *speed->file == 0);
    ck_assert(limit->read_only && names->read_only && names->size_bytes == 16);
    ck_assert(hidden->local);
    ck_assert_str_eq(hidden->file, "game.c");
    ck_assert_str_eq(shared->file, "");
    ck_assert_int_eq(thread->kind, RP_SYMBOL_THREAD);
    ck_assert_uint_eq(initial(elf, speed), 3);
    ck_assert_uint_eq(initial(elf, hidden), 5);
    ck_assert_uint_eq(initial(elf, thread), 7);
    ck_assert_uint_eq(initial(elf, find(elf, "zero", "")), 0);
    ck_assert_ptr_eq(rp_elf_symbol_at(elf, speed->address + 3), speed);
    ck_assert_ptr_ne(rp_elf_symbol_at(elf, speed->address + 4), speed);
    ck_assert_str_eq(rp_elf_symbol_named(elf, "rp_module_step")->name, "rp_module_step");
    ck_assert_ptr_null(rp_elf_symbol_named(elf, "printf"));
    rp_elf_close(elf);
    fixture_close(&f);
}

TEST(variables_have_their_files_kinds_and_initial_values)
{
    check_common("gcc -O2");
    check_common("gcc -O0 -g -fuse-ld=gold");
    check_common("clang -O2");
    check_common("clang -O0 -g -fuse-ld=lld");
}

static void check_scopes(const char *compiler)
{
    fixture f = fixture_open();
    rp_elf *elf = open_built(&f, compiler);
    const rp_symbol *in_f = find(elf, "count", "f"), *in_g = find(elf, "count", "g");
    const rp_symbol *turns = find(elf, "turns", "g");
    ck_assert_msg(in_f && in_g && turns, "%s", compiler);
    ck_assert_uint_eq(initial(elf, in_f), 1);
    ck_assert_uint_eq(initial(elf, in_g), 2);
    ck_assert_int_eq(turns->kind, RP_SYMBOL_THREAD);
    rp_elf_close(elf);
    fixture_close(&f);
}

TEST(statics_of_functions_are_known_by_their_function)
{
    check_scopes("gcc -O0 -g");
    check_scopes("gcc -O2 -g");
    check_scopes("gcc -O2 -gdwarf-4");
    check_scopes("gcc -O2 -g -gz=zlib");
    check_scopes("gcc -O2 -g -flto");
    check_scopes("clang -O0 -g");
    check_scopes("clang -O2 -gdwarf-4 -fuse-ld=lld");
    check_scopes("clang -O2"); /* clang puts the function into the name */
}

TEST(without_debug_information_a_gcc_static_has_no_function)
{
    fixture f = fixture_open();
    rp_elf *elf = open_built(&f, "gcc -O2");
    ck_assert_ptr_null(find(elf, "count", "f"));
    ck_assert_ptr_nonnull(find(elf, "count", ""));
    rp_elf_close(elf);
    fixture_close(&f);
}

TEST(a_stripped_module_has_its_exported_names)
{
    fixture f = fixture_open();
    rp_elf *elf = open_built(&f, "gcc -O2 -s");
    ck_assert(!elf->has_symtab);
    ck_assert_ptr_nonnull(find(elf, "speed", ""));
    ck_assert_ptr_null(find(elf, "hidden_state", ""));
    rp_elf_close(elf);
    fixture_close(&f);
}

TEST(symbols_are_sorted_and_lie_in_the_build)
{
    fixture f = fixture_open();
    rp_elf *elf = open_built(&f, "gcc -O2 -g");
    ck_assert_uint_gt(elf->symbol_count, 10);
    for (size_t i = 0; i < elf->symbol_count; i++) {
        const rp_symbol *a = &elf->symbols[i], *b = a + 1;
        uint64_t high = a->kind == RP_SYMBOL_THREAD ? elf->tls_bytes : elf->high;
        ck_assert_uint_le(a->address + a->size_bytes, high);
        if (i + 1 < elf->symbol_count) {
            ck_assert(a->kind < b->kind || (a->kind == b->kind && a->address <= b->address));
        }
    }
    rp_elf_close(elf);
    fixture_close(&f);
}
