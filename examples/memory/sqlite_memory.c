/* SQLite on a heap of its own: sqlite3_mem_methods over an rp_allocator.
 *
 * Every byte of every connection lies in one heap with a cap and a name. A query that wants more
 * gets SQLITE_NOMEM and the connection goes on. At the end the heap is walked to show that SQLite
 * has given all of it back.
 */
#include <reprise/memory.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { CAP_BYTES = 8 << 20 };

static rp_allocator *heap;

static void *allocate(int size_bytes)
{
    return rp_alloc(heap, (size_t)size_bytes);
}

static void *resize(void *block, int size_bytes)
{
    return rp_resize(heap, block, (size_t)size_bytes);
}

static int size(void *block)
{
    return (int)rp_usable_bytes(block);
}

static int round_up(int size_bytes)
{
    return (size_bytes + 15) & ~15;
}

static int start(void *unused)
{
    (void)unused;
    heap = rp_heap_create(&(rp_heap_desc){.name = "sqlite", .cap_bytes = CAP_BYTES});
    return heap ? SQLITE_OK : SQLITE_NOMEM;
}

static void stop(void *unused)
{
    (void)unused;
    rp_allocator_destroy(heap);
    heap = NULL;
}

/* Before anything else of SQLite's. */
static int use_our_memory(void)
{
    sqlite3_mem_methods methods = {
        .xMalloc = allocate,
        .xFree = rp_free,
        .xRealloc = resize,
        .xSize = size,
        .xRoundup = round_up,
        .xInit = start,
        .xShutdown = stop,
    };
    int failed = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    return failed ? failed : sqlite3_initialize();
}

static void print_statistics(const char *when)
{
    rp_alloc_stats stats;
    rp_stats_get(heap, &stats);
    printf("%-14s %5llu blocks, %5llu KiB live; SQLite says %5lld KiB\n", when,
           (unsigned long long)stats.live_count, (unsigned long long)stats.live_bytes >> 10,
           (long long)sqlite3_memory_used() >> 10);
}

static int print_row(void *unused, int count, char **values, char **names)
{
    (void)unused;
    for (int i = 0; i < count; i++) {
        printf("%s = %s\n", names[i], values[i]);
    }
    return 0;
}

static int run(sqlite3 *database, const char *statement)
{
    char *message = NULL;
    int code = sqlite3_exec(database, statement, print_row, NULL, &message);
    if (code != SQLITE_OK) {
        printf("%s\n", message ? message : sqlite3_errstr(code));
    }
    sqlite3_free(message);
    return code;
}

static int count_block(void *block, size_t size_bytes, void *context)
{
    (void)block, (void)size_bytes;
    ++*(int *)context;
    return 0;
}

static int use_database(void)
{
    sqlite3 *database;
    if (sqlite3_open(":memory:", &database) != SQLITE_OK) {
        return 1;
    }
    print_statistics("opened");
    int failed = run(database,
                     "create table t (n integer, s text);"
                     "with recursive c(n) as (select 1 union all select n + 1 from c limit 20000)"
                     "  insert into t select n, 'row ' || n from c;"
                     "select count(*) as rows, sum(n) as total, max(length(s)) as longest from t;");
    print_statistics("20000 rows");
    failed |= run(database, "select length(zeroblob(100000000) || 'x') as never;") != SQLITE_NOMEM;
    failed |= run(database, "select n, s from t where n = 19999;");
    sqlite3_close(database);
    return failed;
}

int main(void)
{
    if (rp_memory_open(NULL) != RP_OK || use_our_memory() != SQLITE_OK) {
        fprintf(stderr, "sqlite_memory: %s\n", rp_error_last()->text);
        return EXIT_FAILURE;
    }
    int failed = use_database(), left = 0;
    rp_walk(heap, count_block, &left);
    printf("closed: %d blocks are left\n", left);
    sqlite3_shutdown();
    rp_memory_close();
    return failed || left ? EXIT_FAILURE : EXIT_SUCCESS;
}
