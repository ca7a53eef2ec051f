/* The world across processes and in other people's memory: a fresh process restored from the log, a
 * child killed while it collects, the data segments of a loaded library, a thread's storage.
 */
#include "history/play.h"

#include "os/os.h"

#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t range_bytes[3 * 4096];

typedef struct shared_entries {
    size_t count;
    uint64_t sum; /* of all bytes of the world, by the child's own reading */
    rp_page_slot entries[4096];
} shared_entries;

static shared_entries *share(void)
{
    int fd;
    void *map;
    ck_ok(rp_os_memfile_create("entries", RP_MIB(1), &fd));
    ck_ok(rp_os_memfile_map(fd, 0, NULL, RP_MIB(1), RP_OS_READ_WRITE, &map));
    close(fd);
    return map;
}

static uint64_t sum_snapshot(const play_snapshot *s)
{
    uint64_t sum = s->count;
    for (size_t i = 0; i < s->count; i++) {
        sum = sum * 31 + s->pages[i].page * 2 + s->pages[i].is_guard;
        for (size_t b = 0; b < 4096; b++) {
            sum = sum * 31 + s->pages[i].content[b];
        }
    }
    return sum;
}

/* The owner offers slots, the child fills them, as a host and its runner do. */
typedef struct child_side {
    const rp_slot_run *run;
    uint32_t used;
    shared_entries *out;
} child_side;

static bool child_slots(void *context, uint32_t want, rp_slot_run *run)
{
    child_side *side = context;
    uint32_t left = side->run->count - side->used;
    *run = (rp_slot_run){side->run->first + side->used, want < left ? want : left};
    side->used += run->count;
    return run->count != 0;
}

static bool child_entries(void *context, const rp_page_slot *entries, size_t count)
{
    child_side *side = context;
    memcpy(side->out->entries + side->out->count, entries, count * sizeof *entries);
    side->out->count += count;
    return true;
}

static play child_open(int log_fd)
{
    play p = {0};
    ck_ok(rp_region_create(&(rp_region_desc){.reserve_bytes = RP_GIB(2)}));
    ck_ok(rp_world_open(log_fd, play_tracked(), &p.world));
    ck_ok(rp_world_range_add(p.world, range_bytes + 10, sizeof range_bytes - 20, RP_PAGE_EXTRA,
                             "bytes"));
    return p;
}

static void child_makes_a_world(int log_fd, const rp_slot_run *run, shared_entries *out)
{
    play p = child_open(log_fd);
    uint64_t seed = 5;
    for (int i = 0; i < 20; i++) {
        uint8_t *start =
            rp_region_block_alloc(RP_ZONE_WORLD, 20000, RP_BLOCK_PAGES, 1, (uint32_t)(i % 4));
        memset(start, i, 20000);
        if (i % 3 == 0) {
            rp_region_block_free(start);
        }
    }
    for (size_t i = 10; i < sizeof range_bytes - 10; i++) {
        range_bytes[i] = (uint8_t)test_random(&seed);
    }
    child_side side = {.run = run, .out = out};
    ck_ok(rp_world_collect(p.world, child_slots, child_entries, &side));
    play_snapshot snapshot = play_snap(&p);
    out->sum = sum_snapshot(&snapshot);
    _exit(0);
}

static void child_restores_it(int log_fd, const rp_page_slot *entries, size_t count, uint64_t sum)
{
    /* what a fresh process holds before must go: its own blocks, and its globals as initialised */
    memset(range_bytes, 0xee, sizeof range_bytes);
    play p = child_open(log_fd);
    memset(rp_region_block_alloc(RP_ZONE_WORLD, RP_MIB(4), RP_BLOCK_PAGES, 1, 1), 9, RP_MIB(4));
    play_apply(&p, entries, count);
    play_snapshot snapshot = play_snap(&p);
    bool same = sum_snapshot(&snapshot) == sum && rp_region_check(RP_ZONE_WORLD) &&
                range_bytes[0] == 0xee && range_bytes[sizeof range_bytes - 1] == 0xee;
    _exit(same ? 0 : 7);
}

static int wait_for(pid_t child)
{
    int how = 0;
    waitpid(child, &how, 0);
    return WIFEXITED(how) ? WEXITSTATUS(how) : 1000 + WTERMSIG(how);
}

TEST(a_fresh_process_restored_from_the_log_holds_the_same_bytes)
{
    rp_log *log;
    rp_slot_run run;
    size_t count;
    const rp_page_slot *entries;
    shared_entries *out = share();
    ck_ok(rp_log_create(RP_MIB(16), &log));
    ck_ok(rp_log_slots_offer(log, 4000, &run, 1, &count));
    pid_t maker = fork();
    if (maker == 0) {
        child_makes_a_world(rp_log_fd(log), &run, out);
    }
    ck_assert_int_eq(wait_for(maker), 0);
    ck_assert_uint_gt(out->count, 50);
    ck_ok(rp_log_commit(log, &(rp_record_desc){.frame = 0}, out->entries, out->count));
    ck_ok(rp_log_full(log, &entries, &count));
    pid_t taker = fork();
    if (taker == 0) {
        child_restores_it(rp_log_fd(log), entries, count, out->sum);
    }
    ck_assert_int_eq(wait_for(taker), 0);
    rp_os_unmap(out, RP_MIB(1));
    rp_log_destroy(log);
}

