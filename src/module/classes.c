/* Which libraries are kept out of the world, by file name. Layer: module.
 *
 * What --keep-lib adds is held here for the whole process: it governs the malloc of the process,
 * and there is one of those. */
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "module/object.h"

#include <string.h>

enum { ADDED_MAX = 64, ADDED_BYTES = 64 };

static char added[ADDED_MAX][ADDED_BYTES];
static size_t added_count;

static const char *const shipped[] = {
    /* the C library and the loader, which own the process */
    "ld-linux*",
    "linux-vdso*",
    "linux-gate*",
    "libc",
    "libm",
    "libmvec",
    "libpthread",
    "libdl",
    "librt",
    "libutil",
    "libresolv",
    "libanl",
    "libnsl*",
    "libnss*",
    "libthread_db",
    "libgcc_s",
    "libBrokenLocale",
    "libc_malloc_debug",
    /* ours */
    "libreprise*",
    "reprise-runner",
    "reprise",
    /* the picture */
    "libGL",
    "libGLX*",
    "libGLdispatch",
    "libGLU",
    "libGLEW*",
    "libGLES*",
    "libEGL*",
    "libOpenGL*",
    "libgbm",
    "libdrm*",
    "libvulkan*",
    "libVkLayer*",
    "libglapi",
    "libgallium*",
    "libMesa*",
    "libLLVM*",
    "*_dri.so",
    "libnvidia*",
    "libcuda*",
    "libOpenCL*",
    "libva*",
    "libvdpau*",
    "libX*",
    "libxcb*",
    "libxkbcommon*",
    "libICE",
    "libSM",
    "libwayland*",
    "libdecor*",
    "libSDL*",
    "libglfw*",
    "libGLFW*",
    /* the sound */
    "libasound*",
    "libpulse*",
    "libpipewire*",
    "libspa*",
    "libjack*",
    "libopenal*",
    "libsndio*",
    /* threads of their own */
    "libgomp*",
    "libomp",
    "libiomp*",
    "libtbb*",
    /* the network and the system's services */
    "libssl*",
    "libcrypto*",
    "libgnutls*",
    "libcurl*",
    "libudev*",
    "libdbus*",
    "libsystemd*",
    "libusb*",
    "libevdev*",
    /* what watches the process */
    "libasan*",
    "libubsan*",
    "libtsan*",
    "liblsan*",
    "libclang_rt*",
    "libmemcheck*",
    "vgpreload*",
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "libm" is the name before ".so" or before a version, "libm-2.31.so"; "libmad.so" is another. */
static bool matches(const char *pattern, const char *name)
{
    if (strchr(pattern, '*') || strchr(pattern, '?')) {
        return rp_text_matches(pattern, name);
    }
    size_t length = strlen(pattern);
    if (strncmp(name, pattern, length) != 0) {
        return false;
    }
    const char *rest = name + length;
    return !*rest || strncmp(rest, ".so", 3) == 0 ||
           (rest[0] == '-' && rest[1] >= '0' && rest[1] <= '9' && strstr(rest, ".so"));
}

rp_zone rp_class_of(const char *path)
{
    const char *name = base_name(path);
    if (!*name) {
        return RP_ZONE_KEEP; /* the program itself: the runner */
    }
    for (size_t i = 0; i < RP_COUNT_OF(shipped); i++) {
        if (matches(shipped[i], name)) {
            return RP_ZONE_KEEP;
        }
    }
    for (size_t i = 0; i < added_count; i++) {
        if (matches(added[i], name)) {
            return RP_ZONE_KEEP;
        }
    }
    return RP_ZONE_WORLD;
}

rp_status rp_class_keep(const char *pattern)
{
    size_t length = strlen(pattern);
    if (length == 0 || length >= ADDED_BYTES || strchr(pattern, '/')) {
        return rp_fail(RP_E_ARGUMENT,
                       "keep '%.80s': not the name of a library's file: "
                       "give a name such as libfoo or libfoo*, without a folder",
                       pattern);
    }
    if (added_count == ADDED_MAX) {
        return rp_fail(RP_E_RANGE, "keep '%s': %d names were given already: use a pattern with '*'",
                       pattern, ADDED_MAX);
    }
    memcpy(added[added_count++], pattern, length + 1);
    return RP_OK;
}
