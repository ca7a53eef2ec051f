/* A child crashes in a module that the test compiles; the parent resolves what the handler kept. */
#include "symbols.h"

#include "base/bits.h"
#include "os/os.h"
#include "runner/crash_capture.h"
#include "support/test.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

typedef struct shared {
    link_crash crash;
    link_object objects[LINK_OBJECT_MAX];
    int object_count;
} shared;

static char directory[64];
static shared *memory; /* with the child */
static symbols_report report;

/* What the module does is chosen by `way`, so that no compiler can know it. */
static const char *const source[] = {
    "#include <string.h>",
    "struct enemy { int a, hp; };",
    "struct enemy *target; char *text; void (*call)(void); int way;",
    "static inline __attribute__((always_inline)) int health(struct enemy *e)",
    "{",
    "    return e->hp = way; /* line 6 */",
    "}",
    "static inline __attribute__((always_inline)) int wounds(struct enemy *e)",
    "{",
    "    return 100 - health(e); /* line 10 */",
    "}",
    "__attribute__((noinline)) int deep(int x)",
    "{",
    "    volatile char room[512];",
    "    room[x & 511] = 1;",
    "    return deep(x + 1) + room[x & 255]; /* line 16 */",
    "}",
    "static __attribute__((noinline)) int inner(int x)",
    "{",
    "    if (way == 1) return (int)strlen(text) + x; /* line 20 */",
    "    if (way == 2) { call(); return x; } /* line 21 */",
    "    if (way == 3) return deep(x);",
    "\t return wounds(target) + x;\t /* line 23 */ ",
    "}",
    "__attribute__((noinline)) int middle(int x)",
    "{",
    "    return inner(x + 1) * 3; /* line 27 */",
    "}",
    "void rp_module_step(int how)",
    "{",
    "    way = how;",
    "    volatile int r = middle(how); /* line 32 */",
    "    (void)r;",
    "}",
};

/* ---- the child ------------------------------------------------------------------------------ */

static int describe_object(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    link_object *object = &memory->objects[memory->object_count];
    const char *name = info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe";
    char path[RP_OBJECT_PATH_BYTES];
    ssize_t length = info->dlpi_name[0] ? -1 : readlink(name, path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        name = path;
    }
    snprintf(object->path, sizeof object->path, "%s", name);
    object->base = info->dlpi_addr;
    object->build = strstr(name, "/module.so") ? 1 : 0;
    return ++memory->object_count == LINK_OBJECT_MAX;
}

static void on_crash(int signal, siginfo_t *info, void *context)
{
    (void)info;
    memory->crash.signal = signal;
    crash_capture(&memory->crash, context);
    _exit(7);
}

static void (*step)(int);

static void call_step(void *way)
{
    step((int)(intptr_t)way);
}

