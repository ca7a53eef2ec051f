/* Where control sockets are, and which of them live. */
#include "base/error.h"
#include "base/text.h"
#include "control/control.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SUFFIX ".sock"
enum { SOCKET_PATH_BYTES = sizeof((struct sockaddr_un *)0)->sun_path, LISTED_MAX = 16 };

static rp_status check_name(const char *name)
{
    size_t length = strlen(name);
    bool good = length > 0 && length < CONTROL_NAME_BYTES && name[0] != '.';
    for (size_t i = 0; i < length; i++) {
        good = good && name[i] != '/' && (unsigned char)name[i] >= ' ' && name[i] != 0x7f;
    }
    return good ? RP_OK
                : rp_fail(RP_E_ARGUMENT,
                          "control: \"%.64s\" cannot be a name: 1 to %d bytes without '/', "
                          "not beginning with '.': choose another with --name",
                          name, CONTROL_NAME_BYTES - 1);
}

static rp_status own_directory(const char *path)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        return rp_fail_system(RP_E_SYSTEM, errno, "control: cannot make %s", path);
    }
    struct stat info;
    if (lstat(path, &info) < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno, "control: cannot look at %s", path);
    }
    if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid()) {
        return rp_fail(
            RP_E_BUSY,
            "control: %s: is no directory of this user: remove it, or set XDG_RUNTIME_DIR to a "
            "directory of your own",
            path);
    }
    if (info.st_mode & 077) {
        return rp_fail(RP_E_BUSY, "control: %s: others may enter it: chmod 700 %s", path, path);
    }
    return RP_OK;
}

static rp_status directory_of_sockets(char *path, size_t capacity)
{
    rp_text_buffer text = rp_text_buffer_over(path, capacity);
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime && runtime[0] == '/' && access(runtime, W_OK | X_OK) == 0) {
        rp_text_add(&text, "%s/reprise", runtime);
    } else {
        rp_text_add(&text, "/tmp/reprise-%u", (unsigned)geteuid());
    }
    return own_directory(path);
}

rp_status control_path(const char *name, char *path, size_t capacity)
{
    char directory[SOCKET_PATH_BYTES];
    rp_status status = check_name(name);
    if (status == RP_OK) {
        status = directory_of_sockets(directory, sizeof directory);
    }
    if (status != RP_OK) {
        return status;
    }
    size_t length = strlen(directory) + 1 + strlen(name) + strlen(SUFFIX);
    if (length >= capacity || length >= sizeof directory) {
        return rp_fail(RP_E_RANGE,
                       "control: %s/%s%s: too long for a socket: choose a shorter --name",
                       directory, name, SUFFIX);
    }
    rp_text_buffer text = rp_text_buffer_over(path, capacity);
    rp_text_add(&text, "%s/%s%s", directory, name, SUFFIX);
    return RP_OK;
}

/* Only connect(2) tells a socket that somebody listens to from one that was left behind. */
bool control_lives(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !rp_text_copy(address.sun_path, sizeof address.sun_path, path)) {
        return fd < 0; /* nothing is known: nothing may be taken over */
    }
    bool dead = connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 &&
                (errno == ECONNREFUSED || errno == ENOENT);
    close(fd);
    return !dead;
}

/* "game.sock" → "game"; false: no socket's name. */
static bool name_of_file(const char *file, char name[CONTROL_NAME_BYTES])
{
    size_t length = strlen(file), suffix = strlen(SUFFIX);
    if (length <= suffix || length - suffix >= CONTROL_NAME_BYTES ||
        strcmp(file + length - suffix, SUFFIX) != 0) {
        return false;
    }
    memcpy(name, file, length - suffix);
    name[length - suffix] = 0;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

int control_list(char names[][CONTROL_NAME_BYTES], int capacity)
{
    char directory[SOCKET_PATH_BYTES], path[SOCKET_PATH_BYTES];
    DIR *entries =
        directory_of_sockets(directory, sizeof directory) == RP_OK ? opendir(directory) : NULL;
    int count = 0;
    if (!entries) {
        return 0;
    }
    for (struct dirent *entry; count < capacity && (entry = readdir(entries));) {
        if (name_of_file(entry->d_name, names[count]) &&
            control_path(names[count], path, sizeof path) == RP_OK && control_lives(path)) {
            count++;
        }
    }
    closedir(entries);
    qsort(names, (size_t)count, sizeof names[0], compare_names);
    return count;
}

static rp_status the_only_one(const char *who, char *name)
{
    char names[LISTED_MAX][CONTROL_NAME_BYTES], list[256];
    int count = control_list(names, LISTED_MAX);
    rp_text_buffer text = rp_text_buffer_over(list, sizeof list);
    for (int i = 0; i < count; i++) {
        rp_text_add(&text, "%s%s", i ? ", " : "", names[i]);
    }
    if (count == 0) {
        return rp_fail(RP_E_NOT_FOUND,
                       "%s: nobody there: no program runs: start one with `reprise run`", who);
    }
    if (count > 1) {
        return rp_fail(RP_E_ARGUMENT,
                       "%s: %d programs run: which one is not clear: give --name, one of %s", who,
                       count, list);
    }
    memcpy(name, names[0], CONTROL_NAME_BYTES);
    return RP_OK;
}

rp_status control_choose(const char *who, const char *name, const char *socket, char *path,
                         size_t capacity)
{
    char only[CONTROL_NAME_BYTES];
    if (socket && name) {
        return rp_fail(RP_E_ARGUMENT, "%s: a name and --socket: both say who is meant: give one",
                       who);
    }
    if (socket) {
        return rp_text_copy(path, capacity, socket)
                   ? RP_OK
                   : rp_fail(RP_E_RANGE, "%s: --socket: too long: give a shorter path", who);
    }
    rp_status status = name ? RP_OK : the_only_one(who, only);
    return status ? status : control_path(name ? name : only, path, capacity);
}
