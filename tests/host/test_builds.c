/* Builds that appear in every way a linker, an editor or a mishap makes them appear. */
#include "builds.h"

#include "base/bits.h"
#include "os/os.h"
#include "support/test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VARIANT_MAX = 51, WAIT_MS = 10000, QUIET_MS = 450 };

static char directory[64], module[128], copies[128];
static builds *b;
static builds_event event;

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static void begin(void)
{
    strcpy(directory, "/tmp/rp-builds-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(module, sizeof module, "%s/p/game.so", directory);
    snprintf(copies, sizeof copies, "%s/copies", directory);
    run("mkdir %s/p %s %s/made", directory, copies, directory);
}

static void end(void)
{
    builds_close(b);
    run("rm -rf %s", directory);
}

static const char *made(int variant)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/made/%03d.so", directory, variant);
    return path;
}

/* Links modules that differ in one variable. */
static void make_variants(int count)
{
    for (int i = 1; i <= count; i++) {
        run("echo 'int variant = %d; void rp_module_step(void *s) { (void)s; }' > %s/made/v.c && "
            "gcc -shared -fPIC -g -o %s %s/made/v.c",
            i, directory, made(i), directory);
    }
}

static void watch_module(const char *command)
{
    builds_desc desc = {.module_path = module, .build_command = command, .copy_directory = copies};
    ck_ok(builds_open(&desc, &b));
}

/* Waits as the host's loop does. False: nothing came for that long. */
static bool next_event(int most_ms)
{
    uint64_t end_ns = rp_os_monotonic_ns() + (uint64_t)most_ms * 1000000;
    while (!builds_poll(b, &event)) {
        struct pollfd fds[BUILDS_FD_MAX];
        int list[BUILDS_FD_MAX], count = builds_fds(b, list, BUILDS_FD_MAX);
        uint64_t now = rp_os_monotonic_ns();
        if (now >= end_ns) {
            return false;
        }
        for (int i = 0; i < count; i++) {
            fds[i] = (struct pollfd){.fd = list[i], .events = POLLIN};
        }
        int left_ms = (int)((end_ns - now) / 1000000) + 1, wanted_ms = builds_timeout_ms(b);
        poll(fds, (nfds_t)count, wanted_ms < 0 || wanted_ms > left_ms ? left_ms : wanted_ms);
    }
    return true;
}

static void expect(builds_event_kind kind)
{
    bool came = next_event(WAIT_MS);
    ck_assert_msg(came && event.kind == kind, "expected %d, got %d: %s", kind,
                  came ? (int)event.kind : -1, came ? event.text : "nothing");
}

static void expect_nothing(void)
{
    bool came = next_event(QUIET_MS);
    ck_assert_msg(!came, "got %d: %s", came ? (int)event.kind : 0, came ? event.text : "");
}

/* The initial value of `variant` in a build that was handed out, checked against its private copy.
 */
static int variant_of(const builds_event *from)
{
    rp_elf *copy;
    int value = 0;
    size_t count = 0;
    ck_ok(rp_elf_open(from->copy_path, NULL, &copy));
    ck_assert_uint_eq(copy->content_hash, from->elf->content_hash);
    const rp_symbol *symbol = rp_elf_symbol_named(copy, "variant");
    const uint8_t *bytes = symbol ? rp_elf_initial(copy, symbol, &count) : NULL;
    ck_assert_uint_eq(count, sizeof value);
    memcpy(&value, bytes, sizeof value);
    rp_elf_close(copy);
    return value;
}

static void expect_build(int variant)
{
    expect(BUILDS_NEW);
    ck_assert_int_eq(variant_of(&event), variant);
    rp_elf_close(event.elf);
}

static void rename_into_place(int variant)
{
    run("cp %s %s/p/.new && mv %s/p/.new %s", made(variant), directory, directory, module);
}

