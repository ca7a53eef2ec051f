/* Proves a range of addresses in a process of the kind that is asked about: reserves it, compares
 * where it lies, commits the first, a middle and the last MiB, writes, copies, and reads and writes
 * through it by system calls. See answer.h.
 *
 * Built three times: as a library for LD_PRELOAD, which proves in the program's own process, before
 * its main and instead of it; and as a static program and a static position-independent one, for
 * programs that load no libraries.
 *
 * It calls mmap, memcpy, read and write by their names, so that a sanitizer's versions are used
 * where there are some, allocates nothing, and passes them static memory alone: in a program under
 * MemorySanitizer the stack may count as uninitialised.
 */
#include "prover/answer.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1 << 20, PIECE = 4096, MAPS_BYTES = 1 << 20 };

static prove_answer answer;
static int ends[2];

static int fail(prove_result result)
{
    answer.result = result;
    answer.system_code = errno;
    return 0;
}

/* A quarter, a sixteenth as the region does it, where a limit forbids more. */
static unsigned char *reserve(void)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *wanted = (void *)(uintptr_t)answer.base, *got;
    do {
        got = mmap(wanted, answer.size_bytes, PROT_NONE, flags, -1, 0);
    } while (got == MAP_FAILED && errno == ENOMEM && (answer.size_bytes /= 4) >= 256 * (size_t)MIB);
    if (got == MAP_FAILED) {
        fail(errno == EEXIST ? PROVE_TAKEN : errno == ENOMEM ? PROVE_LIMIT : PROVE_SYSTEM);
        return NULL;
    }
    if (got != wanted) {
        answer.got = (uintptr_t)got;
        munmap(got, answer.size_bytes);
        fail(PROVE_MOVED);
        return NULL;
    }
    return got;
}

static unsigned char pattern(size_t i, size_t part)
{
    return (unsigned char)(i * 31 + (i >> 8) + part * 7 + 1);
}

static int holds(const unsigned char *at, size_t part)
{
    for (size_t i = 0; i < MIB; i++) {
        if (at[i] != pattern(i, part)) {
            return 0;
        }
    }
    return 1;
}

static int write_part(unsigned char *at, size_t part)
{
    if (mprotect(at, MIB, PROT_READ | PROT_WRITE) != 0) {
        return fail(PROVE_SYSTEM);
    }
    for (size_t i = 0; i < MIB; i++) {
        if (at[i]) {
            return fail(PROVE_BYTES); /* fresh memory reads as zero */
        }
        at[i] = pattern(i, part);
    }
    return holds(at, part) || fail(PROVE_BYTES);
}

static int through_a_pipe(const unsigned char *from, unsigned char *to)
{
    for (size_t at = 0; at < MIB; at += PIECE) {
        if (write(ends[1], from + at, PIECE) != PIECE || read(ends[0], to + at, PIECE) != PIECE) {
            return fail(PROVE_SYSTEM);
        }
    }
    return 1;
}

static int use(unsigned char *base)
{
    unsigned char *parts[3] = {base, base + answer.size_bytes / 2, base + answer.size_bytes - MIB};
    for (size_t i = 0; i < 3; i++) {
        if (!write_part(parts[i], i)) {
            return 0;
        }
    }
    memcpy(parts[2], parts[0], MIB);
    if (!holds(parts[2], 0) || memcmp(parts[1], parts[2], MIB) == 0) {
        return fail(PROVE_BYTES);
    }
    if (!through_a_pipe(parts[1], parts[0])) {
        return 0;
    }
    return (holds(parts[0], 1) && holds(parts[2], 0)) || fail(PROVE_BYTES);
}

static void prove(void)
{
    unsigned char *base = reserve();
    if (!base) {
        return;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        fail(PROVE_SYSTEM);
    } else {
        if (use(base)) {
            answer.result = PROVE_GOOD;
        }
        close(ends[0]);
        close(ends[1]);
    }
    munmap(base, answer.size_bytes);
}

/* Takes the question apart; returns the executable's path, null where nothing is asked. */
static const char *question(void)
{
    char *text = getenv(PROVE_VARIABLE), *end;
    if (!text) {
        return NULL;
    }
    answer.base = strtoull(text, &end, 16);
    if (*end != ':') {
        return NULL;
    }
    answer.size_bytes = strtoull(end + 1, &end, 16);
    return *end == ':' ? end + 1 : NULL;
}

static _Noreturn void answer_and_end(void)
{
    answer.magic = PROVE_MAGIC;
    answer.process = (uint32_t)getpid();
    prove();
    _exit(write(PROVE_ANSWER_FD, &answer, sizeof answer) == sizeof answer ? 0 : 1);
}

#ifdef PROVE_PRELOADED

static char maps[MAPS_BYTES];

/* By the maps and not by /proc/self/exe, which valgrind answers itself. Not so in a shell that is
 * to start the program: there nothing is proved yet. */
static int runs_in(const char *executable)
{
    size_t length = strlen(executable), filled = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    ssize_t got = 0;
    while (fd >= 0 && filled < sizeof maps - 1 &&
           (got = read(fd, maps + filled, sizeof maps - 1 - filled)) > 0) {
        filled += (size_t)got;
    }
    if (fd >= 0) {
        close(fd);
    }
    const char *at = maps;
    while ((at = strstr(at, executable)) != NULL) {
        if (at > maps && at[-1] == ' ' && at[length] == '\n') {
            return 1;
        }
        at += length;
    }
    return 0;
}

__attribute__((constructor)) static void at_start(void)
{
    const char *executable = question();
    if (executable && runs_in(executable)) {
        answer_and_end();
    }
}

#else

int main(void)
{
    if (!question()) {
        return 2;
    }
    answer_and_end();
}

#endif
