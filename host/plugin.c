#include "plugin.h"

#include <base/bits.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool executable_folder(char *folder, size_t capacity)
{
    ssize_t length = readlink("/proc/self/exe", folder, capacity - 1);
    if (length <= 0) {
        return false;
    }
    folder[length] = 0;
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = 0;
    }
    return slash != NULL;
}

static void *load_from(const char *folder, const char *below, const char *name, char *why,
                       size_t why_bytes)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s%s/%s", folder, below, name);
    if (length < 0 || (size_t)length >= sizeof path || access(path, R_OK) != 0) {
        return NULL;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(why, why_bytes, "%s", dlerror());
    }
    return library;
}

static void *load_plugin(const char *name, char *why, size_t why_bytes)
{
    static const char *const below[] = {"", "/stage", "/../lib/reprise"};
    char folder[PATH_MAX];
    void *library = NULL;
    if (executable_folder(folder, sizeof folder)) {
        for (size_t i = 0; i < RP_COUNT_OF(below) && !library; i++) {
            library = load_from(folder, below[i], name, why, why_bytes);
        }
    }
    const char *named = getenv("REPRISE_LIB");
    return library || !named ? library : load_from(named, "", name, why, why_bytes);
}

const void *plugin_symbol(const char *file_name, const char *symbol, char *why, size_t why_bytes)
{
    void *library = load_plugin(file_name, why, why_bytes);
    return library ? dlsym(library, symbol) : NULL;
}
