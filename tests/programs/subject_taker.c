/* A program to be surveyed that maps into the region's addresses. Words: file (its own), late (just
 * before it ends). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    void *wanted = (void *)(uintptr_t)0x550000100000;
    int fd = strcmp(word, "file") == 0 ? open(argv[0], O_RDONLY) : -1;
    int flags = MAP_PRIVATE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0);
    if (strcmp(word, "late") == 0) {
        usleep(200000);
    }
    return mmap(wanted, 1 << 16, PROT_READ, flags, fd, 0) == MAP_FAILED;
}