static void crash_here(const char *module, int way)
{
    static uint8_t handler_stack[RP_KIB(64)];
    stack_t other = {.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&other, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    void *handle = dlopen(module, RTLD_NOW);
    void *found = handle ? dlsym(handle, "rp_module_step") : NULL;
    if (!found) {
        _exit(8);
    }
    memcpy(&step, &found, sizeof step);
    dl_iterate_phdr(describe_object, NULL);
    uint8_t *stack = mmap(NULL, RP_KIB(512), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(stack + RP_KIB(256), RP_KIB(256), PROT_READ | PROT_WRITE);
    rp_os_call_on_stack(stack + RP_KIB(512), call_step, (void *)(intptr_t)way);
    _exit(9);
}

/* ---- the parent ----------------------------------------------------------------------------- */

static void begin(void)
{
    strcpy(directory, "/tmp/rp-symbols-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    memory = mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
}

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static void end(void)
{
    run("rm -rf %s", directory);
}

static void compile(const char *compiler)
{
    char path[128];
    snprintf(path, sizeof path, "%s/game.c", directory);
    FILE *file = fopen(path, "w");
    for (size_t i = 0; i < RP_COUNT_OF(source); i++) {
        fprintf(file, "%s\n", source[i]);
    }
    fclose(file);
    run("cd %s && %s -w -shared -fPIC -o module.so game.c", directory, compiler);
}

static void crash(const char *compiler, int way)
{
    char module[128];
    int status;
    begin();
    compile(compiler);
    snprintf(module, sizeof module, "%s/module.so", directory);
    pid_t child = fork();
    if (child == 0) {
        crash_here(module, way);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x", status);
}

static void resolve(void)
{
    memset(&report, 0xee, sizeof report);
    symbols_resolve(&memory->crash, memory->objects, memory->object_count, &report);
}

static void crash_and_resolve(const char *compiler, int way)
{
    crash(compiler, way);
    resolve();
}

static void assert_frame(int i, const char *function, int line)
{
    char all[2048] = "";
    for (int k = 0; k < report.frame_count; k++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "\n  %s:%d in %s", report.frames[k].function,
                 report.frames[k].line, report.frames[k].object);
    }
    const symbols_frame *frame = &report.frames[i];
    ck_assert_msg(i < report.frame_count && !strcmp(frame->function, function) &&
                      frame->line == line,
                  "frame %d is not %s:%d:%s", i, function, line, all);
    ck_assert(frame->in_module);
    ck_assert_str_eq(frame->object, "module.so");
    if (line) {
        ck_assert_ptr_nonnull(strstr(frame->file, "game.c"));
    }
}

static void assert_null_health(void)
{
    assert_frame(0, "health", 6);
    assert_frame(1, "wounds", 10);
    assert_frame(2, "inner", 23);
    assert_frame(3, "middle", 27);
    assert_frame(4, "rp_module_step", 32);
    ck_assert_int_eq(report.frame_count, 5);
    ck_assert(report.frames[0].inlined && report.frames[1].inlined && !report.frames[2].inlined);
    ck_assert_int_eq(report.blame, 0);
    ck_assert_str_eq(report.source, "return e->hp = way; /* line 6 */");
}

TEST(an_optimised_module_shows_its_inlined_functions_and_ends_at_the_step)
{
    crash_and_resolve("gcc -O2 -g", 0);
    assert_null_health();
    end();
}

TEST(a_module_that_is_not_optimised_shows_the_same)
{
    crash_and_resolve("gcc -O0 -g", 0);
    assert_null_health();
    end();
}

TEST(older_debug_information_shows_the_same)
{
    crash_and_resolve("gcc -O2 -gdwarf-4", 0);
    assert_null_health();
    end();
}

TEST(a_module_of_clang_shows_the_same)
{
    crash_and_resolve("clang -O1 -g", 0);
    assert_null_health();
    end();
}

TEST(debug_information_in_a_file_beside_shows_the_same)
{
    crash_and_resolve("gcc -O2 -g -gsplit-dwarf", 0);
    assert_null_health();
    end();
}

TEST(without_debug_information_the_symbol_table_gives_names)
{
    crash_and_resolve("gcc -O2", 0);
    assert_frame(0, "inner", 0);
    assert_frame(1, "middle", 0);
    assert_frame(2, "rp_module_step", 0);
    ck_assert_int_eq(report.frame_count, 3);
    ck_assert_int_eq(report.blame, 0);
    ck_assert_str_eq(report.source, "");
    ck_assert_str_eq(report.frames[0].file, "");
    end();
}

TEST(without_symbols_the_exported_names_are_left)
{
    crash_and_resolve("gcc -O2 -s", 0);
    assert_frame(1, "middle", 0);
    assert_frame(2, "rp_module_step", 0);
    ck_assert_int_eq(report.frame_count, 3);
    end();
}

TEST(without_unwind_tables_frame_pointers_are_followed)
{
    crash_and_resolve("gcc -O1 -g -fno-asynchronous-unwind-tables -fno-unwind-tables "
                      "-fno-omit-frame-pointer -fno-dwarf2-cfi-asm",
                      0);
    assert_null_health();
    end();
}

TEST(a_crash_in_a_library_is_blamed_on_its_caller)
{
    crash_and_resolve("gcc -O1 -g -fno-builtin", 1);
    ck_assert_int_gt(report.blame, 0);
    ck_assert(!report.frames[0].in_module);
    assert_frame(report.blame, "inner", 20);
    ck_assert_str_eq(report.frames[report.frame_count - 1].function, "rp_module_step");
    ck_assert_ptr_nonnull(strstr(report.source, "strlen(text)"));
    end();
}

TEST(a_call_of_a_null_pointer_is_blamed_on_its_caller)
{
    crash_and_resolve("gcc -O2 -g -fomit-frame-pointer", 2);
    ck_assert_uint_eq(report.frames[0].address, 0);
    ck_assert_str_eq(report.frames[0].function, "");
    assert_frame(1, "inner", 21);
    assert_frame(2, "middle", 27);
    assert_frame(3, "rp_module_step", 32);
    ck_assert_int_eq(report.blame, 1);
    end();
}

TEST(an_overflowed_stack_shows_who_recursed)
{
    crash_and_resolve("gcc -O1 -g", 3);
    ck_assert_int_eq(report.frame_count, SYMBOLS_FRAME_MAX);
    ck_assert_str_eq(report.frames[0].function, "deep");
    for (int i = 1; i < SYMBOLS_FRAME_MAX; i++) {
        assert_frame(i, "deep", 16);
    }
    end();
}

/* ---- what the record may hold --------------------------------------------------------------- */

TEST(a_source_that_is_gone_leaves_the_line_number)
{
    crash("gcc -O2 -g", 0);
    run("rm %s/game.c", directory);
    resolve();
    assert_frame(0, "health", 6);
    ck_assert_str_eq(report.source, "");
    end();
}

TEST(a_source_that_is_no_regular_file_is_not_waited_for)
{
    crash("gcc -O2 -g", 0);
    run("rm %s/game.c && mkfifo %s/game.c", directory, directory);
    resolve();
    assert_frame(0, "health", 6);
    ck_assert_str_eq(report.source, "");
    end();
}

TEST(an_object_that_is_no_regular_file_is_not_waited_for)
{
    crash("gcc -O2 -g", 0);
    run("rm %s/module.so && mkfifo %s/module.so", directory, directory);
    resolve();
    ck_assert_int_ge(report.frame_count, 1);
    ck_assert_str_eq(report.frames[0].function, "");
    ck_assert_int_eq(report.blame, -1);
    end();
}

TEST(without_any_object_the_frame_pointers_give_addresses)
{
    crash("gcc -O0 -g", 0);
    memory->object_count = 0;
    resolve();
    ck_assert_int_ge(report.frame_count, 4);
    ck_assert_uint_eq(report.frames[0].address, memory->crash.registers[16]);
    ck_assert_int_eq(report.blame, -1);
    end();
}

TEST(an_objects_name_without_an_end_is_cut)
{
    crash("gcc -O2 -g", 0);
    memset(memory->objects[0].path, 'x', sizeof memory->objects[0].path);
    memory->object_count = 1;
    resolve();
    ck_assert_int_ge(report.frame_count, 1);
    end();
}

TEST(a_copy_that_claims_to_be_larger_than_it_is_stays_within_its_bounds)
{
    crash("gcc -O2 -g", 0);
    memory->crash.stack_bytes = UINT32_MAX;
    memory->crash.registers[7] = memory->crash.stack_start + LINK_STACK_COPY_BYTES - 4;
    resolve();
    assert_frame(0, "health", 6);
    end();
}

TEST(a_record_of_noise_is_resolved_to_something)
{
    uint64_t seed = test_seed();
    crash("gcc -O2 -g", 0);
    shared *kept = malloc(sizeof *kept);
    memcpy(kept, memory, sizeof *kept);
    for (int round = 0; round < 30; round++) {
        memcpy(memory, kept, sizeof *memory);
        for (int i = 0; i < 3; i++) {
            memory->crash.registers[test_random(&seed) % LINK_REGISTER_COUNT] =
                test_random(&seed) >> (test_random(&seed) % 64);
        }
        for (uint32_t i = 0; i < 4096; i++) {
            memory->crash.stack[test_random(&seed) % 4096] = (uint8_t)test_random(&seed);
        }
        memory->objects[test_random(&seed) % (uint64_t)memory->object_count].base =
            test_random(&seed);
        resolve();
        ck_assert_int_ge(report.frame_count, 1);
        ck_assert_int_le(report.frame_count, SYMBOLS_FRAME_MAX);
        ck_assert_int_lt(report.blame, report.frame_count);
    }
    free(kept);
    end();
}
