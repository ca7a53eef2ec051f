/* Deciding when there is a new build, and when to make one. */
#include "builds.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "build_command.h"
#include "builds_file.h"
#include "module/types.h"
#include "os/os.h"
#include "watch.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define DEBOUNCE_NS (3 * MS)         /* the events of one save come together */
#define SOURCE_DEBOUNCE_NS (10 * MS) /* an editor renames, writes and renames */
#define RETRY_FIRST_NS (5 * MS)
#define RETRY_LAST_NS (200 * MS)
#define REWATCH_NS (200 * MS)  /* while the module's directory is missing */
#define GONE_NS (300 * MS)     /* linkers remove the old file before they write the new one */
#define CUT_OFF_NS (2000 * MS) /* nobody writes to it and it is still not whole */
#define BUSY_LOOK_NS (2 * MS)  /* while a build is read by the thread */
#define NEVER UINT64_MAX
#define APART_BYTES (4 << 20) /* reading that much takes longer than a frame has */

enum { SOURCE_DEPTH = 4, EVENT_MAX = 4, HASH_SLOTS = 256, ERROR_BYTES = 480 };
enum { TAG_MODULE = 1, TAG_SOURCES = 2, TAG_LISTED = 4 };

typedef struct listed_file {
    int directory;
    char *name;
} listed_file;

typedef struct source_hash {
    uint64_t path, content;
} source_hash;

/* One look at the module's file, on the caller's thread or on one of its own. */
typedef struct build_reading {
    const char *module;
    char copy[BUILDS_PATH_BYTES];
    bool with_types; /* of a large build they are read here, not at the first plan */
    rp_elf *elf;
    bool has_writer;
    rp_status status;
    char why[ERROR_BYTES];
    uint64_t noticed_ns;
    uint32_t done; /* set last, by the thread */
} build_reading;

