/* What the kernel tells of directories, as events of ours. */
#include "watch.h"

#include "base/bits.h"
#include "support/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];
static watch *w;
static watch_event event;

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[512], line[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "cd %s && %s", directory, command);
    ck_assert_msg(system(line) == 0, "%s", line);
}

static int begin(int depth)
{
    int id;
    strcpy(directory, "/tmp/rp-watch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    run("mkdir -p in/a/b .hidden other");
    ck_ok(watch_open(&w));
    ck_ok(watch_add(w, directory, depth, 5, &id));
    return id;
}

static void end(void)
{
    watch_close(w);
    run("rm -rf %s", directory);
}

/* Whether this change of this file is among what has happened; forgets all of it. */
static bool happened(watch_change change, const char *name)
{
    bool found = false;
    while (watch_next(w, &event)) {
        found = found || (event.change == change && !strcmp(event.name, name));
    }
    return found;
}

static void nothing_happened(void)
{
    bool came = watch_next(w, &event);
    ck_assert_msg(!came, "%d %s", event.change, event.name);
}

TEST(writing_moving_and_removing_are_told_apart)
{
    int id = begin(0);
    run("echo x > f");
    ck_assert(watch_next(w, &event));
    ck_assert_int_eq(event.change, WATCH_TOUCHED);
    ck_assert_int_eq(event.directory, id);
    ck_assert_uint_eq(event.tags, 5);
    ck_assert_str_eq(event.name, "f");
    ck_assert_str_eq(watch_path(w, id), directory);
    ck_assert(happened(WATCH_WRITTEN, "f"));
    run("mv f g");
    ck_assert(happened(WATCH_WRITTEN, "g"));
    run("mv g other/");
    ck_assert(happened(WATCH_REMOVED, "g"));
    run("mv other/g g && rm g");
    ck_assert(happened(WATCH_REMOVED, "g"));
    nothing_happened();
    end();
}

TEST(depth_is_kept_for_directories_that_come_later)
{
    begin(2);
    run("touch in/a/f in/a/b/too_deep .hidden/f");
    ck_assert(watch_next(w, &event));
    ck_assert_str_eq(event.name, "f");
    while (watch_next(w, &event)) {
        ck_assert_str_eq(event.name, "f");
    }
    run("mkdir in/new && touch in/new/f");
    ck_assert(happened(WATCH_DIRECTORY, "new"));
    run("touch in/new/g && mkdir in/new/deep");
    ck_assert(happened(WATCH_WRITTEN, "g"));
    run("touch in/new/deep/too_deep");
    ck_assert(!happened(WATCH_WRITTEN, "too_deep"));
    end();
}

TEST(a_directory_added_again_keeps_its_number_and_gets_more_tags)
{
    int again, id = begin(0);
    ck_ok(watch_add(w, directory, 0, 2, &again));
    ck_assert_int_eq(again, id);
    run("touch f");
    ck_assert(watch_next(w, &event));
    ck_assert_uint_eq(event.tags, 7);
    end();
}

TEST(a_directory_that_goes_away_ends_and_can_be_added_again)
{
    int id;
    char path[96];
    begin(0);
    snprintf(path, sizeof path, "%s/other", directory);
    ck_ok(watch_add(w, path, 0, 1, &id));
    run("rmdir other");
    ck_assert(happened(WATCH_ENDED, ""));
    ck_assert_int_eq(watch_add(w, path, 0, 1, &id), RP_E_NOT_FOUND);
    run("mkdir other");
    ck_ok(watch_add(w, path, 0, 1, &id));
    run("mv other moved && touch moved/f");
    bool ended = false;
    while (watch_next(w, &event)) {
        ended = ended || event.change == WATCH_ENDED;
        ck_assert_str_ne(event.name, "f");
    }
    ck_assert(ended);
    end();
}

TEST(links_are_not_followed_into_circles)
{
    begin(0);
    run("ln -s .. in/up && ln -s . in/here");
    int id;
    ck_ok(watch_add(w, directory, 40, 1, &id));
    end();
}

TEST(more_directories_than_can_be_watched_are_said_so)
{
    int id;
    begin(0);
    run("mkdir $(seq 1 %d)", WATCH_DIRECTORY_MAX + 1);
    ck_assert_int_eq(watch_add(w, directory, 1, 1, &id), RP_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "--source"));
    end();
}

TEST(lost_events_are_told)
{
    begin(0);
    bool missed = false;
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    int most = 0;
    ck_assert_int_eq(fscanf(limit, "%d", &most), 1);
    fclose(limit);
    for (int i = 0; i < most; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%d", directory, i % 2);
        fclose(fopen(path, "w"));
    }
    while (watch_next(w, &event)) {
        missed = missed || event.change == WATCH_MISSED;
    }
    ck_assert(missed);
    end();
}
