/* What is loaded, and which of its bytes are state. Layer: module.
 *
 * Only the loaded image is read: program headers and the dynamic section, whose addresses the C
 * library has turned into absolute ones in place (but not those of the kernel's own object). */
#include "module/object.h"

#include "base/bits.h"
#include "base/text.h"
#include "module/class_map.h"
#include "module/object_state.h"

#include <link.h>
#include <string.h>

typedef struct scan {
    rp_object *objects;
    size_t capacity, count;
} scan;

static void add_code(rp_object *object, uint64_t start, uint64_t size_bytes)
{
    if (object->code_count < RP_COUNT_OF(object->code)) {
        object->code[object->code_count++] = (rp_object_span){start, size_bytes};
        return;
    }
    /* One span over the last two covers what lies between them as well, which is this object's. */
    rp_object_span *last = &object->code[object->code_count - 1];
    last->size_bytes = start + size_bytes - last->start;
}

static void read_range(rp_object *object, const struct dl_phdr_info *info)
{
    object->low = UINT64_MAX;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uint64_t start = object->base + header->p_vaddr, end = start + header->p_memsz;
        if (header->p_type == PT_TLS) {
            object->tls_module = info->dlpi_tls_modid;
            object->tls_bytes = header->p_memsz;
        }
        if (header->p_type != PT_LOAD || !header->p_memsz) {
            continue;
        }
        uint64_t low = rp_align_down(start, RP_PAGE_BYTES), high = rp_align_up(end, RP_PAGE_BYTES);
        object->low = low < object->low ? low : object->low;
        object->high = high > object->high ? high : object->high;
        if (header->p_flags & PF_X) {
            add_code(object, start, header->p_memsz);
        }
    }
    object->low = object->low == UINT64_MAX ? 0 : object->low;
}

static bool is_loaded(const rp_object *object, const struct dl_phdr_info *info, uint64_t start,
                      uint64_t size_bytes)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uint64_t offset = start - (object->base + header->p_vaddr);
        if (header->p_type == PT_LOAD && (header->p_flags & PF_R) && offset <= header->p_filesz &&
            size_bytes <= header->p_filesz - offset) {
            return true;
        }
    }
    return false;
}

static void read_notes(rp_object *object, const uint8_t *notes, size_t size_bytes, size_t align)
{
    size_t at = 0;
    ElfW(Nhdr) note;
    while (size_bytes - at >= sizeof note) {
        memcpy(&note, notes + at, sizeof note);
        size_t name = at + sizeof note, left = size_bytes - name;
        size_t name_bytes = (size_t)rp_align_up(note.n_namesz, 4);
        if (name_bytes > left || note.n_descsz > left - name_bytes) {
            return;
        }
        size_t content = (size_t)rp_align_up(name + name_bytes, align);
        if (content > size_bytes || note.n_descsz > size_bytes - content) {
            return;
        }
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(notes + name, "GNU", 4) == 0) {
            object->build_id_bytes = (uint32_t)rp_min_size(note.n_descsz, sizeof object->build_id);
            memcpy(object->build_id, notes + content, object->build_id_bytes);
            return;
        }
        at = rp_min_size((size_t)rp_align_up(content + note.n_descsz, align), size_bytes);
    }
}

static void read_build_id(rp_object *object, const struct dl_phdr_info *info)
{
    for (unsigned i = 0; i < info->dlpi_phnum && !object->build_id_bytes; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uint64_t start = object->base + header->p_vaddr;
        if (header->p_type == PT_NOTE && is_loaded(object, info, start, header->p_filesz)) {
            read_notes(object, (const uint8_t *)(uintptr_t)start, header->p_filesz,
                       header->p_align == 8 ? 8 : 4);
        }
    }
}

static int visit(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    scan *result = context;
    if (result->count == result->capacity) {
        return 1;
    }
    rp_object *object = &result->objects[result->count++];
    *object = (rp_object){.base = info->dlpi_addr};
    rp_text_copy(object->path, sizeof object->path, info->dlpi_name ? info->dlpi_name : "");
    read_range(object, info);
    read_build_id(object, info);
    rp_object_read_state(object, info);
    if (!rp_class_map_knows(object->low, object->high, &object->zone)) {
        object->zone = rp_class_of(object->path);
    }
    return 0;
}

size_t rp_objects_scan(rp_object *objects, size_t capacity)
{
    scan result = {objects, capacity, 0};
    dl_iterate_phdr(visit, &result);
    return result.count;
}

typedef struct tls_index {
    unsigned long module, offset;
} tls_index;
extern void *__tls_get_addr(tls_index *index);

void *rp_object_tls(const rp_object *object)
{
    tls_index index = {object->tls_module, 0};
    return object->tls_module ? __tls_get_addr(&index) : NULL;
}