static uint8_t *read_variant(int variant, size_t *size)
{
    rp_os_bytes bytes;
    ck_ok(rp_os_file_read(made(variant), RP_MIB(16), &bytes));
    uint8_t *copy = malloc(bytes.size_bytes);
    memcpy(copy, bytes.data, bytes.size_bytes);
    *size = bytes.size_bytes;
    rp_os_file_free(&bytes);
    return copy;
}

static int copy_count(void)
{
    char command[256];
    snprintf(command, sizeof command, "ls -A %s | wc -l", copies);
    FILE *pipe = popen(command, "r");
    int count = -1;
    ck_assert_int_eq(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

/* ---- the file ------------------------------------------------------------------------------- */

TEST(what_is_there_at_the_start_and_what_is_renamed_into_place_are_builds)
{
    char first[BUILDS_PATH_BYTES];
    begin();
    make_variants(3);
    rename_into_place(1);
    watch_module(NULL);
    uint64_t before = rp_os_monotonic_ns();
    expect_build(1);
    strcpy(first, event.copy_path);
    rename_into_place(2);
    expect_build(2);
    ck_assert_uint_gt(event.complete_ns, before);
    ck_assert_uint_le(event.complete_ns, rp_os_monotonic_ns());
    ck_assert_str_ne(event.copy_path, first);
    ck_assert_uint_eq(strlen(event.copy_path), strlen(first));
    run("ln -f %s %s", made(3), module);
    expect_build(3);
    expect_nothing();
    end();
}

TEST(the_linker_itself_is_followed)
{
    begin();
    watch_module(NULL);
    for (int i = 1; i <= 5; i++) {
        run("echo 'int variant = %d; void rp_module_step(void *s) { (void)s; }' > %s/made/v.c && "
            "gcc -shared -fPIC -g %s -o %s %s/made/v.c",
            i, directory, i % 2 ? "-fuse-ld=bfd" : "-fuse-ld=lld", module, directory);
        expect_build(i);
    }
    end();
}

/* Of 6 MiB: read by a thread. */
static void make_large(int count)
{
    for (int i = 1; i <= count; i++) {
        run("echo 'int variant = %d; char room[6 << 20] = {1}; void rp_module_step(void *s) { "
            "(void)s; }' > %s/made/v.c && gcc -shared -fPIC -g -o %s %s/made/v.c",
            i, directory, made(i), directory);
    }
}

TEST(a_large_build_is_read_while_the_caller_goes_on_and_the_newest_counts)
{
    begin();
    make_large(3);
    rename_into_place(1);
    watch_module(NULL);
    ck_assert(!builds_poll(b, &event)); /* begun, and not waited for */
    ck_assert_int_ge(builds_timeout_ms(b), 0);
    expect_build(1);
    event.kind = BUILDS_NONE;
    rename_into_place(2);
    for (int i = 0; i < 20 && !builds_poll(b, &event); i++) {
        rp_os_sleep_until_ns(rp_os_monotonic_ns() + 500000); /* in the middle of it, on most runs */
    }
    if (event.kind == BUILDS_NEW) {
        rp_elf_close(event.elf);
    }
    rename_into_place(3);
    int variant;
    do {
        expect(BUILDS_NEW);
        variant = variant_of(&event);
        rp_elf_close(event.elf);
    } while (variant == 2);
    ck_assert_int_eq(variant, 3);
    expect_nothing();
    end();
}

TEST(closing_while_a_large_build_is_read_waits_for_the_reader)
{
    begin();
    make_large(1);
    rename_into_place(1);
    watch_module(NULL);
    ck_assert(!builds_poll(b, &event));
    end();
}

TEST(a_file_written_slowly_in_place_is_taken_when_it_is_whole)
{
    size_t size;
    begin();
    make_variants(2);
    rename_into_place(1);
    watch_module(NULL);
    expect_build(1);
    uint8_t *bytes = read_variant(2, &size);
    int fd = open(module, O_WRONLY | O_TRUNC);
    for (size_t at = 0; at < size;) {
        size_t slice = rp_min_size(size / 20 + 1, size - at);
        ck_assert_int_eq(write(fd, bytes + at, slice), (ssize_t)slice);
        at += slice;
        ck_assert(!next_event(12));
    }
    close(fd);
    expect_build(2);
    free(bytes);
    end();
}

/* Its headers and its length are right from the beginning; only the middle comes late. */
TEST(a_file_with_holes_is_not_taken_while_somebody_writes_to_it)
{
    size_t size;
    begin();
    make_variants(2);
    rename_into_place(1);
    watch_module(NULL);
    expect_build(1);
    uint8_t *bytes = read_variant(2, &size);
    int fd = open(module, O_WRONLY | O_TRUNC);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    size_t middle = rp_align_down(size / 4, 512), rest = size - size / 4;
    ck_assert_int_eq(pwrite(fd, bytes, middle, 0), (ssize_t)middle);
    ck_assert_int_eq(pwrite(fd, bytes + rest, size - rest, (off_t)rest), (ssize_t)(size - rest));
    ck_assert(!next_event(300));
    ck_assert_int_eq(pwrite(fd, bytes + middle, rest - middle, (off_t)middle),
                     (ssize_t)(rest - middle));
    ck_assert(!next_event(60));
    close(fd);
    expect_build(2);
    free(bytes);
    end();
}

TEST(a_writer_that_comes_while_we_look_does_not_end_the_host)
{
    size_t size;
    begin();
    make_variants(1);
    rename_into_place(1);
    watch_module(NULL);
    expect_build(1);
    pid_t writer = fork();
    if (writer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            close(open(module, O_WRONLY));
        }
    }
    ck_assert(!next_event(400)); /* a lease broken while it is held sends a signal */
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    free(read_variant(1, &size));
    end();
}

TEST(the_same_content_written_again_is_no_new_build)
{
    begin();
    make_variants(2);
    rename_into_place(1);
    watch_module(NULL);
    expect_build(1);
    rename_into_place(1);
    expect_nothing();
    run("cat %s > %s", made(1), module);
    expect_nothing();
    run("touch %s", module);
    expect_nothing();
    ck_assert_int_eq(copy_count(), 1);
    rename_into_place(2);
    expect_build(2);
    rename_into_place(1);
    expect_build(1);
    end();
}

TEST(builds_of_one_size_and_one_time_are_told_apart)
{
    begin();
    make_variants(2);
    run("touch -d '2020-01-01' %s/made/*.so && cp -p %s %s", directory, made(1), module);
    watch_module(NULL);
    expect_build(1);
    run("cp -p %s %s", made(2), module);
    expect_build(2);
    end();
}

/* Writes the variants 2 … VARIANT_MAX, by renaming and in place in turn. */
static void rebuild_quickly(uint64_t seed)
{
    for (int i = 2; i <= VARIANT_MAX; i++) {
        char name[128];
        size_t size;
        uint8_t *bytes = read_variant(i, &size);
        bool in_place = test_random(&seed) % 2;
        snprintf(name, sizeof name, "%s/p/%s", directory, in_place ? "game.so" : ".new");
        int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);
        if (write(fd, bytes, size / 2) < 0 || write(fd, bytes + size / 2, size - size / 2) < 0) {
            _exit(1);
        }
        close(fd);
        if (!in_place && rename(name, module) < 0) {
            _exit(1);
        }
        free(bytes);
        usleep((useconds_t)(5000 + test_random(&seed) % 45000));
    }
}

