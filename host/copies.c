#include "copies.h"

#include <base/bits.h>
#include <base/error.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "reprise-XXXXXX"
enum { PREFIX_BYTES = sizeof "reprise-" - 1 };

/* The names that mkdtemp and mkostemp make of "reprise-XXXXXX". */
static bool is_made_name(const char *name)
{
    if (strlen(name) != sizeof FOLDER - 1 || strncmp(name, FOLDER, PREFIX_BYTES) != 0) {
        return false;
    }
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    return strspn(name + PREFIX_BYTES, letters) == sizeof FOLDER - 1 - PREFIX_BYTES;
}

/* "build-000001.so", and what a copy is called while it is written (rp_os_file_write). */
static bool is_copy(const char *name)
{
    size_t length = strlen(name);
    bool whole = length > 9 && strncmp(name, "build-", 6) == 0 && !strcmp(name + length - 3, ".so");
    return whole || (name[0] == '.' && is_made_name(name + 1));
}

static void copies_remove(int folder)
{
    int again = dup(folder);
    DIR *entries = again >= 0 ? fdopendir(again) : NULL;
    if (!entries) {
        close(again);
        return;
    }
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (is_copy(entry->d_name)) {
            unlinkat(folder, entry->d_name, 0);
        }
    }
    closedir(entries);
}

/* A descriptor that holds the folder's lock; -1: its host lives, or it is none of ours. */
static int folder_take(int place, const char *name)
{
    struct stat info;
    int folder = openat(place, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) {
        return -1;
    }
    bool ours = fstat(folder, &info) == 0 && info.st_uid == geteuid() &&
                (info.st_mode & 07777) == 0700 && flock(folder, LOCK_EX | LOCK_NB) == 0;
    if (!ours) {
        close(folder);
        return -1;
    }
    return folder;
}

static void dead_clear(const char *path)
{
    DIR *place = opendir(path);
    for (struct dirent *entry; place && (entry = readdir(place));) {
        int folder = is_made_name(entry->d_name) ? folder_take(dirfd(place), entry->d_name) : -1;
        if (folder >= 0) {
            copies_remove(folder);
            unlinkat(dirfd(place), entry->d_name, AT_REMOVEDIR); /* fails where more is in it */
            close(folder);
        }
    }
    if (place) {
        closedir(place);
    }
}

/* Between making and locking it another host may clear the folder away: then it has no name any
 * more. */
static bool folder_make(const char *place, copies *c)
{
    struct stat info;
    for (int tries = 0; tries < 8; tries++) {
        snprintf(c->path, sizeof c->path, "%s/" FOLDER, place);
        if (!mkdtemp(c->path)) {
            return false;
        }
        c->lock = folder_take(AT_FDCWD, c->path);
        if (c->lock >= 0 && fstat(c->lock, &info) == 0 && info.st_nlink > 0) {
            return true;
        }
        if (c->lock >= 0) {
            close(c->lock);
        }
        rmdir(c->path);
    }
    return false;
}

rp_status copies_open(copies *c)
{
    const char *places[] = {getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/tmp"};
    int why = 0;
    for (size_t i = 0; i < RP_COUNT_OF(places); i++) {
        if (!places[i] || strlen(places[i]) + sizeof "/" FOLDER > sizeof c->path) {
            continue;
        }
        dead_clear(places[i]);
        if (folder_make(places[i], c)) {
            return RP_OK;
        }
        why = errno;
    }
    *c = (copies){.lock = -1};
    return rp_fail_system(RP_E_SYSTEM, why,
                          "run: no place for copies of the builds: make room in /tmp, or set "
                          "XDG_RUNTIME_DIR to a folder of yours");
}

void copies_close(copies *c)
{
    if (!c->path[0]) {
        return;
    }
    copies_remove(c->lock);
    rmdir(c->path);
    close(c->lock);
    *c = (copies){.lock = -1};
}
