/* A deck on each rung of write tracking: what the system writes, and threads that do not rest. */
#include "base/bits.h"
#include "base/error.h"
#include "support/child.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <reprise/deck.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

enum { PAGE = 4096, PAGES = 300 };

typedef struct fixture {
    rp_deck *deck;
    uint8_t *block; /* PAGES pages of the world */
} fixture;

static const char *const names[] = {"auto", "wp-async", "compare", "wp-sigbus", "mprotect"};

/* False: this system does not have the rung. */
static bool open_fixture(fixture *f, rp_tracking tracking, bool check_threads)
{
    rp_deck_desc desc = {.reserve_bytes = RP_GIB(1),
                         .budget_bytes = RP_MIB(64),
                         .tracking = tracking,
                         .check_threads = check_threads};
    rp_status status = rp_deck_open(&desc, &f->deck);
    if (status == RP_E_UNSUPPORTED) {
        printf("skipped: %s: %s\n", names[tracking], rp_error_last()->text);
        return false;
    }
    ck_ok(status);
    f->block = rp_alloc_aligned(rp_deck_heap(f->deck), PAGE, PAGES * PAGE);
    ck_assert_ptr_nonnull(f->block);
    memset(f->block, 1, PAGES * PAGE);
    return true;
}

static void end_frame(fixture *f, rp_frame_info *info)
{
    rp_frame_begin(f->deck, NULL, 0);
    ck_ok(rp_frame_end(f->deck, info));
}

/* ---- what the system writes ------------------------------------------------------------------ */

typedef ssize_t filler(int zero, uint8_t *to, size_t size_bytes);

static ssize_t by_read(int zero, uint8_t *to, size_t size_bytes)
{
    return read(zero, to, size_bytes);
}

static ssize_t by_vector(int zero, uint8_t *to, size_t size_bytes)
{
    struct iovec half[] = {{to, size_bytes / 2},
                           {to + size_bytes / 2, size_bytes - size_bytes / 2}};
    return readv(zero, half, 2);
}

/* Within a frame; across a page's edge; the bytes beside them stay. */
static void fill_and_seek(fixture *f, int zero, filler *fill)
{
    uint8_t *to = f->block + 50 * PAGE - 30;
    const size_t size_bytes = 60;
    rp_frame_info info;
    rp_deck_status status;
    end_frame(f, NULL);
    rp_frame_begin(f->deck, NULL, 0);
    rp_will_write(f->deck, to, size_bytes);
    ck_assert_int_eq(fill(zero, to, size_bytes), (ssize_t)size_bytes);
    ck_ok(rp_frame_end(f->deck, &info));
    ck_assert_uint_ge(info.page_count, 2);
    rp_deck_status_get(f->deck, &status);
    ck_ok(rp_seek(f->deck, status.frame - 1));
    for (size_t i = 0; i < size_bytes; i++) {
        ck_assert_int_eq(to[i], 1);
    }
    ck_ok(rp_seek(f->deck, status.frame));
    for (size_t i = 0; i < size_bytes; i++) {
        ck_assert_int_eq(to[i], 0);
    }
    ck_assert_int_eq(to[-1], 1);
    ck_assert_int_eq(to[size_bytes], 1);
    ck_ok(rp_seek(f->deck, status.frame - 1));
}

TEST(what_a_system_call_writes_where_it_was_said_is_a_part_of_the_frame_on_each_rung)
{
    int zero = open("/dev/zero", O_RDONLY);
    for (rp_tracking rung = RP_TRACKING_AUTO; rung <= RP_TRACKING_MPROTECT; rung++) {
        fixture f;
        if (open_fixture(&f, rung, false)) {
            fill_and_seek(&f, zero, by_read);
            fill_and_seek(&f, zero, by_vector);
            rp_deck_close(f.deck);
        }
    }
    close(zero);
}

/* Said for one frame, it does not hold for the next: on the rungs that take signals the call is
 * refused and nothing was written; on the others it is a part of the frame. */
TEST(what_was_said_for_a_frame_ends_with_it)
{
    int zero = open("/dev/zero", O_RDONLY);
    for (rp_tracking rung = RP_TRACKING_WP_ASYNC; rung <= RP_TRACKING_MPROTECT; rung++) {
        fixture f;
        if (!open_fixture(&f, rung, false)) {
            continue;
        }
        bool refuses = rung == RP_TRACKING_WP_SIGBUS || rung == RP_TRACKING_MPROTECT;
        rp_frame_begin(f.deck, NULL, 0);
        rp_will_write(f.deck, f.block, PAGES * PAGE);
        ck_ok(rp_frame_end(f.deck, NULL));
        end_frame(&f, NULL);
        rp_frame_begin(f.deck, NULL, 0);
        errno = 0;
        ssize_t got = read(zero, f.block + 200 * PAGE, 16);
        ck_assert_int_eq(got, refuses ? -1 : 16);
        ck_assert_int_eq(errno, refuses ? EFAULT : 0);
        ck_ok(rp_frame_end(f.deck, NULL));
        ck_ok(rp_seek(f.deck, 2));
        ck_assert_int_eq(f.block[200 * PAGE], 1);
        ck_ok(rp_seek(f.deck, 3));
        ck_assert_int_eq(f.block[200 * PAGE], refuses ? 1 : 0);
        rp_deck_close(f.deck);
    }
    close(zero);
}

