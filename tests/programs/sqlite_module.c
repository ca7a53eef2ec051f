/* SQLite, as Debian ships it, as a module: a database in memory and prepared statements that live
 * as long as the run. Each frame inserts, updates, deletes, and asks for sums; several hundred rows
 * stay.
 */
#include <reprise/draw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUCKETS = 32, INSERTS_A_FRAME = 12, KEPT_FRAMES = 40 };

enum { INSERT, UPDATE, DELETE, SUMS, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    "INSERT INTO item(frame, bucket, value, label) VALUES(?1, ?2, ?3, printf('%d/%d', ?1, ?2))",
    "UPDATE item SET value = (value * 31 + ?1) % 10007, label = label || '+' WHERE bucket = ?2",
    "DELETE FROM item WHERE frame <= ?1",
    "SELECT bucket, sum(value), count(*), max(length(label)) FROM item GROUP BY 1 ORDER BY 1",
};

static sqlite3 *database;
static sqlite3_stmt *statements[STATEMENTS];
static uint64_t random_state = 88172645463325252u;

static void must(int code, int wanted)
{
    if (code != wanted) {
        fprintf(stderr, "sqlite_module: %s\n", sqlite3_errmsg(database));
        abort();
    }
}

static int random_below(int bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int)(random_state % (uint64_t)bound);
}

static void run(int which, int a, int b, int c)
{
    sqlite3_stmt *statement = statements[which];
    int count = sqlite3_bind_parameter_count(statement), values[] = {a, b, c};
    for (int i = 0; i < count; i++) {
        must(sqlite3_bind_int(statement, i + 1, values[i]), SQLITE_OK);
    }
    must(sqlite3_step(statement), SQLITE_DONE);
    must(sqlite3_reset(statement), SQLITE_OK);
}

void rp_module_start(rp_stage *stage)
{
    rp_stage_set_title(stage, "SQLite");
    must(sqlite3_open(":memory:", &database), SQLITE_OK);
    must(sqlite3_exec(database,
                      "CREATE TABLE item(id INTEGER PRIMARY KEY, frame INT, bucket INT, value INT,"
                      " label TEXT); CREATE INDEX item_bucket ON item(bucket, value)",
                      NULL, NULL, NULL),
         SQLITE_OK);
    for (int i = 0; i < STATEMENTS; i++) {
        must(sqlite3_prepare_v2(database, texts[i], -1, &statements[i], NULL), SQLITE_OK);
    }
}

static void draw_sums(rp_canvas *canvas)
{
    int code, rows = 0;
    sqlite3_int64 total = 0;
    char text[64];
    rp_clear(canvas, 0x10241c);
    while ((code = sqlite3_step(statements[SUMS])) == SQLITE_ROW) {
        int bucket = sqlite3_column_int(statements[SUMS], 0);
        float tall = (float)sqlite3_column_int(statements[SUMS], 1) / 900.0f;
        rp_fill(canvas, (float)bucket * 10, 178 - tall, 9, tall,
                0x40c080u + 3u * (uint32_t)sqlite3_column_int(statements[SUMS], 3));
        total += sqlite3_column_int64(statements[SUMS], 1);
        rows += sqlite3_column_int(statements[SUMS], 2);
    }
    must(code, SQLITE_DONE);
    must(sqlite3_reset(statements[SUMS]), SQLITE_OK);
    snprintf(text, sizeof text, "rows %d  sum %lld", rows, (long long)total);
    rp_text(canvas, 4, 4, 1, 0xffffff, text);
}

void rp_module_step(rp_stage *stage)
{
    int frame = (int)stage->frame;
    must(sqlite3_exec(database, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < INSERTS_A_FRAME; i++) {
        int bucket = random_below(BUCKETS);
        run(INSERT, frame, bucket, random_below(10007));
    }
    run(UPDATE, frame, random_below(BUCKETS), 0);
    run(DELETE, frame - KEPT_FRAMES, 0, 0);
    int undo = frame % 10 == 0; /* the rollback journal is part of the state, too */
    must(sqlite3_exec(database, undo ? "ROLLBACK" : "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    draw_sums(stage->canvas);
}

void rp_module_stop(rp_stage *stage)
{
    (void)stage;
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(statements[i]);
    }
    must(sqlite3_close(database), SQLITE_OK);
}
