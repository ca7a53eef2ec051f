#include "resume.h"
#include "recording.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/sha256.h>
#include <base/text.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <os/os.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_NS UINT64_C(1000000000)
#define TAKE_MOST_BYTES RP_MIB(128)

/* ---- the folder ---- */

static rp_status own_folder(const char *path)
{
    struct stat info;
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        return rp_fail_system(RP_E_SYSTEM, errno, "resume: cannot make %s", path);
    }
    if (lstat(path, &info) < 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid() ||
        info.st_mode & 077) {
        return rp_fail(RP_E_SYSTEM,
                       "resume: %s: is no folder of yours alone: remove it, or chmod 700 it", path);
    }
    return RP_OK;
}

/* One module file, one folder: where it lies counts, not how it was named. */
static rp_status project_text(const char *module, char *text, size_t capacity)
{
    char real[4096], folder[4096];
    const char *slash = strrchr(module, '/'), *name = slash ? slash + 1 : module;
    rp_text_buffer path = rp_text_buffer_over(folder, sizeof folder);
    rp_text_add(&path, "%.*s", slash ? (int)(slash - module + 1) : 2, slash ? module : "./");
    if (!realpath(folder, real)) {
        return rp_fail_system(RP_E_SYSTEM, errno, "resume: %s: cannot be found", folder);
    }
    uint8_t digest[RP_SHA256_BYTES];
    path = rp_text_buffer_over(folder, sizeof folder);
    rp_text_add(&path, "%s/%s", real, name);
    rp_sha256(folder, strlen(folder), digest);
    rp_text_buffer to = rp_text_buffer_over(text, capacity);
    rp_text_add(&to, "%.32s-", name);
    for (int i = 0; i < 8; i++) {
        rp_text_add(&to, "%02x", digest[i]);
    }
    return RP_OK;
}

static rp_status folder_make(resume *r, const char *project)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    rp_text_buffer path = rp_text_buffer_over(r->folder, sizeof r->folder);
    if (runtime && runtime[0] == '/' && access(runtime, W_OK | X_OK) == 0) {
        rp_text_add(&path, "%s/reprise", runtime);
    } else {
        rp_text_add(&path, "/dev/shm/reprise-%u", (unsigned)geteuid());
    }
    rp_status status = own_folder(r->folder);
    rp_text_add(&path, "/resume");
    status = status ? status : own_folder(r->folder);
    rp_text_add(&path, "/%s", project);
    if (!status && path.length + sizeof "/state-00000000.take" >= sizeof r->folder) {
        status = rp_fail(RP_E_RANGE,
                         "resume: %s: too long a path: set XDG_RUNTIME_DIR to a "
                         "shorter one",
                         r->folder);
    }
    return status ? status : own_folder(r->folder);
}

static uint32_t number_of(const char *name)
{
    unsigned number;
    int end = 0;
    bool whole = sscanf(name, "state-%8u.take%n", &number, &end) == 1 && end > 0 && !name[end];
    return whole ? number : 0;
}

static void path_of(const resume *r, uint32_t number, char *path, size_t capacity)
{
    rp_text_buffer text = rp_text_buffer_over(path, capacity);
    rp_text_add(&text, "%s/state-%08u.take", r->folder, number);
}

/* The highest number below `below`; 0: none. */
static uint32_t number_below(const resume *r, uint32_t below)
{
    uint32_t highest = 0;
    DIR *folder = opendir(r->folder);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        uint32_t number = number_of(entry->d_name);
        highest = number < below && number > highest ? number : highest;
    }
    if (folder) {
        closedir(folder);
    }
    return highest;
}

/* What a take is called before it has its name, of a host that was killed. */
static void unnamed_remove(const resume *r)
{
    DIR *folder = opendir(r->folder);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.' && strncmp(entry->d_name, ".reprise-", 9) == 0) {
            unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    if (folder) {
        closedir(folder);
    }
}

rp_status resume_open(resume *r, const char *module)
{
    char project[64];
    const char *most = getenv("REPRISE_RESUME_BYTES"); /* for tests: another take begins early */
    *r = (resume){.lock = -1, .most_bytes = most ? strtoull(most, NULL, 10) : TAKE_MOST_BYTES};
    rp_status status = project_text(module, project, sizeof project);
    status = status ? status : folder_make(r, project);
    if (!status) {
        r->lock = open(r->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (r->lock < 0 || flock(r->lock, LOCK_EX | LOCK_NB) != 0) {
            status = rp_fail_system(RP_E_BUSY, errno,
                                    "resume: %s: another host runs this module with --resume: end "
                                    "it (reprise ctl quit), or run without",
                                    r->folder);
        }
    }
    if (status) {
        if (r->lock >= 0) {
            close(r->lock);
        }
        *r = (resume){.lock = -1};
        return status;
    }
    unnamed_remove(r);
    r->number = number_below(r, UINT32_MAX);
    return RP_OK;
}

bool resume_next(const resume *r, uint32_t *number, char *path, size_t capacity)
{
    *number = number_below(r, *number ? *number : UINT32_MAX);
    path_of(r, *number, path, capacity);
    return *number != 0;
}

/* ---- recording ---- */

static void older_remove(resume *r)
{
    char path[RESUME_PATH_BYTES];
    for (uint32_t number = r->number; (number = number_below(r, number));) {
        path_of(r, number, path, sizeof path);
        unlink(path);
    }
    r->older = false;
}

rp_status resume_record(resume *r, session *s)
{
    r->number++;
    path_of(r, r->number, r->path, sizeof r->path);
    const recording_desc desc = {.path = r->path, .replace = true};
    rp_status status = recording_open(s, SESSION_RECORDING_RESUME, &desc);
    if (!status) {
        r->older = true; /* the new one has its first frame, and its name */
    }
    return status;
}

rp_status resume_tend(resume *r, session *s)
{
    recording_status stats = {0};
    struct stat info;
    uint64_t now_ns = rp_os_monotonic_ns();
    if (!r->folder[0] || r->failed || now_ns - r->looked_ns < LOOK_NS) {
        return RP_OK;
    }
    r->looked_ns = now_ns;
    if (s->recordings[SESSION_RECORDING_RESUME]) {
        recording_status_get(s->recordings[SESSION_RECORDING_RESUME], &stats);
    }
    rp_status status = stats.status;
    if (status) {
        status = recording_close(s, SESSION_RECORDING_RESUME, false); /* with its text */
    } else if (r->older) {
        older_remove(r);
    } else if (stat(r->path, &info) == 0 && (uint64_t)info.st_size > r->most_bytes) {
        status = recording_close(s, SESSION_RECORDING_RESUME, true);
        status = status ? status : resume_record(r, s);
    }
    r->failed = status != RP_OK;
    return status;
}

void resume_close(resume *r, session *s)
{
    if (!r->folder[0]) {
        return;
    }
    recording_close(s, SESSION_RECORDING_RESUME, true);
    if (r->older && !r->failed) {
        older_remove(r);
    }
    close(r->lock);
    *r = (resume){.lock = -1};
}
