#include "robust_play.h"

#include "support/fault.h"
#include "support/test.h"

#include <base/bits.h>
#include <dirent.h>
#include <errno.h>
#include <os/os.h>
#include <region/region.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int descriptors_before;

bool play_is_long(void)
{
    return getenv("RP_LONG") != NULL;
}

/* ---- open and close ---- */

static void print_nothing(void *context, const char *text, size_t length)
{
    (void)context, (void)text, (void)length;
}

/* A check that fails ends the process in the middle. */
static const char *directory_to_remove;

static void directory_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory_to_remove);
    if (access(directory_to_remove, F_OK) == 0 && system(command)) {
        perror(command);
    }
}

rp_status play_open_empty(play *p)
{
    memset(p, 0, sizeof *p);
    strcpy(p->directory, "/tmp/rp-robust-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(p->directory));
    if (!directory_to_remove) {
        atexit(directory_remove);
    }
    directory_to_remove = p->directory;
    descriptors_before = fault_open_descriptors();
    session_desc desc = {.budget_bytes = RP_GIB(4),
                         .seed = 1,
                         .start_wall_ns = UINT64_C(946684800000000000),
                         .width_px = 320,
                         .height_px = 180,
                         .rate_hz = 60,
                         .watchdog_ms = 20000,
                         .print = print_nothing};
    return session_open(&desc, &p->session);
}

void play_open(play *p, const char *program)
{
    ck_ok(play_open_empty(p));
    ck_ok(play_build(p, program));
    play_check(p);
}

static void program_path(const char *program, char *path, size_t capacity)
{
    if (strchr(program, '/')) {
        snprintf(path, capacity, "%s", program);
    } else if (strcmp(program, "demo") == 0) {
        snprintf(path, capacity, "%s", ROBUST_DEMO);
    } else {
        snprintf(path, capacity, "%s/%s.so", ROBUST_PROGRAMS, program);
    }
}

rp_status play_build(play *p, const char *program)
{
    char path[512], copy[128];
    rp_elf *elf;
    program_path(program, path, sizeof path);
    snprintf(copy, sizeof copy, "%s/build-%06u.so", p->directory, ++p->copies);
    rp_status status = rp_elf_open(path, copy, &elf);
    if (status) {
        remove(copy); /* the host's watch does the same */
        return status;
    }
    return session_build_new(&p->session, elf, copy, rp_os_monotonic_ns());
}

void play_close(play *p)
{
    session_close(&p->session);
    ck_assert_msg(rmdir(p->directory) == 0, "%s: copies are left", p->directory);
    ck_assert_msg(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a runner is left");
    ck_assert_int_eq(fault_open_descriptors(), descriptors_before);
}

/* ---- frames ---- */

void play_input(uint64_t frame, rp_input *input)
{
    static const int keys[] = {RP_KEY_LEFT, RP_KEY_RIGHT, RP_KEY_SPACE, RP_KEY_UP};
    memset(input, 0, sizeof *input);
    uint64_t dice = (frame / 7 + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 60;
    for (size_t i = 0; i < RP_COUNT_OF(keys); i++) {
        if (dice >> i & 1) {
            uint8_t bit = (uint8_t)(1 << keys[i] % 8);
            input->keys_down[keys[i] / 8] |= bit;
            input->keys_pressed[keys[i] / 8] |= frame % 7 == 0 ? bit : 0;
        }
    }
}

void play_check(play *p)
{
    const rp_log *log = p->session.log;
    uint64_t frame = session_frame(&p->session), hash;
    ck_assert_uint_lt(frame, PLAY_FRAMES_MAX);
    ck_ok(rp_log_hash(p->session.log, rp_log_position(log), &hash));
    if (p->noted[frame]) {
        ck_assert_msg(p->hashes[frame] == hash, "frame %llu has another hash than before",
                      (unsigned long long)frame);
    }
    p->hashes[frame] = hash;
    p->noted[frame] = true;
}

rp_status play_step(play *p)
{
    rp_input input;
    uint64_t frame = session_frame(&p->session) + 1;
    play_input(frame, &input);
    rp_status status = session_step(&p->session, &input, false, false);
    if (!status) {
        ck_assert_uint_eq(session_frame(&p->session), frame);
        play_check(p);
    }
    return status;
}

void play_on(play *p, uint64_t frame)
{
    while (session_frame(&p->session) < frame) {
        ck_ok(play_step(p));
    }
}

void play_seek(play *p, uint64_t frame)
{
    ck_ok(session_seek(&p->session, frame));
    ck_assert_uint_eq(session_frame(&p->session), frame);
    play_check(p);
}

/* ---- the runner's memory ---- */

/* Where a page lies in the runner, and which of its bytes are state. */
static uint64_t page_address(const session *s, uint32_t page, uint64_t *start, uint64_t *end)
{
    uint64_t address = RP_REGION_BASE + (uint64_t)page * RP_PAGE_BYTES;
    if (page >= RP_PAGE_EXTRA) {
        address = 0;
        for (uint32_t i = 0; i < s->known_count; i++) {
            const link_range *range = &s->known[i];
            uint64_t first = rp_align_down(range->start, RP_PAGE_BYTES);
            uint64_t at = first + (uint64_t)(page - range->first_page) * RP_PAGE_BYTES;
            if (page >= range->first_page && at < range->start + range->size_bytes &&
                (range->build == 0 || range->build == s->loaded)) {
                *start = at > range->start ? at : range->start;
                uint64_t range_end = range->start + range->size_bytes;
                *end = at + RP_PAGE_BYTES < range_end ? at + RP_PAGE_BYTES : range_end;
                return at;
            }
        }
    }
    *start = address;
    *end = address + RP_PAGE_BYTES;
    return address;
}

static bool is_as_logged(const session *s, int memory, uint32_t page, uint32_t slot)
{
    static const uint8_t zeros[RP_PAGE_BYTES];
    uint8_t there[RP_PAGE_BYTES];
    uint64_t start, end, address = page_address(s, page, &start, &end);
    const uint8_t *logged = slot ? rp_log_slot(s->log, slot) : zeros;
    if (!address) {
        return true; /* of a build that is not loaded */
    }
    ssize_t bytes = (ssize_t)(end - start);
    return pread(memory, there, (size_t)bytes, (off_t)start) == bytes &&
           memcmp(there, logged + (start - address), (size_t)bytes) == 0;
}

void play_check_memory(play *p)
{
    const session *s = &p->session;
    const rp_page_slot *entries;
    size_t count, compared = 0;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)s->live.pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(memory, 0);
    ck_ok(rp_log_full(s->log, &entries, &count));
    for (size_t i = 0; i < count; i++, compared++) {
        ck_assert_msg(is_as_logged(s, memory, entries[i].page, entries[i].slot),
                      "page %u is not in the runner as it is in the log", entries[i].page);
    }
    ck_assert_uint_ge(compared, 4);
    close(memory);
}
