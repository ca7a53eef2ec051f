#include "cmd_flags.h"

#include <base/bits.h>
#include <os/os.h>
#include <region/region.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each link gets a place of its own in the window behind the region, so that two builds rarely want
 * the same one and code, literals and globals of a build lie at the same addresses in every
 * process. A place that is taken is no harm: the loader then chooses, and pointers are moved. */
static const uint64_t place_bytes = UINT64_C(4) << 20;

/* Beside an installed program (bin/), or in a build folder below the sources. */
static int headers_find(char *path, size_t capacity)
{
    static const char *const places[] = {"../include", "../../../include", "../../include"};
    char self[512];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) {
        return 0;
    }
    self[length] = 0;
    *strrchr(self, '/') = 0;
    for (size_t i = 0; i < RP_COUNT_OF(places); i++) {
        char probe[700], resolved[4096];
        snprintf(probe, sizeof probe, "%s/%s/reprise/reprise.h", self, places[i]);
        if (access(probe, R_OK) == 0 && realpath(probe, resolved)) {
            *strrchr(resolved, '/') = 0;
            *strrchr(resolved, '/') = 0;
            return snprintf(path, capacity, "%s", resolved) < (int)capacity;
        }
    }
    return 0;
}

static int help_wanted(int argc, char **argv, const char *what, const char *example)
{
    if (argc == 1) {
        return -1;
    }
    int wanted = strcmp(argv[1], "--help") == 0;
    fprintf(wanted ? stdout : stderr, "usage: reprise %s\n\n%s\n\nExample:\n  %s\n", argv[0], what,
            example);
    return wanted ? 0 : 2;
}

int cmd_cflags(int argc, char **argv)
{
    int code = help_wanted(argc, argv, "Prints the compiler flags of a module.",
                           "cc $(reprise cflags) -g -c game.c");
    if (code >= 0) {
        return code;
    }
    char path[4096];
    if (!headers_find(path, sizeof path)) {
        fputs("reprise: cflags: the headers are not where they should be, beside this program: "
              "install the whole package\n",
              stderr);
        return 1;
    }
    printf("-I%s -fPIC -fno-omit-frame-pointer\n", path);
    return 0;
}

int cmd_ldflags(int argc, char **argv)
{
    int code = help_wanted(argc, argv,
                           "Prints the linker flags of a module: another place in memory for each "
                           "link.",
                           "cc -shared -o game.so game.o $(reprise ldflags)");
    if (code >= 0) {
        return code;
    }
    uint64_t places = (RP_MODULE_LIMIT - RP_MODULE_BASE) / place_bytes, number;
    if (rp_os_random(&number, sizeof number)) {
        number = rp_os_monotonic_ns();
    }
    printf("-shared -Wl,-Ttext-segment=0x%llx\n",
           (unsigned long long)(RP_MODULE_BASE + number % places * place_bytes));
    return 0;
}
