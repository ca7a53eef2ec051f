/* inotify with a table of directories. */
#include "watch.h"

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES = 16 << 10, PATH_BYTES = 1024 };

#define EVENTS                                                                          \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

typedef struct watched {
    int descriptor; /* the kernel's number; -1: free */
    int depth;
    unsigned tags;
    char *path;
} watched;

struct watch {
    int fd;
    watched directories[WATCH_DIRECTORY_MAX];
    size_t at, filled; /* in the buffer */
    alignas(struct inotify_event) char buffer[BUFFER_BYTES];
};

rp_status watch_open(watch **out)
{
    watch *w = malloc(sizeof *w);
    if (!w) {
        return rp_fail(RP_E_MEMORY, "watch: out of memory: close other programs");
    }
    w->at = w->filled = 0;
    for (int i = 0; i < WATCH_DIRECTORY_MAX; i++) {
        w->directories[i] = (watched){.descriptor = -1};
    }
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd < 0) {
        int code = errno;
        free(w);
        return rp_fail_system(code == EMFILE ? RP_E_LIMIT : RP_E_SYSTEM, code,
                              "watch: no inotify instance: raise fs.inotify.max_user_instances");
    }
    *out = w;
    return RP_OK;
}

static void forget(watched *entry)
{
    free(entry->path);
    *entry = (watched){.descriptor = -1};
}

void watch_close(watch *w)
{
    if (!w) {
        return;
    }
    for (int i = 0; i < WATCH_DIRECTORY_MAX; i++) {
        forget(&w->directories[i]);
    }
    close(w->fd);
    free(w);
}

int watch_fd(const watch *w)
{
    return w->fd;
}

const char *watch_path(const watch *w, int id)
{
    return w->directories[id].path;
}

/* ---- the table ------------------------------------------------------------------------------ */

static int id_of(const watch *w, int descriptor)
{
    for (int i = 0; i < WATCH_DIRECTORY_MAX; i++) {
        if (w->directories[i].descriptor == descriptor) {
            return i;
        }
    }
    return -1;
}

static rp_status add_one(watch *w, const char *path, int depth, unsigned tags, int *id)
{
    int descriptor = inotify_add_watch(w->fd, path, EVENTS);
    if (descriptor < 0) {
        int code = errno;
        bool missing = code == ENOENT || code == ENOTDIR;
        return rp_fail_system(missing          ? RP_E_NOT_FOUND
                              : code == ENOSPC ? RP_E_LIMIT
                                               : RP_E_SYSTEM,
                              code, "watch: %s: cannot be watched%s", path,
                              code == ENOSPC ? ": raise fs.inotify.max_user_watches" : "");
    }
    /* The kernel numbers directories, not paths: one that is known has its number again. */
    *id = id_of(w, descriptor);
    if (*id < 0) {
        *id = id_of(w, -1);
        char *copy = *id < 0 ? NULL : strdup(path);
        if (!copy) {
            inotify_rm_watch(w->fd, descriptor);
            return rp_fail(
                RP_E_LIMIT,
                "watch: %s: more than %d directories: name those that hold the sources with "
                "--source",
                path, WATCH_DIRECTORY_MAX);
        }
        w->directories[*id] = (watched){.descriptor = descriptor, .path = copy};
    }
    watched *entry = &w->directories[*id];
    entry->tags |= tags;
    entry->depth = depth > entry->depth ? depth : entry->depth;
    return RP_OK;
}

static bool is_directory(int parent, const struct dirent *entry)
{
    struct stat info;
    if (entry->d_name[0] == '.') {
        return false;
    }
    return entry->d_type == DT_DIR ||
           (entry->d_type == DT_UNKNOWN &&
            fstatat(parent, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(info.st_mode));
}

static rp_status add_below(watch *w, const char *path, int depth, unsigned tags)
{
    DIR *entries = opendir(path);
    rp_status status = RP_OK;
    if (!entries) {
        return RP_OK; /* gone, or not ours to read: nothing below it can be seen */
    }
    for (struct dirent *entry; status == RP_OK && (entry = readdir(entries));) {
        char below[PATH_BYTES];
        rp_text_buffer text = rp_text_buffer_over(below, sizeof below);
        rp_text_add(&text, "%s/%s", path, entry->d_name);
        int id;
        if (is_directory(dirfd(entries), entry)) {
            status = watch_add(w, below, depth - 1, tags, &id);
        }
        if (status == RP_E_NOT_FOUND || status == RP_E_SYSTEM) {
            status = RP_OK;
        }
    }
    closedir(entries);
    return status;
}

rp_status watch_add(watch *w, const char *directory, int depth, unsigned tags, int *id)
{
    rp_status status = add_one(w, directory, depth, tags, id);
    return status == RP_OK && depth > 0 ? add_below(w, directory, depth, tags) : status;
}

/* ---- events --------------------------------------------------------------------------------- */

static const struct inotify_event *next_raw(watch *w)
{
    if (w->at == w->filled) {
        ssize_t got;
        do {
            got = read(w->fd, w->buffer, sizeof w->buffer);
        } while (got < 0 && errno == EINTR);
        w->at = 0;
        w->filled = got > 0 ? (size_t)got : 0;
    }
    if (w->at == w->filled) {
        return NULL;
    }
    const struct inotify_event *raw = (const void *)(w->buffer + w->at);
    w->at += sizeof *raw + raw->len;
    return raw;
}

static watch_change change_of(uint32_t mask)
{
    if (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
        return WATCH_ENDED;
    }
    if ((mask & IN_ISDIR) && (mask & (IN_CREATE | IN_MOVED_TO))) {
        return WATCH_DIRECTORY;
    }
    if (mask & (IN_DELETE | IN_MOVED_FROM)) {
        return WATCH_REMOVED;
    }
    return mask & (IN_CLOSE_WRITE | IN_MOVED_TO) ? WATCH_WRITTEN : WATCH_TOUCHED;
}

/* What appeared in it before the kernel was told to watch has no events: the caller learns of the
 * directory after it is watched. */
static void add_new_directory(watch *w, int parent, const char *name)
{
    const watched *entry = &w->directories[parent];
    char path[PATH_BYTES];
    int id;
    rp_text_buffer text = rp_text_buffer_over(path, sizeof path);
    rp_text_add(&text, "%s/%s", entry->path, name);
    if (entry->depth > 0 && name[0] != '.') {
        (void)watch_add(w, path, entry->depth - 1, entry->tags, &id);
    }
}

bool watch_next(watch *w, watch_event *event)
{
    const struct inotify_event *raw;
    while ((raw = next_raw(w))) {
        *event = (watch_event){.change = WATCH_MISSED, .directory = -1, .name = ""};
        if (raw->mask & IN_Q_OVERFLOW) {
            return true;
        }
        int id = raw->wd < 0 ? -1 : id_of(w, raw->wd);
        if (id < 0) {
            continue; /* of a directory that ended */
        }
        *event = (watch_event){.change = change_of(raw->mask),
                               .directory = id,
                               .tags = w->directories[id].tags,
                               .name = raw->len ? raw->name : ""};
        if (event->change == WATCH_ENDED) {
            inotify_rm_watch(w->fd, raw->wd); /* one that was moved is still watched */
            forget(&w->directories[id]);
        } else if (event->change == WATCH_DIRECTORY) {
            add_new_directory(w, id, raw->name);
        }
        return true;
    }
    return false;
}
