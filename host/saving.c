/* See saving.h. */
#include "saving.h"
#include "take_parts.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <errno.h>
#include <fcntl.h>
#include <os/os.h>
#include <region/region.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <take/frames.h>
#include <unistd.h>

enum { TELL_RECORDS = 32, POLITENESS = 5 };

/* ---- in the process of its own ----------------------------------------------------------------
 */

typedef struct writing {
    session *s;
    const saving_desc *desc;
    int told;
    rp_take_file file;
    rp_take_writer *writer;
    rp_take_array list;
    rp_take_frames_result frames;
    saving_status status;
} writing;

/* Written at once or not at all: it is smaller than PIPE_BUF. A full pipe loses an update, which
 * the next one makes good. */
static void tell(const writing *w)
{
    _Static_assert(sizeof w->status <= 4096, "PIPE_BUF");
    while (write(w->told, &w->status, sizeof w->status) < 0 && errno == EINTR) {
    }
}

static rp_status file_write(void *context, const rp_take_part *part, const char *path)
{
    return rp_take_writer_file_at(((writing *)context)->writer, part, path);
}

static rp_status build_write(void *context, uint32_t number)
{
    writing *w = context;
    rp_take_build build;
    take_build_fill(w->s, number, &build);
    rp_status status = rp_take_writer_build(w->writer, &build);
    return status ? status : take_build_files(w->s, number, file_write, w);
}

/* The objects, with a build in place of the one that runs. */
static rp_status objects_write(void *context, uint32_t number)
{
    writing *w = context;
    rp_take_objects head;
    w->list.used_bytes = 0;
    rp_status status = take_objects_list(w->s, &w->s->live, number, &w->list, &head);
    return status ? status
                  : rp_take_writer_record(w->writer, RP_TAKE_OBJECTS, &head, NULL, 0, w->list.data,
                                          w->list.used_bytes);
}

static rp_status ranges_write(writing *w)
{
    rp_take_ranges head;
    w->list.used_bytes = 0;
    rp_status status = take_ranges_list(w->s, &w->list, &head);
    return status ? status
                  : rp_take_writer_record(w->writer, RP_TAKE_RANGES, &head, NULL, 0, w->list.data,
                                          w->list.used_bytes);
}

/* ---- frames ---- */

static rp_status checks_write(writing *w, const rp_record *record)
{
    rp_take_checks head;
    w->list.used_bytes = 0;
    rp_status status = take_checks_list(w->s, record->frame, record->build, &w->list, &head);
    return status || !head.count ? status
                                 : rp_take_writer_record(w->writer, RP_TAKE_CHECKS, &head, NULL, 0,
                                                         w->list.data, w->list.used_bytes);
}

static void progress_note(writing *w)
{
    rp_take_writer_stats stats;
    rp_take_writer_stats_get(w->writer, &stats);
    w->status.done_records = w->frames.done_records;
    w->status.thin = w->frames.thin;
    w->status.first_frame = w->frames.first_frame;
    w->status.last_frame = w->frames.last_frame;
    w->status.written_bytes = stats.written_bytes;
}

static rp_status frame_written(void *context, const rp_record *record)
{
    writing *w = context;
    if (w->frames.frames % TELL_RECORDS == 0) {
        progress_note(w);
        tell(w);
    }
    return checks_write(w, record);
}

static rp_status ends_write(writing *w)
{
    const session *s = w->s;
    rp_status status = RP_OK;
    if (w->desc->looping && rp_loop_is_set(&s->loop)) {
        rp_take_loop loop = {.from = s->loop.from, .to = s->loop.to, .flags = 1};
        status = rp_take_writer_loop(w->writer, &loop);
    }
    for (size_t i = 0; !status && i < s->bookmarks.count; i++) {
        const bookmark *mark = &s->bookmarks.items[i];
        rp_take_bookmark record = {.frame = mark->frame};
        rp_text_copy(record.name, sizeof record.name, mark->name);
        if (mark->frame >= w->frames.first_frame && mark->frame <= w->frames.last_frame) {
            status = rp_take_writer_bookmark(w->writer, &record);
        }
    }
    if (!status && w->desc->failed) {
        rp_take_crash crash;
        w->list.used_bytes = 0;
        status = take_crash_fill(s, &w->list, &crash);
        status = status
                     ? status
                     : rp_take_writer_crash(w->writer, &crash, w->desc->input, w->desc->input_bytes,
                                            (const char *)w->list.data, w->list.used_bytes);
    }
    return status;
}

static rp_status writer_begin(writing *w)
{
    rp_take_environment environment;
    take_environment_fill(w->s, &environment);
    rp_take_writer_desc desc = {.sink = rp_take_file_sink(&w->file),
                                .region_base = RP_REGION_BASE,
                                .created_wall_ns = rp_os_wall_ns(),
                                .environment = &environment};
    rp_status status = rp_take_array_init(&w->list, RP_MIB(64));
    status = status ? status : rp_take_writer_open(&desc, &w->writer);
    return status ? status : ranges_write(w);
}

/* All builds stand before any frame: a host that is killed may leave its copies of them to be
 * cleared away. */