TEST(of_fifty_quick_builds_each_is_seen_or_superseded_and_the_last_is_seen)
{
    uint64_t seed = test_seed();
    int last = 1, seen = 0;
    begin();
    make_variants(VARIANT_MAX);
    rename_into_place(1);
    watch_module(NULL);
    expect_build(1);
    pid_t linker = fork();
    if (linker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        rebuild_quickly(seed);
        _exit(0);
    }
    while (last < VARIANT_MAX) {
        expect(BUILDS_NEW);
        int variant = variant_of(&event);
        rp_elf_close(event.elf);
        ck_assert_int_gt(variant, last);
        last = variant;
        seen++;
    }
    ck_assert_int_gt(seen, 10);
    expect_nothing();
    int status;
    ck_assert_int_eq(waitpid(linker, &status, 0), linker);
    ck_assert_int_eq(status, 0);
    end();
}

TEST(a_file_that_vanishes_is_told_once_and_may_come_back)
{
    begin();
    make_variants(2);
    rename_into_place(1);
    watch_module(NULL);
    expect_build(1);
    run("rm %s", module);
    expect(BUILDS_BAD);
    ck_assert_int_eq(event.status, RP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(event.text, "game.so"));
    expect_nothing();
    rename_into_place(1);
    expect(BUILDS_BACK);
    run("rm %s", module);
    expect(BUILDS_BAD);
    rename_into_place(2);
    expect_build(2);
    expect_nothing();
    end();
}

