/* Loading a build into this process. Layer: module. */
#include "module/loaded.h"

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "os/os.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

static rp_status describe(const char *path, const char *name, rp_object *object)
{
    size_t mapped = (size_t)rp_align_up(RP_OBJECT_MAX * sizeof *object, RP_PAGE_BYTES);
    rp_object *all = rp_os_vm_reserve(mapped);
    rp_status status = all ? rp_os_vm_commit(all, mapped) : rp_error_last()->status;
    size_t count = status == RP_OK ? rp_objects_scan(all, RP_OBJECT_MAX) : 0;
    size_t found = 0;
    while (found < count && strcmp(all[found].path, path) != 0) {
        found++;
    }
    if (status == RP_OK && found == count) {
        status =
            rp_fail(RP_E_LIMIT,
                    "%s: it is not among the first %d loaded libraries: load the module before "
                    "them",
                    name, RP_OBJECT_MAX);
    } else if (status == RP_OK && all[found].state_lost) {
        status = rp_fail(RP_E_LIMIT, "%s: its writable data is in more than %d pieces", name,
                         RP_OBJECT_STATE_MAX);
    } else if (status == RP_OK) {
        *object = all[found];
    }
    if (all) {
        rp_os_vm_release(all, mapped);
    }
    return status;
}

rp_status rp_loaded_open(const char *path, const char *name, void **handle, rp_object *object)
{
    *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!*handle) {
        const char *why = dlerror();
        return rp_fail(RP_E_MODULE, "%s: not loaded: %s", name, why ? why : "no reason is known");
    }
    rp_status status = describe(path, name, object);
    if (status != RP_OK) {
        dlclose(*handle);
        *handle = NULL;
    }
    return status;
}

uint64_t rp_loaded_data_low(void *handle)
{
    struct link_map *map = NULL;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map || !map->l_ld) {
        return 0;
    }
    const ElfW(Dyn) *end = map->l_ld;
    while (end->d_tag != DT_NULL) {
        end++;
    }
    return rp_align_up((uint64_t)(uintptr_t)(end + 1), RP_PAGE_BYTES);
}

bool rp_loaded_close(void *handle)
{
    struct link_map *map = NULL;
    char path[RP_OBJECT_PATH_BYTES] = "";
    if (!handle) {
        return true;
    }
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map) {
        rp_text_copy(path, sizeof path, map->l_name);
    }
    dlclose(handle);
    void *still = path[0] ? dlopen(path, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    if (still) {
        dlclose(still);
    }
    return !still;
}

void *rp_loaded_symbol(void *handle, const char *name)
{
    return dlsym(handle, name);
}