/* Memory outside the world, half in it, none at all. */
TEST(any_address_may_be_named)
{
    for (rp_tracking rung = RP_TRACKING_WP_ASYNC; rung <= RP_TRACKING_MPROTECT; rung++) {
        fixture f;
        if (open_fixture(&f, rung, false)) {
            static uint8_t outside[100];
            end_frame(&f, NULL);
            rp_will_write(f.deck, outside, sizeof outside);
            rp_will_write(f.deck, NULL, 0);
            rp_will_write(f.deck, NULL, SIZE_MAX);
            rp_will_write(f.deck, f.block + 5, SIZE_MAX);
            rp_will_write(f.deck, f.block + PAGES * PAGE - 1, RP_GIB(64));
            f.block[7] = 9;
            end_frame(&f, NULL);
            ck_ok(rp_seek(f.deck, 1));
            ck_assert_int_eq(f.block[7], 1);
            rp_deck_close(f.deck);
        }
    }
}

/* ---- the check of threads -------------------------------------------------------------------- */

enum { FRAMES_MOST = 20000 };

static struct {
    volatile uint64_t *words;
    bool stop;
} restless;

static void *count_up(void *context)
{
    (void)context;
    pthread_setname_np(pthread_self(), "restless");
    for (uint64_t n = 1; !__atomic_load_n(&restless.stop, __ATOMIC_RELAXED); n++) {
        for (size_t page = 0; page < PAGES; page++) {
            restless.words[page * PAGE / 8] = n;
        }
    }
    return NULL;
}

/* Of the numbers, each page one, the next is never above the one before and never two below. */
static bool is_one_moment(const uint64_t *words)
{
    uint64_t first = words[0];
    for (size_t page = 0; page < PAGES; page++) {
        uint64_t now = words[page * PAGE / 8];
        if (now > first || now + 1 < first) {
            return false;
        }
    }
    return true;
}

/* How much was written to standard error, which is the pipe of child_run. */
static bool was_told(void)
{
    int waiting = 0;
    return ioctl(STDERR_FILENO, FIONREAD, &waiting) == 0 && waiting > 0;
}

static int play_with_a_restless_thread(void *context)
{
    fixture f;
    pthread_t thread;
    if (!open_fixture(&f, *(rp_tracking *)context, true)) {
        return 77;
    }
    memset(f.block, 0, PAGES * PAGE);
    restless.words = (volatile uint64_t *)(void *)f.block;
    pthread_create(&thread, NULL, count_up, NULL);
    int frames = 0;
    while (frames < FRAMES_MOST && (frames < 30 || !was_told())) {
        end_frame(&f, NULL);
        frames++;
    }
    __atomic_store_n(&restless.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    int torn = 0;
    for (int frame = frames < 60 ? 1 : frames - 60; frame <= frames; frame++) {
        if (rp_seek(f.deck, (uint64_t)frame) == RP_OK) {
            torn += !is_one_moment((const uint64_t *)(const void *)f.block);
        }
    }
    rp_deck_close(f.deck);
    return torn ? 1 : 0;
}

TEST(a_thread_that_does_not_rest_is_named_and_each_frame_is_one_moment_on_each_rung)
{
    for (rp_tracking rung = RP_TRACKING_WP_ASYNC; rung <= RP_TRACKING_MPROTECT; rung++) {
        child_end end = child_run(play_with_a_restless_thread, &rung);
        if (end.exit_code == 77) {
            continue;
        }
        ck_assert_msg(end.exit_code == 0, "%s: %d, signal %d: %s", names[rung], end.exit_code,
                      end.signal, end.error_text);
        ck_assert_msg(strstr(end.error_text, "write during a commit: thread") &&
                          strstr(end.error_text, "(restless)"),
                      "%s: says \"%s\"", names[rung], end.error_text);
    }
}

static int play_with_threads_at_rest(void *context)
{
    fixture f;
    if (!open_fixture(&f, *(rp_tracking *)context, true)) {
        return 77;
    }
    for (int frame = 0; frame < 30; frame++) {
        memset(f.block + frame * PAGE, frame + 2, 9 * PAGE);
        end_frame(&f, NULL);
    }
    bool right = rp_seek(f.deck, 10) == RP_OK && f.block[9 * PAGE] == 11 &&
                 f.block[10 * PAGE] == 11 && f.block[17 * PAGE] == 11 && f.block[18 * PAGE] == 1;
    rp_deck_close(f.deck);
    return right ? 0 : 1;
}

TEST(nobody_is_named_where_threads_rest_on_each_rung)
{
    for (rp_tracking rung = RP_TRACKING_WP_ASYNC; rung <= RP_TRACKING_MPROTECT; rung++) {
        child_end end = child_run(play_with_threads_at_rest, &rung);
        ck_assert_msg(end.exit_code == 0 || end.exit_code == 77, "%s: %d: %s", names[rung],
                      end.exit_code, end.error_text);
        ck_assert_str_eq(end.error_text, "");
    }
}