static void child_collects_for_ever(int log_fd, const rp_slot_run *run, shared_entries *out, int fd)
{
    play p = child_open(log_fd);
    uint8_t *start = rp_region_block_alloc(RP_ZONE_WORLD, 100 * 4096, RP_BLOCK_PAGES, 1, 0);
    for (uint64_t round = 1;; round++) {
        memset(start, (int)(round % 250) + 1, 100 * 4096);
        child_side side = {.run = run, .out = out};
        out->count = 0;
        ck_ok(rp_world_collect(p.world, child_slots, child_entries, &side));
        if (round == 1 && write(fd, "x", 1) != 1) {
            _exit(1);
        }
    }
}

TEST(a_child_killed_while_it_collects_harms_no_kept_state)
{
    uint64_t seed = test_seed(), hash, expected;
    shared_entries *out = share();
    play *p = play_open(RP_MIB(16), play_tracked());
    uint8_t *start = rp_region_block_alloc(RP_ZONE_WORLD, 50 * 4096, RP_BLOCK_PAGES, 1, 0);
    memset(start, 1, 50 * 4096);
    play_commit_snapped(p);
    ck_ok(rp_log_hash(p->log, 1, &expected));
    for (int i = 0; i < 12; i++) {
        rp_slot_run run;
        size_t count;
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        ck_ok(rp_log_slots_offer(p->log, 200, &run, 1, &count));
        pid_t child = fork();
        if (child == 0) {
            rp_region_destroy(); /* the copy of ours that fork made */
            child_collects_for_ever(rp_log_fd(p->log), &run, out, ends[1]);
        }
        char byte;
        ck_assert_int_eq(read(ends[0], &byte, 1), 1);
        usleep((useconds_t)(test_random(&seed) % 700));
        kill(child, SIGKILL);
        ck_assert_int_eq(wait_for(child), 1000 + SIGKILL);
        close(ends[0]);
        close(ends[1]);
        rp_log_slots_reset(p->log);
        ck_assert(rp_log_check(p->log));
        play_seek(p, 1);
        play_expect_at(p, 1);
    }
    memset(start, 2, 50 * 4096);
    play_commit_snapped(p);
    play_seek(p, 1);
    ck_ok(rp_log_hash(p->log, 1, &hash));
    ck_assert_uint_eq(hash, expected);
    rp_os_unmap(out, RP_MIB(1));
    play_close(p);
}

/* ---- a loaded library
 * ----------------------------------------------------------------------------- */

static const char library_source[] =
    "int counter = 41; long table[3000] = {1, 2, 3}; char big[70000]; _Thread_local int local = "
    "5;\n"
    "int step(int n) { counter += n; table[n % 3000] = counter; big[(n * 997) % 70000] ^= 1;\n"
    "  local += counter; return counter; }\n"
    "int *local_at(void) { return &local; }\n";

static void *build_and_load(char *directory)
{
    char path[300], command[700];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/world.c", directory);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(library_source, file), 0);
    fclose(file);
    snprintf(command, sizeof command, "cc -shared -fPIC -o %s/world.so %s", directory, path);
    ck_assert_int_eq(system(command), 0);
    snprintf(path, sizeof path, "%s/world.so", directory);
    void *library = dlopen(path, RTLD_NOW);
    ck_assert_msg(library != NULL, "%s", dlerror());
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
    return library;
}

/* The writable part behind what the loader made read-only: .data in the file's pages, then .bss in
 * anonymous ones. */
static int find_data(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    rp_os_extent *data = context;
    uintptr_t relro_end = 0;
    if (!strstr(info->dlpi_name, "world.so")) {
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_GNU_RELRO) {
            relro_end = start + header->p_memsz;
        }
        if (header->p_type == PT_LOAD && (header->p_flags & PF_W)) {
            *data = (rp_os_extent){(uint8_t *)start, header->p_memsz};
        }
    }
    size_t skip = relro_end > (uintptr_t)data->start ? relro_end - (uintptr_t)data->start : 0;
    data->start += skip;
    data->size_bytes -= skip;
    return 1;
}

typedef int step_fn(int n);
typedef int *local_fn(void);

static void library_comes_back(rp_tracking tracking)
{
    char directory[] = "/tmp/reprise-world-XXXXXX";
    play *p = play_open(RP_MIB(64), tracking);
    void *library = build_and_load(directory);
    step_fn *step = (step_fn *)(uintptr_t)dlsym(library, "step");
    local_fn *local_at = (local_fn *)(uintptr_t)dlsym(library, "local_at");
    rp_os_extent data = {0};
    ck_assert_int_eq(dl_iterate_phdr(find_data, &data), 1);
    ck_assert_uint_gt(data.size_bytes, 90000);
    ck_ok(rp_world_range_add(p->world, data.start, data.size_bytes, RP_PAGE_EXTRA, "data"));
    ck_ok(rp_world_range_add(p->world, local_at(), sizeof(int), RP_PAGE_EXTRA + 500, "local"));
    int results[60];
    play_commit_snapped(p);
    for (int i = 0; i < 60; i++) {
        results[i] = step(i * 71) + *local_at();
        play_commit_snapped(p);
        ck_assert_uint_le(p->entry_count, 5);
    }
    for (uint64_t index = 61; index > 4; index -= 4) {
        play_seek(p, index);
        play_expect_at(p, index);
    }
    play_seek(p, 1);
    for (int i = 0; i < 60; i++) {
        ck_assert_int_eq(step(i * 71) + *local_at(), results[i]);
    }
    rp_world_stats stats;
    rp_world_stats_get(p->world, &stats);
    ck_assert_uint_eq(stats.lost_count, 0);
    play_close(p);
    dlclose(library);
}

TEST(the_globals_of_a_loaded_library_come_back_where_writes_are_tracked)
{
    library_comes_back(play_tracked());
}

TEST(the_globals_of_a_loaded_library_come_back_where_pages_are_compared)
{
    library_comes_back(RP_TRACKING_COMPARE);
}
