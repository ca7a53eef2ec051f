/* `reprise new DIR`: writes the templates that the command carries inside itself. */
#include "cmd_new.h"

#include "base/error.h"
#include "embed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: reprise new DIR\n"
    "\n"
    "Writes a small project into DIR, which must not exist, or be empty: a game of one file, a\n"
    "Makefile, a CMakeLists.txt and a README.md.\n"
    "\n"
    "  --help  this text\n"
    "\n"
    "exit codes: 0 done   1 could not be done   2 wrong usage\n"
    "\n"
    "example:\n"
    "  reprise new hello && cd hello && reprise run ./game.so --build make\n";

typedef struct project {
    const char *path;
    int directory;
    bool made; /* the directory was made here */
    int written;
} project;

static rp_status check_empty(int directory, const char *path)
{
    int copy = dup(directory);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (!list) {
        rp_status failed = rp_fail_system(RP_E_SYSTEM, errno, "new: %s cannot be read", path);
        if (copy >= 0) {
            close(copy);
        }
        return failed;
    }
    struct dirent *entry;
    do {
        entry = readdir(list);
    } while (entry && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")));
    rp_status status = RP_OK;
    if (entry) {
        status = rp_fail(RP_E_TAKEN, "new: %s: is not empty, it holds %s: name a new directory",
                         path, entry->d_name);
    }
    closedir(list);
    return status;
}

static rp_status open_project(project *p)
{
    if (mkdir(p->path, 0777) == 0) {
        p->made = true;
    } else if (errno != EEXIST) {
        return rp_fail_system(RP_E_SYSTEM, errno, "new: %s cannot be made", p->path);
    }
    p->directory = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->directory < 0 && errno == ENOTDIR) {
        return rp_fail(RP_E_TAKEN, "new: %s: is a file: name a new directory", p->path);
    }
    if (p->directory < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno, "new: %s cannot be opened", p->path);
    }
    return check_empty(p->directory, p->path);
}

static bool write_all(int fd, const unsigned char *bytes, size_t size_bytes)
{
    while (size_bytes) {
        ssize_t wrote = write(fd, bytes, size_bytes);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return false;
        }
        bytes += wrote;
        size_bytes -= (size_t)wrote;
    }
    return true;
}

static rp_status write_file(project *p, const embed_file *file)
{
    /* O_EXCL: a file that appeared since the directory was looked at is somebody's. */
    int fd = openat(p->directory, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno, "new: %s/%s cannot be made", p->path, file->name);
    }
    p->written++;
    bool whole = write_all(fd, file->bytes, file->size_bytes);
    int code = errno;
    if (close(fd) != 0 && whole) {
        whole = false;
        code = errno;
    }
    return whole ? RP_OK
                 : rp_fail_system(RP_E_SYSTEM, code, "new: %s/%s cannot be written", p->path,
                                  file->name);
}

static void take_away(const project *p)
{
    for (int i = 0; i < p->written; i++) {
        unlinkat(p->directory, new_files[i].name, 0);
    }
    if (p->made) {
        rmdir(p->path);
    }
}

static rp_status write_project(const char *path)
{
    project p = {.path = path, .directory = -1};
    rp_status status = open_project(&p);
    for (int i = 0; status == RP_OK && i < new_files_count; i++) {
        status = write_file(&p, &new_files[i]);
    }
    if (status != RP_OK) {
        take_away(&p);
    }
    if (p.directory >= 0) {
        close(p.directory);
    }
    return status;
}

/* A path that can be pasted into a shell. */
static void print_quoted(const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+,-";
    if (*path == '-') {
        fputs("./", stdout);
    }
    if (path[strspn(path, plain)] == 0) {
        fputs(path, stdout);
        return;
    }
    putchar('\'');
    for (; *path; path++) {
        fputs(*path == '\'' ? "'\\''" : (const char[]){*path, 0}, stdout);
    }
    putchar('\'');
}

int cmd_new(int argc, char **argv)
{
    const char *path = NULL;
    bool options = true;
    for (int i = 1; i < argc; i++) {
        if (options && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))) {
            fputs(usage, stdout);
            return 0;
        }
        if (options && !strcmp(argv[i], "--")) {
            options = false;
        } else if (path || !*argv[i] || (options && argv[i][0] == '-')) {
            fprintf(stderr, "reprise: new: %s is not understood: see reprise new --help\n",
                    *argv[i] ? argv[i] : "an empty name");
            return 2;
        } else {
            path = argv[i];
        }
    }
    if (!path) {
        fprintf(stderr, "reprise: new: no directory given: type reprise new DIR\n");
        return 2;
    }
    if (write_project(path) != RP_OK) {
        fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
        return 1;
    }
    fputs("Now type:\n  cd ", stdout);
    print_quoted(path);
    puts("\n  reprise run ./game.so --build make");
    return 0;
}