TEST(a_file_that_is_removed_and_written_at_once_is_not_told_to_be_gone)
{
    begin();
    make_variants(2);
    rename_into_place(1);
    watch_module(NULL);
    expect_build(1);
    run("rm %s", module);
    ck_assert(!next_event(50));
    run("cp %s %s", made(2), module);
    expect_build(2);
    end();
}

TEST(a_file_that_never_was_there_is_told_once)
{
    begin();
    watch_module(NULL);
    expect(BUILDS_BAD);
    ck_assert_int_eq(event.status, RP_E_NOT_FOUND);
    expect_nothing();
    end();
}

TEST(a_directory_that_vanishes_with_the_file_may_come_back)
{
    begin();
    make_variants(2);
    rename_into_place(1);
    watch_module(NULL);
    expect_build(1);
    run("rm -r %s/p", directory);
    expect(BUILDS_BAD);
    run("mkdir %s/p", directory);
    rename_into_place(2);
    expect_build(2);
    run("mv %s/p %s/old && mkdir %s/p", directory, directory, directory);
    rename_into_place(1);
    expect_build(1);
    end();
}

TEST(what_is_no_module_is_told_once_for_each_content)
{
    begin();
    make_variants(1);
    rename_into_place(1);
    watch_module(NULL);
    expect_build(1);
    run("echo 'this is text, and longer than the magic number' > %s", module);
    expect(BUILDS_BAD);
    ck_assert_int_eq(event.status, RP_E_FORMAT);
    run("echo 'this is text, and longer than the magic number' > %s", module);
    expect_nothing();
    run("echo 'int other;' > %s/made/o.c && gcc -shared -fPIC -o %s %s/made/o.c", directory, module,
        directory);
    expect(BUILDS_BAD);
    ck_assert_int_eq(event.status, RP_E_MODULE);
    ck_assert_int_eq(copy_count(), 1);
    rename_into_place(1);
    expect(BUILDS_BACK);
    end();
}

TEST(a_file_that_stays_cut_off_is_told_and_mended)
{
    begin();
    make_variants(2);
    rename_into_place(1);
    watch_module(NULL);
    expect_build(1);
    run("head -c 3000 %s > %s", made(2), module);
    expect(BUILDS_BAD);
    ck_assert_int_eq(event.status, RP_E_INCOMPLETE);
    expect_nothing();
    ck_assert_int_eq(builds_timeout_ms(b), -1);
    run("cat %s > %s", made(2), module);
    expect_build(2);
    end();
}

TEST(a_link_to_the_module_is_followed)
{
    begin();
    make_variants(2);
    run("cp %s %s/p/game-1.so && ln -s game-1.so %s", made(1), directory, module);
    watch_module(NULL);
    expect_build(1);
    run("cat %s > %s/p/game-1.so", made(2), directory);
    expect_build(2);
    end();
}

/* ---- the command ---------------------------------------------------------------------------- */

