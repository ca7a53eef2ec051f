/* Takes in files: names, what may be replaced, failing calls, full disks, killed writers. */
#include "support/fault.h"
#include "tape.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char directory[64];

static void enter_directory(void)
{
    strcpy(directory, "/tmp/reprise-take-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
}

static void leave_directory(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_msg(rmdir(directory) == 0, "something was left in %s", directory);
}

static rp_status begin(rp_take_file *file, const char *path, bool replace, bool early,
                       rp_take_writer **writer)
{
    rp_take_environment environment = tape_environment();
    rp_status status = rp_take_file_create(file, path, replace);
    *writer = NULL;
    if (status) {
        return status;
    }
    rp_take_writer_desc desc = {.sink = rp_take_file_sink(file),
                                .environment = &environment,
                                .base_frames = 20,
                                .publish_early = early};
    return rp_take_writer_open(&desc, writer);
}

static rp_status write_frames(rp_take_writer *writer, world *w, int count)
{
    rp_status status = RP_OK;
    for (int i = 0; i < count && !status; i++) {
        for (int j = 0; j < 5; j++) {
            world_write(w, (int)(test_random(&w->random) % WORLD_PAGES));
        }
        status = world_frame(w, writer, w->frames + 1, false);
    }
    return status;
}

/* Frames of a take in a file are the first ones of the world's life. Returns how many there are. */
static uint64_t expect_file(const char *path, const world *w)
{
    rp_take_file_source file;
    rp_take_open_desc desc = {0};
    rp_take *take;
    rp_take_state *state;
    uint64_t count = 0;
    ck_ok(rp_take_file_open(&file, path, &desc.source));
    ck_ok(rp_take_open(&desc, &take));
    ck_ok(rp_take_state_create(take, &state));
    for (; rp_take_frame_at(take, count); count++) {
        ck_ok(rp_take_state_seek(state, count));
        if (w && count < w->frames) {
            world_expect(w, state, count);
        }
    }
    rp_take_state_destroy(state);
    rp_take_close(take);
    rp_take_file_source_close(&file);
    return count;
}

TEST(a_take_made_at_once_has_no_name_before_it_is_complete)
{
    enter_directory();
    world *w = world_new(1);
    rp_take_file file;
    rp_take_writer *writer;
    ck_ok(begin(&file, "a.take", false, false, &writer));
    ck_ok(write_frames(writer, w, 30));
    ck_assert_int_ne(access("a.take", F_OK), 0);
    ck_ok(rp_take_writer_finish(writer));
    rp_take_writer_close(writer);
    rp_take_file_close(&file);
    ck_assert_uint_eq(expect_file("a.take", w), 30);
    unlink("a.take");
    world_free(w);
    leave_directory();
}

TEST(a_recording_has_its_name_with_the_first_frame_and_is_of_use_without_an_end)
{
    enter_directory();
    world *w = world_new(2);
    rp_take_file file;
    rp_take_writer *writer;
    ck_ok(begin(&file, "a.take", false, true, &writer));
    ck_assert_int_ne(access("a.take", F_OK), 0);
    ck_ok(write_frames(writer, w, 1));
    ck_assert_uint_eq(expect_file("a.take", w), 1);
    ck_ok(write_frames(writer, w, 29));
    rp_take_writer_close(writer);
    rp_take_file_close(&file);
    ck_assert_uint_eq(expect_file("a.take", w), 30);
    unlink("a.take");
    world_free(w);
    leave_directory();
}

TEST(only_a_take_is_replaced_and_only_when_told_to)
{
    enter_directory();
    world *w = world_new(3);
    rp_take_file file;
    rp_take_writer *writer;
    ck_ok(rp_os_file_write("notes.txt", "mine, all mine", 14));
    ck_ok(rp_os_file_write("empty", "", 0));
    ck_assert_int_eq(mkdir("folder", 0700), 0);
    ck_assert_int_eq(begin(&file, "notes.txt", true, true, &writer), RP_E_TAKEN);
    ck_assert_int_eq(begin(&file, "empty", true, true, &writer), RP_E_TAKEN);
    ck_assert_int_eq(begin(&file, "folder", true, true, &writer), RP_E_TAKEN);
    for (int replace = 0; replace < 2; replace++) {
        memset(w->owed, 1, sizeof w->owed); /* for a take of its own */
        ck_ok(begin(&file, "a.take", replace, false, &writer));
        ck_ok(write_frames(writer, w, 2 + replace));
        ck_ok(rp_take_writer_finish(writer));
        rp_take_writer_close(writer);
        rp_take_file_close(&file);
        ck_assert_int_eq(begin(&file, "a.take", false, true, &writer), RP_E_TAKEN);
    }
    ck_assert_uint_eq(expect_file("a.take", NULL), 3);
    unlink("notes.txt"), unlink("empty"), rmdir("folder"), unlink("a.take");
    world_free(w);
    leave_directory();
}

TEST(what_came_to_stand_at_the_path_meanwhile_is_not_replaced)
{
    enter_directory();
    world *w = world_new(4);
    rp_take_file file;
    rp_take_writer *writer;
    ck_ok(begin(&file, "a.take", true, false, &writer));
    ck_ok(rp_os_file_write("a.take", "somebody else's", 15));
    ck_ok(write_frames(writer, w, 2));
    ck_assert_int_eq(rp_take_writer_finish(writer), RP_E_TAKEN);
    rp_take_writer_close(writer);
    rp_take_file_close(&file);
    unlink("a.take");
    world_free(w);
    leave_directory();
}

/* ---- failing calls ----------------------------------------------------------------------------
 */

static rp_status write_and_read(void *context)
{
    world *w = world_new(5);
    rp_take_file file = {.stream.fd = -1};
    rp_take_writer *writer = NULL;
    rp_take_open_desc desc = {0};
    rp_take_file_source source = {-1};
    rp_take *take = NULL;
    rp_take_state *state = NULL;
    rp_status status = begin(&file, "a.take", true, context != NULL, &writer);
    status = status ? status : tape_lists(writer);
    status = status ? status : write_frames(writer, w, 4);
    status = status ? status : rp_take_writer_sync(writer);
    status = status ? status : tape_end(writer);
    rp_take_writer_close(writer);
    rp_take_file_close(&file);
    status = status ? status : rp_take_file_open(&source, "a.take", &desc.source);
    status = status ? status : rp_take_open(&desc, &take);
    status = status ? status : rp_take_state_create(take, &state);
    status = status ? status : rp_take_state_seek(state, 3);
    rp_take_state_destroy(state);
    rp_take_close(take);
    rp_take_file_source_close(&source);
    world_free(w);
    return status;
}

TEST(each_call_to_the_system_that_fails_is_told)
{
    static const int codes[] = {EIO, ENOSPC, ENOMEM};
    enter_directory();
    for (size_t i = 0; i < RP_COUNT_OF(codes); i++) {
        fault_each_call(write_and_read, i == 1 ? directory : NULL, codes[i]);
        unlink("a.take");
    }
    leave_directory();
}

#ifdef RP_FAULTS
/* Whatever call fails while it records, the take has the frames that were fed with success, and
 * recording can go on in another file. */
TEST(a_recording_whose_kth_call_fails_is_whole_up_to_there_and_goes_on_elsewhere)
{
    enter_directory();
    size_t calls = 1;
    for (size_t k = 1; k <= calls; k++) {
        world *w = world_new(6);
        rp_take_file file, second;
        rp_take_writer *writer, *other;
        ck_ok(begin(&file, "a.take", true, true, &writer));
        rp_os_fault_set(k, k % 2 ? ENOSPC : EIO);
        rp_os_fault_shorten_to(1000);
        rp_status status = write_frames(writer, w, 6);
        calls = rp_os_fault_count() >= k ? k + 1 : k;
        rp_os_fault_set(0, 0);
        rp_os_fault_shorten_to(0);
        ck_assert(status || calls == k);
        rp_take_writer_close(writer);
        rp_take_file_close(&file);
        if (w->frames) {
            uint64_t there = expect_file("a.take", w);
            /* More by one where the name could not be brought to the disk. */
            ck_assert(there == w->frames || (status && there == w->frames + 1));
        }
        memset(w->owed, 1, sizeof w->owed);
        uint64_t before = w->frames;
        ck_ok(begin(&second, "b.take", true, true, &other));
        ck_ok(write_frames(other, w, 3));
        rp_take_writer_close(other);
        rp_take_file_close(&second);
        ck_assert_uint_eq(expect_file("b.take", NULL), 3);
        ck_assert_uint_eq(w->frames, before + 3);
        world_free(w);
    }
    ck_assert_uint_gt(calls, 50);
    unlink("a.take"), unlink("b.take");
    leave_directory();
}
#endif

/* ---- a full disk ------------------------------------------------------------------------------
 */

TEST(a_sink_that_is_full_at_any_byte_leaves_whole_frames)
{
    world *w = world_new(7);
    tape t = {0};
    ck_ok(tape_whole(&t, w, 6));
    size_t size = t.size_bytes;
    world_free(w);
    free(t.bytes);
    for (size_t room = RP_TAKE_BYTES_header; room < size; room += getenv("RP_LONG") ? 13 : 997) {
        rp_take *take;
        t = (tape){.room_bytes = room};
        w = world_new(7);
        ck_assert_int_eq(tape_whole(&t, w, 6), RP_E_SYSTEM);
        ck_assert_int_eq(rp_error_last()->system_code, ENOSPC);
        rp_status status = tape_open(&t, &take);
        for (uint64_t i = 0; !status && i < w->frames; i++) {
            ck_assert_ptr_nonnull(rp_take_frame_at(take, i));
        }
        ck_assert(!status || !w->frames);
        rp_take_close(status ? NULL : take);
        world_free(w);
        free(t.bytes);
    }
}

TEST(a_full_disk_is_told_and_the_take_on_it_can_be_read)
{
    enter_directory();
    if (mkdir("small", 0700) || mount("none", "small", "tmpfs", 0, "size=512k")) {
        printf("skipped: no small file system can be mounted here: %s\n", strerror(errno));
        rmdir("small");
        leave_directory();
        return;
    }
    world *w = world_new(8);
    rp_take_file file, other;
    rp_take_writer *writer;
    ck_ok(begin(&file, "small/a.take", false, true, &writer));
    rp_status status = write_frames(writer, w, WORLD_FRAMES_MOST - 10);
    int code = rp_error_last()->system_code;
    rp_take_writer_close(writer);
    rp_take_file_close(&file);
    uint64_t frames = expect_file("small/a.take", w), fed = w->frames;
    memset(w->owed, 1, sizeof w->owed);
    ck_ok(begin(&other, "elsewhere.take", false, true, &writer));
    ck_ok(write_frames(writer, w, 5));
    rp_take_writer_close(writer);
    rp_take_file_close(&other);
    umount2("small", MNT_DETACH);
    rmdir("small");
    ck_assert_int_eq(status, RP_E_SYSTEM);
    ck_assert_int_eq(code, ENOSPC);
    ck_assert_uint_eq(frames, fed);
    ck_assert_uint_gt(frames, 10);
    ck_assert_uint_eq(expect_file("elsewhere.take", NULL), 5);
    unlink("elsewhere.take");
    world_free(w);
    leave_directory();
}

/* ---- killed -----------------------------------------------------------------------------------
 */

/* Tells a pipe of each frame once it was written. */
static void record_until_killed(uint64_t seed, int told)
{
    world *w = world_new(seed);
    rp_take_file file;
    rp_take_writer *writer;
    if (begin(&file, "a.take", true, true, &writer)) {
        _exit(1);
    }
    for (uint64_t i = 0; i < WORLD_FRAMES_MOST - 1; i++) {
        if (write_frames(writer, w, 1) || write(told, &w->frames, sizeof w->frames) < 0) {
            _exit(1);
        }
    }
    _exit(0);
}

static uint64_t last_told(int fd)
{
    uint64_t value = 0, last = 0;
    while (read(fd, &value, sizeof value) == sizeof value) {
        last = value;
    }
    close(fd);
    return last;
}

TEST(a_writer_that_is_killed_at_any_moment_leaves_every_frame_but_the_one_at_hand)
{
    uint64_t random = test_seed();
    int rounds = getenv("RP_LONG") ? 1000 : 30, with_frames = 0;
    enter_directory();
    for (int i = 0; i < rounds; i++) {
        uint64_t seed = test_random(&random) | 1;
        int ends[2];
        unlink("a.take");
        ck_assert_int_eq(pipe(ends), 0);
        fcntl(ends[1], F_SETPIPE_SZ, 1 << 17);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            record_until_killed(seed, ends[1]);
        }
        close(ends[1]);
        struct timespec pause = {.tv_nsec = (long)(test_random(&random) % 40000000)};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        int ended;
        ck_assert_int_eq(waitpid(child, &ended, 0), child);
        ck_assert(WIFSIGNALED(ended));
        uint64_t told = last_told(ends[0]);
        if (access("a.take", F_OK) != 0) {
            ck_assert_uint_eq(told, 0);
            continue;
        }
        with_frames++;
        /* The same life again: its copies are what the take must have. */
        world *again = world_new(seed);
        tape none = {0};
        rp_take_writer *writer;
        ck_ok(tape_begin(&none, &writer));
        ck_ok(write_frames(writer, again, (int)told + 1));
        uint64_t there = expect_file("a.take", again);
        ck_assert_msg(there >= told && there <= told + 1,
                      "%llu frames were written and %llu are there", (unsigned long long)told,
                      (unsigned long long)there);
        rp_take_writer_close(writer);
        free(none.bytes);
        world_free(again);
    }
    ck_assert_int_gt(with_frames, rounds / 4);
    unlink("a.take");
    ck_assert_int_eq(system("rm -f .reprise-*"), 0); /* of those killed before the first frame */
    leave_directory();
}
