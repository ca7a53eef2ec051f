/* Writers, content and kinds of files. */
#include "builds_file.h"

#include "base/bits.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define HASHED_MAX_BYTES RP_MIB(256)

/* A read lease is granted only while nobody has the file open for writing, mappings included:
 * fcntl(2). Should a writer come in the moment that it is held, the kernel would send SIGIO, which
 * kills; SIGURG is ignored by default. */
bool builds_file_has_writer(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return false;
    }
    bool writer =
        fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) < 0 && errno == EAGAIN;
    close(fd); /* gives the lease back */
    return writer;
}

uint64_t builds_file_hash(const char *path)
{
    rp_os_bytes bytes;
    if (rp_os_file_read(path, HASHED_MAX_BYTES, &bytes) != RP_OK) {
        return 0;
    }
    uint64_t hash = XXH3_64bits(bytes.data, bytes.size_bytes);
    rp_os_file_free(&bytes);
    return hash;
}

bool builds_file_is_source(const char *name)
{
    static const char *const names[] = {"Makefile", "CMakeLists.txt"};
    static const char *const endings[] = {".c", ".h", ".cpp", ".hpp", ".cc", ".inl"};
    if (name[0] == '.' || name[0] == '#') { /* what editors keep beside a file */
        return false;
    }
    for (size_t i = 0; i < RP_COUNT_OF(names); i++) {
        if (!strcmp(name, names[i])) {
            return true;
        }
    }
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < RP_COUNT_OF(endings); i++) {
        if (!strcmp(dot, endings[i])) {
            return true;
        }
    }
    return false;
}
