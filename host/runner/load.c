/* Builds and their ranges: which bytes of which loaded object are state, and under which page
 * numbers the log knows them. See runner.h.
 */
#include "runner.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <os/os.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- page numbers ---- */

typedef struct numbering {
    const link_range *known;
    uint32_t known_count;
    uint32_t next_page;
} numbering;

static rp_status numbering_read(numbering *n, const link_known *known, size_t bytes)
{
    if (bytes < sizeof *known ||
        known->range_count > (bytes - sizeof *known) / sizeof(link_range)) {
        return rp_fail(RP_E_FORMAT, "runner: the list of ranges is longer than the link");
    }
    n->known = (const link_range *)(known + 1);
    n->known_count = known->range_count;
    n->next_page = known->next_page;
    return RP_OK;
}

static uint32_t number_of(numbering *n, const char *name, uint64_t size_bytes, uint32_t build,
                          uint32_t page_count)
{
    for (uint32_t i = 0; i < n->known_count; i++) {
        const link_range *known = &n->known[i];
        if (known->build == build && known->size_bytes == size_bytes &&
            strncmp(known->name, name, sizeof known->name) == 0) {
            return known->first_page;
        }
    }
    uint32_t first = n->next_page;
    n->next_page += page_count;
    return first;
}

static rp_status range_declare(numbering *n, const char *name, uint64_t start, uint64_t size_bytes,
                               uint32_t build)
{
    link_memory *link = the_runner.link;
    if (link->range_count == LINK_RANGE_MAX) {
        return rp_fail(RP_E_LIMIT,
                       "runner: more than %d ranges of state: the program loads too many "
                       "libraries; --keep-lib takes those out that need no restore",
                       LINK_RANGE_MAX);
    }
    void *at = (void *)(uintptr_t)start;
    uint32_t first = number_of(n, name, size_bytes, build, rp_world_range_pages(at, size_bytes));
    rp_status status = rp_world_range_add(the_runner.world, at, size_bytes, first, name);
    if (status) {
        return status;
    }
    link_range *range = &link->ranges[link->range_count++];
    *range =
        (link_range){.start = start, .size_bytes = size_bytes, .first_page = first, .build = build};
    rp_text_copy(range->name, sizeof range->name, name);
    return RP_OK;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static rp_status object_declare(numbering *n, const rp_object *object, uint32_t build)
{
    char name[64];
    for (uint32_t i = 0; i < object->state_count; i++) {
        rp_text_buffer text = rp_text_buffer_over(name, sizeof name);
        rp_text_add(&text, "%.48s data %u", build ? "module" : file_name(object->path), i);
        rp_status status =
            range_declare(n, name, object->state[i].start, object->state[i].size_bytes, build);
        if (status) {
            return status;
        }
    }
    void *tls = rp_object_tls(object);
    if (!tls) {
        return RP_OK;
    }
    rp_text_buffer text = rp_text_buffer_over(name, sizeof name);
    rp_text_add(&text, "%.48s thread", build ? "module" : file_name(object->path));
    return range_declare(n, name, (uint64_t)(uintptr_t)tls, object->tls_bytes, build);
}

/* ---- libraries ---- */

static bool is_state(const rp_object *object)
{
    return object->zone == RP_ZONE_WORLD && object->path[0];
}

void runner_objects_report(uint32_t build)
{
    link_memory *link = the_runner.link;
    size_t count = rp_min_size(the_runner.object_count, LINK_OBJECT_MAX);
    for (size_t i = 0; i < count; i++) {
        const rp_object *object = &the_runner.objects[i];
        link_object *to = &link->objects[i];
        memcpy(to->path, object->path, sizeof to->path);
        to->base = object->base;
        to->low = object->low;
        to->high = object->high;
        to->zone = object->zone;
        memcpy(to->build_id, object->build_id, sizeof to->build_id);
        to->build_id_bytes = object->build_id_bytes;
        to->build = object == the_runner.module.object ? build : 0;
        void *tls = is_state(object) ? rp_object_tls(object) : NULL;
        to->tls_address = (uint64_t)(uintptr_t)tls;
    }
    if (the_runner.object_count && !the_runner.objects[0].path[0]) {
        ssize_t length =
            readlink("/proc/self/exe", link->objects[0].path, sizeof link->objects[0].path - 1);
        link->objects[0].path[length > 0 ? length : 0] = 0;
    }
    link->object_count = (uint32_t)count;
}

static rp_status declare_from(numbering *n, size_t first_object)
{
    for (size_t i = first_object; i < the_runner.object_count; i++) {
        const rp_object *object = &the_runner.objects[i];
        rp_status status = is_state(object) && object != the_runner.module.object
                               ? object_declare(n, object, 0)
                               : RP_OK;
        if (status) {
            return status;
        }
    }
    return RP_OK;
}

rp_status runner_declare_libraries(const link_known *known, size_t bytes)
{
    numbering n;
    rp_status status = numbering_read(&n, known, bytes);
    if (!status) {
        status = declare_from(&n, 0);
    }
    the_runner.library_ranges = the_runner.link->range_count;
    runner_objects_report(0);
    return status;
}

/* ---- old builds ---- */

/* Maps what can be read and not written or run of an old build's file, where it lay. Pointers to
 * its string literals stay good; a call into its code faults and can be named. */
static void read_only_map(const link_old_build *old)
{
    int fd = open(old->path, O_RDONLY | O_CLOEXEC);
    Elf64_Ehdr header;
    if (fd < 0) {
        return;
    }
    if (pread(fd, &header, sizeof header, 0) == sizeof header && header.e_phnum <= 64) {
        for (int i = 0; i < header.e_phnum; i++) {
            Elf64_Phdr p;
            off_t at = (off_t)(header.e_phoff + (uint64_t)i * sizeof p);
            if (pread(fd, &p, sizeof p, at) != sizeof p || p.p_type != PT_LOAD ||
                p.p_flags & (PF_W | PF_X)) {
                continue;
            }
            uint64_t page = p.p_vaddr & ~(RP_PAGE_BYTES - 1), skip = p.p_vaddr - page;
            uint64_t start = old->base + page, size = p.p_filesz + skip;
            if (start >= old->low && start + size <= old->high) {
                mmap((void *)(uintptr_t)start, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd,
                     (off_t)(p.p_offset - skip));
            }
        }
    }
    close(fd);
}

/* Whose places were free and are kept by us: what else lies at one may not be released. */
enum { BUILDS_KEPT_MOST = 1 << 16 };
static uint8_t places_kept[BUILDS_KEPT_MOST / 8];

static bool place_is_kept(uint32_t build)
{
    return build < BUILDS_KEPT_MOST && places_kept[build / 8] >> build % 8 & 1;
}

static void place_keep(uint32_t build)
{
    if (build < BUILDS_KEPT_MOST) {
        places_kept[build / 8] |= (uint8_t)(1 << build % 8);
    }
}

/* Reserves the places of earlier builds, so that the new one does not land on addresses that old
 * pointers name. A place that is in use already belongs to what this process loaded first. */
rp_status runner_old_builds(const link_old_build *old, uint64_t count)
{
    if (count > LINK_BULK_BYTES / sizeof *old) {
        return rp_fail(RP_E_FORMAT, "runner: the list of old builds is longer than the link");
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t size = old[i].high - old[i].low;
        if (!size || size > RP_GIB(4) || old[i].low % RP_PAGE_BYTES || size % RP_PAGE_BYTES) {
            return rp_fail(RP_E_FORMAT, "runner: build %u has no sensible place", old[i].build);
        }
        if (rp_os_vm_reserve_at((void *)(uintptr_t)old[i].low, size) == RP_OK) {
            place_keep(old[i].build);
            if (old[i].path[0]) {
                read_only_map(&old[i]);
            }
        }
    }
    return RP_OK;
}

/* ---- the build ---- */

typedef struct opening {
    const char *path;
    void *handle;
} opening;

static void open_it(void *argument)
{
    opening *o = argument;
    o->handle = dlopen(o->path, RTLD_NOW | RTLD_LOCAL);
}

static rp_status functions_find(runner_module *module)
{
    *(void **)&module->step = dlsym(module->handle, "rp_module_step");
    *(void **)&module->start = dlsym(module->handle, "rp_module_start");
    *(void **)&module->render = dlsym(module->handle, "rp_module_render");
    *(void **)&module->reloaded = dlsym(module->handle, "rp_module_reloaded");
    *(void **)&module->stop = dlsym(module->handle, "rp_module_stop");
    return module->step
               ? RP_OK
               : rp_fail(RP_E_MODULE, "module: it has no rp_module_step: include "
                                      "<reprise/stage.h> and define it (in C++ as extern \"C\")");
}

/* The build's copy has a name of ours; the message should not speak of it, but of a library that
 * is missing it should. */
static rp_status refused(const char *path)
{
    const char *why = dlerror();
    size_t length = strlen(path);
    if (why && strncmp(why, path, length) == 0 && strncmp(why + length, ": ", 2) == 0) {
        why += length + 2;
    }
    return rp_fail(RP_E_MODULE,
                   "module: the loader refused it: %s: link it with what it needs, or "
                   "define what is missing",
                   why ? why : "unknown reason");
}

static const rp_object *object_of(const void *function)
{
    uint64_t address = (uint64_t)(uintptr_t)function;
    for (size_t i = 0; i < the_runner.object_count; i++) {
        const rp_object *object = &the_runner.objects[i];
        if (address >= object->low && address < object->high) {
            return object;
        }
    }
    return NULL;
}

static rp_status build_open(const link_load *load, size_t *first_new_object)
{
    opening o = {.path = load->path};
    *first_new_object = the_runner.object_count;
    runner_constructors(open_it, &o);
    if (!o.handle) {
        return refused(load->path);
    }
    the_runner.module.handle = o.handle;
    rp_status status = functions_find(&the_runner.module);
    if (status) {
        return status;
    }
    the_runner.object_count = rp_objects_scan(the_runner.objects, RP_OBJECT_MAX);
    rp_class_map_update(the_runner.objects, the_runner.object_count);
    the_runner.module.object = object_of((const void *)(uintptr_t)the_runner.module.step);
    return the_runner.module.object ? RP_OK
                                    : rp_fail(RP_E_MODULE, "module: its rp_module_step lies in no "
                                                           "loaded object");
}

rp_status runner_load(const link_load *load, size_t bytes)
{
    numbering n;
    rp_status status = numbering_read(&n, (const link_known *)(load + 1), bytes - sizeof *load);
    if (status) {
        return status;
    }
    if (load->low && load->high > load->low && place_is_kept(load->build)) {
        /* the loader picks the highest place that fits: this */
        rp_os_vm_release((void *)(uintptr_t)load->low, load->high - load->low);
    }
    the_runner.link->build = load->build;
    size_t first_new = 0;
    status = build_open(load, &first_new);
    if (!status) { /* libraries that only this build brought */
        status = declare_from(&n, first_new);
    }
    if (!status) {
        status = object_declare(&n, the_runner.module.object, load->build);
    }
    runner_objects_report(load->build);
    return status;
}
