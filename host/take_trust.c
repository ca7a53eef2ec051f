#include "take_trust.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/sha256.h>
#include <base/text.h>
#include <errno.h>
#include <fcntl.h>
#include <os/os.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, LIST_MOST_BYTES = 16 << 20, TEXT_BYTES = 2 * RP_SHA256_BYTES };

static rp_status folder_path(char *path, size_t capacity)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    rp_text_buffer text = rp_text_buffer_over(path, capacity);
    if (state && state[0] == '/') {
        rp_text_add(&text, "%s/reprise", state);
    } else if (home && home[0] == '/') {
        rp_text_add(&text, "%s/.local/state/reprise", home);
    } else {
        return rp_fail(RP_E_NOT_FOUND, "builds: no place for the list of known builds: set HOME");
    }
    return RP_OK;
}

rp_status take_trust_path(char *path, size_t capacity)
{
    char folder[PATH_BYTES];
    rp_status status = folder_path(folder, sizeof folder);
    rp_text_buffer text = rp_text_buffer_over(path, capacity);
    rp_text_add(&text, "%s/builds", folder);
    return status;
}

static void digest_text(const void *bytes, size_t size_bytes, char text[TEXT_BYTES + 1])
{
    uint8_t digest[RP_SHA256_BYTES];
    rp_sha256(bytes, size_bytes, digest);
    for (int i = 0; i < RP_SHA256_BYTES; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
}

/* Whether a line of the list begins with the digest. */
static bool is_listed(const char *path, const char *digest)
{
    rp_os_bytes list;
    if (rp_os_file_read(path, LIST_MOST_BYTES, &list)) {
        return false;
    }
    bool found = false;
    for (const char *line = (const char *)list.data; line && *line && !found;) {
        found = strncmp(line, digest, TEXT_BYTES) == 0 && line[TEXT_BYTES] == ' ';
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    rp_os_file_free(&list);
    return found;
}

bool take_trust_knows(const void *bytes, size_t size_bytes)
{
    char path[PATH_BYTES], digest[TEXT_BYTES + 1];
    if (take_trust_path(path, sizeof path)) {
        return false;
    }
    digest_text(bytes, size_bytes, digest);
    return is_listed(path, digest);
}

static void folders_make(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
}

rp_status take_trust_add(const void *bytes, size_t size_bytes, const char *build_id,
                         const char *name)
{
    char path[PATH_BYTES], digest[TEXT_BYTES + 1], line[512];
    rp_status status = take_trust_path(path, sizeof path);
    if (status) {
        return status;
    }
    digest_text(bytes, size_bytes, digest);
    if (is_listed(path, digest)) {
        return RP_OK;
    }
    rp_text_buffer text = rp_text_buffer_over(line, sizeof line - 1);
    rp_text_add(&text, "%s %s %s", digest, build_id[0] ? build_id : "-", name);
    size_t length = strcspn(line, "\n\r"); /* a name with a line's end would make another line */
    line[length++] = '\n';
    folders_make(path);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool wrote = fd >= 0 && write(fd, line, length) == (ssize_t)length;
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    return wrote ? RP_OK
                 : rp_fail_system(RP_E_SYSTEM, why,
                                  "builds: %s: cannot be written: takes of this build will need "
                                  "--trust",
                                  path);
}