static rp_status write_all(writing *w, uint64_t first, uint64_t last)
{
    const rp_take_frames_desc desc = {.log = w->s->log,
                                      .writer = w->writer,
                                      .first = first,
                                      .last = last,
                                      .build = objects_write,
                                      .after = frame_written,
                                      .context = w};
    w->status.all_records = last - first + 1;
    rp_status status = rp_take_frames_builds(w->s->log, first, last, build_write, w);
    status = status ? status : rp_take_frames_write(&desc, &w->frames);
    status = status ? status : ends_write(w);
    status = status ? status : rp_take_writer_finish(w->writer);
    progress_note(w);
    return status;
}

/* What is inherited but not needed would keep sockets, locks and pipes of the host alive: a runner
 * would not notice that the host is gone. */
static void leave_everything(int told, int stream)
{
    unsigned low = (unsigned)(told < stream ? told : stream);
    unsigned high = (unsigned)(told < stream ? stream : told);
    close_range(STDERR_FILENO + 1, low - 1, 0);
    close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0u, 0);
}

static _Noreturn void child(writing *w, uint64_t first, uint64_t last)
{
    signal(SIGINT, SIG_IGN); /* of the host's terminal */
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    leave_everything(w->told, w->file.stream.fd);
    (void)!nice(POLITENESS);
    rp_status status = writer_begin(w);
    status = status ? status : write_all(w, first, last);
    if (status) {
        rp_text_copy(w->status.text, sizeof w->status.text, rp_error_last()->text);
        rp_take_file_close(&w->file); /* takes what was begun away */
    }
    w->status.status = status;
    w->status.done = true;
    int flags = fcntl(w->told, F_GETFL);
    fcntl(w->told, F_SETFL, flags & ~O_NONBLOCK);
    tell(w);
    _exit(status != RP_OK);
}

/* ---- in the host ------------------------------------------------------------------------------
 */

static rp_status fork_it(saving *v, writing *w, uint64_t first, uint64_t last)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK)) {
        return rp_fail_system(RP_E_SYSTEM, errno, "take: no pipe for the process that saves");
    }
    w->told = pipe_fds[1];
    pid_t pid = fork();
    if (pid == 0) {
        child(w, first, last);
    }
    int error = errno;
    close(pipe_fds[1]);
    if (pid < 0) {
        close(pipe_fds[0]);
        return rp_fail_system(RP_E_SYSTEM, error, "take: no process that saves can be made");
    }
    v->pid = pid;
    v->told = pipe_fds[0];
    return RP_OK;
}

rp_status saving_start(saving *v, session *s, const saving_desc *desc)
{
    uint64_t first = 0, last = 0;
    writing *w = calloc(1, sizeof *w);
    if (!w) {
        return rp_fail(RP_E_MEMORY, "take: no memory to save");
    }
    *w = (writing){.s = s, .desc = desc};
    rp_status status = RP_OK;
    if (v->pid) {
        status = rp_fail(RP_E_BUSY, "take: %s is being written: wait for it", v->path);
    } else if (!session_has_world(s) ||
               !rp_take_frames_find(s->log, desc->from_frame, UINT64_MAX, &first, &last)) {
        status = rp_fail(RP_E_RANGE, "take: no frame is kept from %llu on: nothing can be saved",
                         (unsigned long long)desc->from_frame);
    } else if (!rp_text_copy(v->path, sizeof v->path, desc->path)) {
        status = rp_fail(RP_E_ARGUMENT, "take: the path is too long: %.80s…", desc->path);
    }
    status = status ? status : rp_take_file_create(&w->file, v->path, false);
    if (!status) {
        rp_log_hold(s->log);
        status = fork_it(v, w, first, last);
        if (status) {
            rp_error why = *rp_error_last();
            rp_log_let_go(s->log);
            rp_take_file_close(&w->file);
            rp_fail(why.status, "%s", why.text);
        } else {
            close(w->file.stream.fd); /* the other process has it, and takes care of its name */
            v->log = s->log;
            v->status = (saving_status){0};
        }
    }
    free(w);
    return status;
}

static void updates_take(saving *v)
{
    saving_status status;
    while (read(v->told, &status, sizeof status) == sizeof status) {
        v->status = status;
        v->status.text[sizeof status.text - 1] = 0;
    }
}

static void ended(saving *v, const session *s, int how)
{
    updates_take(v);
    close(v->told);
    if (v->log == s->log) { /* else it went with its world */
        rp_log_let_go(s->log);
    }
    v->pid = 0;
    v->log = NULL;
    if (!v->status.done) {
        v->status.done = true;
        v->status.status = RP_E_DIED;
        snprintf(v->status.text, sizeof v->status.text,
                 "take: the process that saves ended by signal %d: save again",
                 WIFSIGNALED(how) ? WTERMSIG(how) : 0);
    }
}

bool saving_poll(saving *v, const session *s)
{
    int how;
    if (!v->pid) {
        return false;
    }
    updates_take(v);
    if (waitpid(v->pid, &how, WNOHANG) != v->pid) {
        return false;
    }
    ended(v, s, how);
    return true;
}

void saving_wait(saving *v, const session *s)
{
    int how = 0;
    if (v->pid) {
        while (waitpid(v->pid, &how, 0) < 0 && errno == EINTR) {
        }
        ended(v, s, how);
    }
}

void saving_cancel(saving *v, const session *s)
{
    if (v->pid) {
        kill(v->pid, SIGKILL);
        saving_wait(v, s);
    }
}