static const char *command_text(const char *format, ...)
{
    static char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

static void write_source(int variant)
{
    run("echo 'int variant = %d; void rp_module_step(void *s) { (void)s; }' > %s/p/game.c", variant,
        directory);
}

static const char *compile_command(void)
{
    return command_text("cd %s/p && echo ran >> ../runs && gcc -shared -fPIC -o game.so game.c",
                        directory);
}

static int runs(void)
{
    char path[128];
    rp_os_bytes bytes;
    int count = 0;
    snprintf(path, sizeof path, "%s/runs", directory);
    ck_ok(rp_os_file_read(path, RP_MIB(1), &bytes));
    for (size_t i = 0; i < bytes.size_bytes; i++) {
        count += bytes.data[i] == '\n';
    }
    rp_os_file_free(&bytes);
    return count;
}

/* DONE and NEW come in either order, since the file may be whole before the command ends. */
static void expect_made(int variant)
{
    bool done = false, built = false;
    expect(BUILDS_RUNNING);
    while (!done || !built) {
        ck_assert(next_event(WAIT_MS));
        ck_assert_msg(event.kind == BUILDS_NEW || event.kind == BUILDS_DONE, "%d: %s", event.kind,
                      event.text);
        if (event.kind == BUILDS_NEW) {
            ck_assert_int_eq(variant_of(&event), variant);
            rp_elf_close(event.elf);
            built = true;
        } else {
            done = true;
        }
    }
}

TEST(without_a_module_the_command_makes_the_first_build)
{
    begin();
    write_source(1);
    watch_module(compile_command());
    expect_made(1);
    expect_nothing();
    ck_assert_int_eq(runs(), 1);
    end();
}

TEST(with_a_module_the_command_waits_for_a_change)
{
    begin();
    make_variants(1);
    rename_into_place(1);
    write_source(2);
    watch_module(compile_command());
    expect_build(1);
    expect_nothing();
    write_source(3);
    expect_made(3);
    expect_nothing();
    ck_assert_int_eq(runs(), 1);
    end();
}

TEST(touching_a_source_runs_the_command)
{
    begin();
    write_source(1);
    watch_module(compile_command());
    expect_made(1);
    for (int i = 2; i <= 3; i++) {
        run("touch %s/p/game.c", directory);
        expect(BUILDS_RUNNING);
        expect(BUILDS_DONE);
        expect_nothing();
        ck_assert_int_eq(runs(), i);
    }
    end();
}

TEST(an_editor_that_renames_into_place_runs_the_command)
{
    begin();
    write_source(1);
    watch_module(compile_command());
    expect_made(1);
    run("cd %s/p && sed 's/= 1/= 2/' game.c > .game.c.tmp && mv game.c game.c~ && mv .game.c.tmp "
        "game.c",
        directory);
    expect_made(2);
    end();
}

TEST(what_is_no_source_does_not_run_the_command)
{
    begin();
    write_source(1);
    watch_module(compile_command());
    expect_made(1);
    run("cd %s/p && touch notes.txt game.o game.c~ .game.c.swp '#game.c#' .hidden.c 4913",
        directory);
    expect_nothing();
    run("touch %s/p/Makefile", directory);
    expect(BUILDS_RUNNING);
    expect(BUILDS_DONE);
    end();
}

TEST(a_source_four_levels_down_counts_and_one_in_a_new_directory_too)
{
    begin();
    run("mkdir -p %s/p/1/2/3/4/5", directory);
    write_source(1);
    watch_module(compile_command());
    expect_made(1);
    run("touch %s/p/1/2/3/4/deep.h", directory);
    expect(BUILDS_RUNNING);
    expect(BUILDS_DONE);
    run("touch %s/p/1/2/3/4/5/deeper.h", directory);
    expect_nothing();
    run("mkdir %s/p/new", directory);
    expect(BUILDS_RUNNING);
    expect(BUILDS_DONE);
    run("touch %s/p/new/more.h", directory);
    expect(BUILDS_RUNNING);
    expect(BUILDS_DONE);
    end();
}

TEST(sources_that_are_named_are_the_only_ones)
{
    char file[128], folder[128];
    begin();
    run("mkdir %s/src", directory);
    write_source(1);
    snprintf(file, sizeof file, "%s/made/level.txt", directory);
    snprintf(folder, sizeof folder, "%s/src", directory);
    run("touch %s", file);
    const char *paths[] = {file, folder};
    builds_desc desc = {.module_path = module,
                        .build_command = compile_command(),
                        .source_paths = paths,
                        .source_count = 2,
                        .copy_directory = copies};
    ck_ok(builds_open(&desc, &b));
    expect_made(1);
    run("touch %s/p/game.c %s/made/other.c", directory, directory);
    expect_nothing();
    run("touch %s", file);
    expect(BUILDS_RUNNING);
    expect(BUILDS_DONE);
    run("touch %s/x.cpp", folder);
    expect(BUILDS_RUNNING);
    expect(BUILDS_DONE);
    builds_close(b);
    paths[1] = "/nonexistent/source";
    ck_assert_int_eq(builds_open(&desc, &b), RP_E_NOT_FOUND);
    b = NULL;
    end();
}

TEST(a_failing_command_tells_its_first_error_and_its_exit_code)
{
    begin();
    write_source(1);
    watch_module(compile_command());
    expect_made(1);
    run("echo 'int variant = ; void rp_module_step(void) { nonsense }' > %s/p/game.c", directory);
    expect(BUILDS_RUNNING);
    expect(BUILDS_FAILED);
    ck_assert_int_eq(event.exit_code, 1);
    ck_assert_msg(!strncmp(event.text, "game.c:1:", 9) && strstr(event.text, "error:"), "%s",
                  event.text);
    expect_nothing();
    write_source(2);
    expect_made(2);
    end();
}

TEST(a_command_that_fails_without_a_module_says_why_and_nothing_else)
{
    begin();
    watch_module("exit 3");
    expect(BUILDS_RUNNING);
    expect(BUILDS_FAILED);
    ck_assert_int_eq(event.exit_code, 3);
    ck_assert_ptr_nonnull(strstr(event.text, "exit 3"));
    expect_nothing();
    end();
}

TEST(a_change_during_a_build_starts_another_and_never_two_at_once)
{
    begin();
    write_source(1);
    watch_module(
        command_text("cd %s/p && mkdir ../lock && cat game.c > snapshot.txt && sleep 0.3 && "
                     "gcc -x c -shared -fPIC -o game.so snapshot.txt && rmdir ../lock",
                     directory));
    expect(BUILDS_RUNNING);
    ck_assert(!next_event(100));
    write_source(2);
    ck_assert(!next_event(30));
    write_source(3);
    int last = 0, started = 1;
    while (next_event(1500)) {
        ck_assert_msg(event.kind != BUILDS_FAILED && event.kind != BUILDS_BAD, "%s", event.text);
        started += event.kind == BUILDS_RUNNING;
        if (event.kind == BUILDS_NEW) {
            last = variant_of(&event);
            rp_elf_close(event.elf);
        }
    }
    ck_assert_int_eq(last, 3);
    ck_assert_int_eq(started, 2);
    end();
}

TEST(a_command_that_writes_a_source_does_not_build_for_ever)
{
    int started = 0;
    begin();
    write_source(1);
    watch_module(
        command_text("cd %s/p && echo '#define MADE 1' > made.h && touch tmp.c && rm tmp.c && "
                     "gcc -shared -fPIC -o game.so game.c",
                     directory));
    while (next_event(1000)) {
        started += event.kind == BUILDS_RUNNING;
        ck_assert_int_le(started, 3);
        rp_elf_close(event.elf);
    }
    ck_assert_int_ge(started, 1);
    end();
}

TEST(closing_ends_the_command_with_all_that_it_started)
{
    char held[128];
    begin();
    watch_module(command_text("cd %s && flock -x lock sh -c 'touch held; sleep 1000' & sleep 1000",
                              directory));
    expect(BUILDS_RUNNING);
    snprintf(held, sizeof held, "%s/held", directory);
    while (access(held, F_OK) < 0) {
        ck_assert(!next_event(5));
    }
    builds_close(b);
    b = NULL;
    run("flock -w 10 %s/lock true", directory);
    end();
}
