/* io_uring and write tracking: what the kernel writes into ordinary buffers is told on the first
 * rung; registered buffers are missed there, and marking by hand makes up for it. */
#include "os/tracked.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

typedef struct ring {
    int fd;
    uint8_t *memory;
    struct io_uring_sqe *entries;
    struct io_uring_params params;
} ring;

/* False, and says so, where a sandbox has none. */
static bool ring_open(ring *r)
{
    memset(r, 0, sizeof *r);
    r->fd = (int)syscall(SYS_io_uring_setup, 4, &r->params);
    if (r->fd < 0 || !(r->params.features & IORING_FEAT_SINGLE_MMAP)) {
        printf("skipped: io_uring: %s\n", strerror(errno));
        return false;
    }
    const int rights = PROT_READ | PROT_WRITE;
    size_t completions = r->params.cq_off.cqes + r->params.cq_entries * sizeof(struct io_uring_cqe);
    r->memory = mmap(NULL, completions + 4096, rights, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
    r->entries = mmap(NULL, 4 * sizeof *r->entries, rights, MAP_SHARED, r->fd, IORING_OFF_SQES);
    ck_assert(r->memory != MAP_FAILED && r->entries != MAP_FAILED);
    return true;
}

/* Makes one request and waits for it; what it returned. */
static int ring_do(ring *r, struct io_uring_sqe request)
{
    uint32_t *tail = (uint32_t *)(void *)(r->memory + r->params.sq_off.tail);
    uint32_t *array = (uint32_t *)(void *)(r->memory + r->params.sq_off.array);
    uint32_t mask = *(uint32_t *)(void *)(r->memory + r->params.sq_off.ring_mask);
    r->entries[*tail & mask] = request;
    array[*tail & mask] = *tail & mask;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    ck_assert_int_eq(syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
    uint32_t *head = (uint32_t *)(void *)(r->memory + r->params.cq_off.head);
    uint32_t all = *(uint32_t *)(void *)(r->memory + r->params.cq_off.ring_mask);
    struct io_uring_cqe *done =
        (struct io_uring_cqe *)(void *)(r->memory + r->params.cq_off.cqes) + (*head & all);
    int result = done->res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
}

static int pipe_with(const char *text)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
    return ends[0];
}

TEST(what_a_ring_reads_into_ordinary_memory_is_told_on_the_first_rung)
{
    ring r;
    setenv("RP_RUNG", "wp-async", 1);
    if (!ring_open(&r)) {
        return;
    }
    tracked t = tracked_pages(8, TRACKED_POPULATED);
    struct io_uring_sqe request = {.opcode = IORING_OP_READ,
                                   .fd = pipe_with("ring"),
                                   .addr = (uintptr_t)(t.start + 3 * PAGE),
                                   .len = 4,
                                   .off = UINT64_MAX};
    ck_assert_int_eq(ring_do(&r, request), 4);
    ck_assert_int_eq(memcmp(t.start + 3 * PAGE, "ring", 4), 0);
    check_written(&t, "...x....");
}

TEST(what_a_ring_reads_into_marked_memory_is_told_on_the_others)
{
    for (int rung = 1; rung <= 2; rung++) {
        ring r;
        setenv("RP_RUNG", rung == 1 ? "wp-sigbus" : "mprotect", 1);
        if (!ring_open(&r)) {
            return;
        }
        tracked t = tracked_pages(64, TRACKED_POPULATED);
        struct io_uring_sqe request = {.opcode = IORING_OP_READ,
                                       .fd = pipe_with("ring"),
                                       .addr = (uintptr_t)(t.start + 3 * PAGE),
                                       .len = 4,
                                       .off = UINT64_MAX};
        ck_assert_int_eq(ring_do(&r, request), -EFAULT);
        rp_os_track_touch(&t.tracker, t.start + 3 * PAGE, 4);
        ck_assert_int_eq(ring_do(&r, request), 4);
        uint8_t written[64] = {0};
        collect_into(&t, written, 64);
        ck_assert_int_eq(written[3], 1);
    }
}

/* The reason why they are refused, and what marking is for. */
TEST(a_registered_buffer_is_missed_unless_it_is_marked)
{
    ring r;
    setenv("RP_RUNG", "wp-async", 1);
    if (!ring_open(&r)) {
        return;
    }
    tracked t = tracked_pages(8, TRACKED_POPULATED);
    struct iovec buffer = {t.start + 4 * PAGE, PAGE};
    if (syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &buffer, 1) < 0) {
        printf("skipped: registering: %s\n", strerror(errno));
        return;
    }
    uint8_t written[8] = {0};
    collect_into(&t, written, 8);
    struct io_uring_sqe request = {.opcode = IORING_OP_READ_FIXED,
                                   .fd = pipe_with("fixed"),
                                   .addr = (uintptr_t)(t.start + 4 * PAGE),
                                   .len = 5,
                                   .off = UINT64_MAX};
    ck_assert_int_eq(ring_do(&r, request), 5);
    ck_assert_int_eq(memcmp(t.start + 4 * PAGE, "fixed", 5), 0);
    memset(written, 0, sizeof written);
    collect_into(&t, written, 8);
    ck_assert_int_eq(written[4], 0);
    rp_os_track_touch(&t.tracker, t.start + 4 * PAGE, 5);
    memset(written, 0, sizeof written);
    collect_into(&t, written, 8);
    ck_assert_int_eq(written[4], 1);
}