struct builds {
    char *module, *directory, *name, *command_text, *copies;
    watch *watch;
    int directory_id; /* of the module's directory; -1: it is missing */
    uint64_t rewatch_ns;
    /* the module's file */
    uint64_t check_ns, noticed_ns, retry_ns, missing_ns;
    uint64_t good, bad; /* hashes of what was said to be new, and bad; 0: nothing */
    bool complained;    /* the last word about the file was BUILDS_BAD */
    bool any_name;      /* the module is a link: what it points to may lie in the directory */
    unsigned copy_count;
    rp_os_thread reader; /* runs while a large build is read */
    build_reading reading;
    /* the sources */
    uint64_t start_ns; /* of the command; NEVER: nothing changed */
    bool running, changed_meanwhile;
    listed_file listed[BUILDS_SOURCE_MAX];
    int listed_count;
    source_hash hashes[HASH_SLOTS]; /* of the sources seen, by path; one gives way to another */
    build_command command;
    /* what is to be told */
    builds_event events[EVENT_MAX];
    int event_count, event_at;
    char bad_text[ERROR_BYTES], output[BUILD_COMMAND_TEXT_BYTES];
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static builds_event *add_event(builds *b, builds_event_kind kind)
{
    RP_ASSERT(b->event_count < EVENT_MAX);
    builds_event *event = &b->events[b->event_count++];
    *event = (builds_event){.kind = kind, .text = ""};
    return event;
}

/* ---- the module's file ---------------------------------------------------------------------- */

static void notice_module(builds *b, uint64_t now)
{
    b->check_ns = earlier(b->check_ns, now + DEBOUNCE_NS);
    b->noticed_ns = now;
    b->retry_ns = RETRY_FIRST_NS;
}

static void complain(builds *b, rp_status status, uint64_t key)
{
    if (b->bad == key) {
        return;
    }
    rp_text_copy(b->bad_text, sizeof b->bad_text, rp_error_last()->text);
    builds_event *event = add_event(b, BUILDS_BAD);
    event->status = status;
    event->text = b->bad_text;
    b->bad = key;
    b->complained = true;
}

/* Not whole yet: looks again after the next event, or a little later, since the events of a mapping
 * do not exist. A file that nobody writes any more is said to be cut off. */
static void wait_for_the_rest(builds *b, bool has_writer, uint64_t now)
{
    if (!has_writer && now - b->noticed_ns > CUT_OFF_NS) {
        rp_fail(RP_E_INCOMPLETE, "%s: is cut off: nobody writes to it any more: build it again",
                b->module);
        complain(b, RP_E_INCOMPLETE, builds_file_hash(b->module) ^ (uint64_t)RP_E_INCOMPLETE);
        return;
    }
    b->check_ns = now + b->retry_ns;
    b->retry_ns = earlier(b->retry_ns * 2, RETRY_LAST_NS);
}

static void wait_for_its_return(builds *b, uint64_t now)
{
    if (b->running || b->start_ns != NEVER || b->command.exit_code) {
        return; /* the command will make it, or has said why it could not */
    }
    b->missing_ns = earlier(b->missing_ns, now);
    if (now - b->missing_ns < GONE_NS) {
        b->check_ns = b->missing_ns + GONE_NS;
        return;
    }
    rp_fail(RP_E_NOT_FOUND, "%s: does not exist: build it: it is picked up as soon as it is there",
            b->module);
    complain(b, RP_E_NOT_FOUND, (uint64_t)RP_E_NOT_FOUND);
}

static void take_build(builds *b, build_reading *reading)
{
    rp_elf *elf = reading->elf;
    const char *copy = reading->copy;
    if (elf->content_hash == b->good) {
        if (b->complained) {
            add_event(b, BUILDS_BACK);
        }
        rp_elf_close(elf);
        unlink(copy);
    } else {
        builds_event *event = add_event(b, BUILDS_NEW);
        event->elf = elf;
        event->complete_ns = reading->noticed_ns;
        rp_text_copy(event->copy_path, sizeof event->copy_path, copy);
        b->good = elf->content_hash;
        b->copy_count++;
    }
    b->complained = false;
    b->bad = 0;
}

/* A writer before and none after, or the other way round, may have torn what was read in between.
 */
static void read_build(void *context)
{
    build_reading *r = context;
    r->has_writer = builds_file_has_writer(r->module);
    r->status = r->has_writer ? RP_E_INCOMPLETE : rp_elf_open(r->module, r->copy, &r->elf);
    if (r->status == RP_OK && builds_file_has_writer(r->module)) {
        rp_elf_close(r->elf);
        r->elf = NULL;
        unlink(r->copy);
        r->has_writer = true;
        r->status = RP_E_INCOMPLETE;
    } else if (r->status != RP_OK) {
        rp_text_copy(r->why, sizeof r->why, rp_error_last()->text);
        unlink(r->copy); /* it may be there in part */
    }
    const type_table *types;
    if (r->status == RP_OK && r->with_types) {
        (void)rp_types_of(r->elf, &types); /* a failure is met again, and told, at the plan */
    }
    __atomic_store_n(&r->done, 1, __ATOMIC_RELEASE);
}

static bool is_link(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
}

/* What came of a look at the module's file. */
static void finish_reading(builds *b, uint64_t now)
{
    build_reading *r = &b->reading;
    if (r->status == RP_E_NOT_FOUND) {
        wait_for_its_return(b, now);
        return;
    }
    b->missing_ns = NEVER;
    if (r->status == RP_OK) {
        take_build(b, r);
    } else if (r->status == RP_E_INCOMPLETE) {
        wait_for_the_rest(b, r->has_writer, now);
    } else {
        uint64_t key = builds_file_hash(b->module) ^ (uint64_t)r->status;
        rp_fail(r->status, "%s", r->why);
        complain(b, r->status, key);
    }
}

static bool is_large(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && info.st_size >= APART_BYTES;
}

/* A large build is read by a thread, and frames go on meanwhile. */
static void check_module(builds *b, uint64_t now)
{
    b->reading = (build_reading){
        .module = b->module, .noticed_ns = b->noticed_ns, .with_types = is_large(b->module)};
    rp_text_buffer text = rp_text_buffer_over(b->reading.copy, sizeof b->reading.copy);
    rp_text_add(&text, "%s/build-%06u.so", b->copies, b->copy_count + 1);
    b->check_ns = NEVER;
    b->any_name = is_link(b->module);
    bool apart =
        b->reading.with_types && rp_os_thread_start(&b->reader, read_build, &b->reading) == RP_OK;
    if (!apart) {
        read_build(&b->reading);
        finish_reading(b, now);
    }
}

/* What was noticed while it was read is looked at next. */
static void poll_reader(builds *b, uint64_t now)
{
    if (rp_os_thread_is_here(&b->reader) && __atomic_load_n(&b->reading.done, __ATOMIC_ACQUIRE)) {
        rp_os_thread_join(&b->reader);
        b->reader = (rp_os_thread){0};
        uint64_t noticed = b->check_ns;
        finish_reading(b, now);
        b->check_ns = earlier(b->check_ns, noticed);
    }
}

/* ---- the sources and the command ------------------------------------------------------------ */

/* Keeps the content's hash; true where it is known to be the same as before. */
static bool is_unchanged(builds *b, const watch_event *event)
{
    char path[PATH_MAX];
    rp_text_buffer text = rp_text_buffer_over(path, sizeof path);
    rp_text_add(&text, "%s/%s", watch_path(b->watch, event->directory), event->name);
    uint64_t key = 14695981039346656037u; /* FNV-1a */
    for (const char *c = path; *c; c++) {
        key = (key ^ (uint8_t)*c) * 1099511628211u;
    }
    source_hash *slot = &b->hashes[key % HASH_SLOTS];
    source_hash now = {key, builds_file_hash(path)};
    bool same = slot->path == now.path && slot->content == now.content;
    *slot = now;
    return same;
}

static bool is_source(const builds *b, const watch_event *event)
{
    if ((event->tags & TAG_SOURCES) && builds_file_is_source(event->name)) {
        return true;
    }
    for (int i = 0; i < b->listed_count; i++) {
        if (b->listed[i].directory == event->directory && !strcmp(b->listed[i].name, event->name)) {
            return true;
        }
    }
    return false;
}

static void source_changed(builds *b, uint64_t now)
{
    if (b->running) {
        b->changed_meanwhile = true;
    } else if (b->command_text) {
        b->start_ns = now + SOURCE_DEBOUNCE_NS;
    }
}

/* While the command runs, what goes away and what is written again as it was may be its own doing.
 */
static void source_event(builds *b, const watch_event *event, uint64_t now)
{
    if (event->change == WATCH_DIRECTORY) {
        if (!b->running && (event->tags & TAG_SOURCES) && event->name[0] != '.') {
            source_changed(b, now);
        }
        return;
    }
    if (event->change == WATCH_TOUCHED || !is_source(b, event)) {
        return;
    }
    bool same = event->change == WATCH_WRITTEN && is_unchanged(b, event);
    if (!b->running || (event->change == WATCH_WRITTEN && !same)) {
        source_changed(b, now);
    }
}

static void start_command(builds *b)
{
    b->start_ns = NEVER;
    b->changed_meanwhile = false;
    rp_status status = build_command_start(&b->command, b->command_text);
    b->running = status == RP_OK;
    if (b->running) {
        add_event(b, BUILDS_RUNNING);
        return;
    }
    rp_text_copy(b->output, sizeof b->output, rp_error_last()->text);
    builds_event *event = add_event(b, BUILDS_FAILED);
    event->exit_code = 127;
    event->text = b->output;
}

static void command_ended(builds *b, uint64_t now)
{
    b->running = false;
    notice_module(b, now);
    if (b->changed_meanwhile) {
        source_changed(b, now);
    }
    if (!b->command.exit_code) {
        add_event(b, BUILDS_DONE);
        return;
    }
    builds_event *event = add_event(b, BUILDS_FAILED);
    event->exit_code = b->command.exit_code;
    event->text = b->output;
    if (!build_command_text(&b->command, b->output, sizeof b->output)) {
        rp_text_buffer text = rp_text_buffer_over(b->output, sizeof b->output);
        rp_text_add(&text, "build: ended with %d and said nothing: run it by hand: %s",
                    event->exit_code, b->command_text);
    }
}

/* ---- what happened since -------------------------------------------------------------------- */

static void watch_module_directory(builds *b, uint64_t now)
{
    b->rewatch_ns = NEVER;
    if (watch_add(b->watch, b->directory, 0, TAG_MODULE, &b->directory_id) == RP_OK) {
        notice_module(b, now);
    } else {
        b->directory_id = -1;
        b->rewatch_ns = now + REWATCH_NS;
    }
}

static void take_watch_event(builds *b, const watch_event *event, uint64_t now)
{
    if (event->change == WATCH_MISSED) {
        notice_module(b, now);
        source_changed(b, now);
        return;
    }
    bool of_module = event->directory == b->directory_id;
    if (event->change == WATCH_ENDED) {
        if (of_module) {
            notice_module(b, now);
            watch_module_directory(b, now);
        }
        return;
    }
    if (of_module && (b->any_name || !strcmp(event->name, b->name))) {
        notice_module(b, now);
        if (event->change == WATCH_WRITTEN) { /* its writer is done: nothing to wait for */
            b->check_ns = now;
        }
    }
    source_event(b, event, now);
}

/* The command's end is seen before the events are read and told after: those that its own writing
 * caused are all there then, and count as its own. */
static void look(builds *b)
{
    uint64_t now = rp_os_monotonic_ns();
    watch_event event;
    bool ended = build_command_poll(&b->command);
    while (watch_next(b->watch, &event)) {
        take_watch_event(b, &event, now);
    }
    if (ended) {
        command_ended(b, now);
    }
    if (now >= b->rewatch_ns) {
        watch_module_directory(b, now);
    }
    poll_reader(b, now);
    if (now >= b->check_ns && !rp_os_thread_is_here(&b->reader)) {
        check_module(b, now);
    }
    if (now >= b->start_ns && !b->running) {
        start_command(b);
    }
}

bool builds_poll(builds *b, builds_event *event)
{
    if (b->event_at == b->event_count) {
        b->event_at = b->event_count = 0;
        look(b);
    }
    if (b->event_at == b->event_count) {
        return false;
    }
    *event = b->events[b->event_at++];
    return true;
}

int builds_fds(const builds *b, int *fds, int capacity)
{
    const int all[BUILDS_FD_MAX] = {watch_fd(b->watch), b->command.ended, b->command.output};
    int count = 0;
    for (int i = 0; i < BUILDS_FD_MAX && count < capacity; i++) {
        if (all[i] >= 0) {
            fds[count++] = all[i];
        }
    }
    return count;
}

int builds_timeout_ms(const builds *b)
{
    uint64_t next = earlier(b->check_ns, b->rewatch_ns);
    if (!b->running) {
        next = earlier(next, b->start_ns);
    }
    if (b->event_at < b->event_count) {
        return 0;
    }
    uint64_t now = rp_os_monotonic_ns();
    if (rp_os_thread_is_here(&b->reader)) {
        next =
            earlier(earlier(b->rewatch_ns, b->running ? NEVER : b->start_ns), now + BUSY_LOOK_NS);
    }
    return next == NEVER ? -1 : next <= now ? 0 : (int)((next - now + MS - 1) / MS);
}

/* ---- opening and closing -------------------------------------------------------------------- */

/* "a/b.so" → "a" and "b.so"; "b.so" → "." and "b.so". False: out of memory. */
static bool split_path(const char *path, char **directory, char **name)
{
    const char *slash = strrchr(path, '/');
    *name = strdup(slash ? slash + 1 : path);
    *directory = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    return *name && *directory;
}

static rp_status watch_listed_file(builds *b, const char *path)
{
    if (b->listed_count == BUILDS_SOURCE_MAX) {
        return rp_fail(RP_E_LIMIT, "builds: more than %d source files: name their directories",
                       BUILDS_SOURCE_MAX);
    }
    listed_file *file = &b->listed[b->listed_count];
    char *directory;
    if (!split_path(path, &directory, &file->name)) {
        free(directory);
        return rp_fail(RP_E_MEMORY, "builds: out of memory: close other programs");
    }
    rp_status status = watch_add(b->watch, directory, 0, TAG_LISTED, &file->directory);
    b->listed_count++;
    free(directory);
    return status;
}

static rp_status watch_source(builds *b, const char *path)
{
    struct stat info;
    int id;
    if (stat(path, &info) < 0) {
        return rp_fail(RP_E_NOT_FOUND,
                       "builds: %s: no such source: name a file or directory that exists", path);
    }
    return S_ISDIR(info.st_mode) ? watch_add(b->watch, path, SOURCE_DEPTH, TAG_SOURCES, &id)
                                 : watch_listed_file(b, path);
}

static rp_status watch_sources(builds *b, const builds_desc *desc)
{
    rp_status status = RP_OK;
    int id;
    if (!desc->source_count) {
        status = watch_add(b->watch, b->directory, SOURCE_DEPTH, TAG_SOURCES, &id);
        return status == RP_E_NOT_FOUND ? RP_OK : status; /* the command may make it */
    }
    for (int i = 0; status == RP_OK && i < desc->source_count; i++) {
        status = watch_source(b, desc->source_paths[i]);
    }
    return status;
}

static rp_status copy_names(builds *b, const builds_desc *desc)
{
    b->module = strdup(desc->module_path);
    b->copies = strdup(desc->copy_directory);
    b->command_text = desc->build_command ? strdup(desc->build_command) : NULL;
    if (!split_path(desc->module_path, &b->directory, &b->name) || !b->module || !b->copies ||
        (desc->build_command && !b->command_text)) {
        return rp_fail(RP_E_MEMORY, "builds: out of memory: close other programs");
    }
    if (strlen(desc->copy_directory) + sizeof "/build-000000.so" > BUILDS_PATH_BYTES) {
        return rp_fail(RP_E_RANGE, "builds: %s: too long for the copies: choose a shorter one",
                       desc->copy_directory);
    }
    return b->name[0] ? RP_OK
                      : rp_fail(RP_E_ARGUMENT, "builds: %s: is no file's name: name the module",
                                b->module);
}

rp_status builds_open(const builds_desc *desc, builds **out)
{
    builds *b = calloc(1, sizeof *b);
    if (!b) {
        return rp_fail(RP_E_MEMORY, "builds: out of memory: close other programs");
    }
    build_command_init(&b->command);
    b->check_ns = b->start_ns = b->rewatch_ns = b->missing_ns = NEVER;
    rp_status status = copy_names(b, desc);
    if (status == RP_OK) {
        status = watch_open(&b->watch);
    }
    if (status == RP_OK && b->command_text) {
        status = watch_sources(b, desc);
    }
    if (status != RP_OK) {
        builds_close(b);
        return status;
    }
    uint64_t now = rp_os_monotonic_ns();
    watch_module_directory(b, now);
    b->check_ns = b->noticed_ns = now;
    if (b->command_text && access(b->module, F_OK) < 0) {
        b->start_ns = now;
    }
    *out = b;
    return RP_OK;
}

void builds_close(builds *b)
{
    if (!b) {
        return;
    }
    build_command_stop(&b->command);
    if (rp_os_thread_is_here(&b->reader)) {
        rp_os_thread_join(&b->reader);
        rp_elf_close(b->reading.elf);
    }
    for (; b->event_at < b->event_count; b->event_at++) {
        rp_elf_close(b->events[b->event_at].elf);
    }
    for (int i = 0; i < b->listed_count; i++) {
        free(b->listed[i].name);
    }
    watch_close(b->watch);
    free(b->module);
    free(b->directory);
    free(b->name);
    free(b->command_text);
    free(b->copies);
    free(b);
}
