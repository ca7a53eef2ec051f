/* Opening a build's file: read once, checked, described. Layer: module.
 *
 * All that is said about the file is said about the bytes in memory, and these bytes are what
 * copy_to gets, so a linker that writes on in the meantime changes nothing. */
#include "base/bits.h"
#include "base/error.h"
#include "module/elf_internal.h"

#include <errno.h>
#include <reprise/types.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#define FILE_LIMIT_BYTES RP_GIB(1)
#define SCOPE_BYTES 256 /* room for a symbol's scope, see elf_names.c */

static rp_status damaged(const elf_file *file, const char *why)
{
    return rp_fail(RP_E_FORMAT, "%s: damaged: %s: link it again", file->elf.path, why);
}

static rp_status add_segment(elf_file *file, const GElf_Phdr *header)
{
    rp_elf *elf = &file->elf;
    if (elf->segment_count == RP_ELF_SEGMENT_MAX) {
        return rp_fail(RP_E_UNSUPPORTED,
                       "%s: more than %d loaded segments: the linker script is unusual: "
                       "link it without one",
                       elf->path, RP_ELF_SEGMENT_MAX);
    }
    uint64_t end;
    if (__builtin_add_overflow(header->p_vaddr, header->p_memsz, &end) || end > UINT64_MAX / 2 ||
        header->p_filesz > header->p_memsz) {
        return damaged(file, "a segment has an impossible size");
    }
    bool writable = header->p_flags & PF_W;
    elf->segments[elf->segment_count++] = (rp_elf_segment){
        header->p_vaddr, header->p_offset,       header->p_filesz, header->p_memsz,
        header->p_align, header->p_flags & PF_R, writable,         header->p_flags & PF_X};
    uint64_t low = rp_align_down(header->p_vaddr, RP_PAGE_BYTES);
    uint64_t high = rp_align_up(end, RP_PAGE_BYTES);
    bool first = elf->segment_count == 1;
    elf->low = first || low < elf->low ? low : elf->low;
    elf->high = first || high > elf->high ? high : elf->high;
    if (writable) {
        bool first_data = elf->data_high == 0;
        elf->data_low =
            first_data || header->p_vaddr < elf->data_low ? header->p_vaddr : elf->data_low;
        elf->data_high = first_data || end > elf->data_high ? end : elf->data_high;
    }
    return RP_OK;
}

static rp_status read_segments(elf_file *file)
{
    size_t count = 0;
    if (elf_getphdrnum(file->handle, &count) != 0) {
        return damaged(file, "its program headers cannot be read");
    }
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr header;
        if (!gelf_getphdr(file->handle, (int)i, &header)) {
            return damaged(file, "its program headers cannot be read");
        }
        if (header.p_type == PT_LOAD && header.p_memsz) {
            rp_status status = add_segment(file, &header);
            if (status != RP_OK) {
                return status;
            }
        } else if (header.p_type == PT_TLS) {
            file->elf.tls_address = header.p_vaddr;
            file->elf.tls_bytes = header.p_memsz;
        } else if (header.p_type == PT_GNU_RELRO) {
            file->relro_low = header.p_vaddr;
            file->relro_high = header.p_vaddr + header.p_memsz;
        }
    }
    return file->elf.segment_count ? RP_OK : damaged(file, "nothing in it is loaded");
}

/* GNU ld and lld compute the build id last and write zeros until then. */
static rp_status read_build_id(elf_file *file, Elf_Scn *section)
{
    Elf_Data *data = elf_getdata(section, NULL);
    if (!data || !data->d_buf) {
        return RP_OK;
    }
    GElf_Nhdr note;
    size_t name, content, offset = 0;
    while ((offset = gelf_getnote(data, offset, &note, &name, &content)) > 0) {
        const char *bytes = data->d_buf;
        if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
            memcmp(bytes + name, "GNU", 4) != 0) {
            continue;
        }
        static const uint8_t zero[RP_ELF_BUILD_ID_MAX];
        uint32_t length = (uint32_t)rp_min_size(note.n_descsz, RP_ELF_BUILD_ID_MAX);
        memcpy(file->elf.build_id, bytes + content, length);
        file->elf.build_id_bytes = length;
        if (length && memcmp(file->elf.build_id, zero, length) == 0) {
            return rp_fail(RP_E_INCOMPLETE,
                           "%s: not complete: its build id is not written yet: "
                           "wait until the linker is done",
                           file->elf.path);
        }
    }
    return RP_OK;
}

/* Sections of <reprise/types.h>. */
static void note_hints(elf_file *file, Elf_Scn *section, const GElf_Shdr *header)
{
    size_t names;
    const char *name = elf_getshdrstrndx(file->handle, &names) == 0
                           ? elf_strptr(file->handle, names, header->sh_name)
                           : NULL;
    if (name && strcmp(name, RP_WAS_SECTION) == 0) {
        file->was = section;
    } else if (name && strcmp(name, RP_TWEAK_SECTION) == 0) {
        file->tweak_low = header->sh_addr;
        file->tweak_high = header->sh_addr + header->sh_size;
    }
}

static void note_section(elf_file *file, Elf_Scn *section, const GElf_Shdr *header)
{
    rp_elf *elf = &file->elf;
    note_hints(file, section, header);
    if (header->sh_type == SHT_SYMTAB) {
        file->symtab = section;
    } else if (header->sh_type == SHT_DYNSYM) {
        file->dynsym = section;
    } else if (header->sh_type == SHT_DYNAMIC) {
        file->dynamic = section;
    }
    if ((header->sh_flags & SHF_ALLOC) && (header->sh_flags & SHF_EXECINSTR) && header->sh_size &&
        header->sh_addr >= elf->low && header->sh_addr <= elf->high &&
        header->sh_size <= elf->high - header->sh_addr) {
        bool first = elf->text_high == 0;
        uint64_t end = header->sh_addr + header->sh_size;
        elf->text_low = first || header->sh_addr < elf->text_low ? header->sh_addr : elf->text_low;
        elf->text_high = first || end > elf->text_high ? end : elf->text_high;
    }
}

static rp_status read_sections(elf_file *file)
{
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(file->handle, section))) {
        GElf_Shdr header;
        if (!gelf_getshdr(section, &header)) {
            return damaged(file, "its section headers cannot be read");
        }
        note_section(file, section, &header);
        if (header.sh_type == SHT_NOTE) {
            rp_status status = read_build_id(file, section);
            if (status != RP_OK) {
                return status;
            }
        }
    }
    if (!file->dynamic || !file->dynsym) {
        return damaged(file, "it has no dynamic section or no dynamic symbols");
    }
    return RP_OK;
}

/* An executable that may lie anywhere is ET_DYN too; the loader refuses it by DF_1_PIE. Linkers
 * that do not set that one still give DT_DEBUG to executables only. */
static rp_status read_dynamic(elf_file *file)
{
    GElf_Shdr header;
    Elf_Data *data = elf_getdata(file->dynamic, NULL);
    if (!data || !gelf_getshdr(file->dynamic, &header)) {
        return damaged(file, "its dynamic section cannot be read");
    }
    rp_elf *elf = &file->elf;
    GElf_Dyn entry;
    for (int i = 0; gelf_getdyn(data, i, &entry) && entry.d_tag != DT_NULL; i++) {
        bool executable =
            entry.d_tag == DT_DEBUG || (entry.d_tag == DT_FLAGS_1 && (entry.d_un.d_val & DF_1_PIE));
        if (executable && file->wanted != ELF_ANYTHING) {
            return rp_fail(
                RP_E_UNSUPPORTED,
                "%s: not a shared library: it is an executable: link it with -shared -fPIC",
                elf->path);
        }
        if (entry.d_tag == DT_NEEDED && elf->needed_count < RP_ELF_NEEDED_MAX) {
            const char *name = elf_strptr(file->handle, header.sh_link, entry.d_un.d_val);
            if (!name) {
                return damaged(file, "the name of a library that it needs is missing");
            }
            elf->needed[elf->needed_count++] = name;
        }
    }
    return RP_OK;
}

static void note_export(rp_elf *elf, const char *name)
{
    const struct {
        const char *name;
        bool *has;
    } functions[] = {{"rp_module_step", &elf->has_step},
                     {"rp_module_start", &elf->has_start},
                     {"rp_module_render", &elf->has_render},
                     {"rp_module_reloaded", &elf->has_reloaded},
                     {"rp_module_stop", &elf->has_stop}};
    for (size_t i = 0; i < RP_COUNT_OF(functions); i++) {
        if (strcmp(name, functions[i].name) == 0) {
            *functions[i].has = true;
        }
    }
}

static rp_status read_exports(elf_file *file)
{
    GElf_Shdr header;
    Elf_Data *data = elf_getdata(file->dynsym, NULL);
    if (!data || !gelf_getshdr(file->dynsym, &header)) {
        return damaged(file, "its dynamic symbols cannot be read");
    }
    GElf_Sym symbol;
    for (int i = 1; gelf_getsym(data, i, &symbol); i++) {
        if (symbol.st_shndx != SHN_UNDEF && GELF_ST_BIND(symbol.st_info) != STB_LOCAL &&
            GELF_ST_TYPE(symbol.st_info) <= STT_FUNC &&
            GELF_ST_TYPE(symbol.st_info) != STT_OBJECT) {
            const char *name = elf_strptr(file->handle, header.sh_link, symbol.st_name);
            note_export(&file->elf, name ? name : "");
        }
    }
    if (!file->elf.has_step && file->wanted == ELF_MODULE) {
        return rp_fail(
            RP_E_MODULE,
            "%s: no module: it does not export rp_module_step: define that function, and "
            "do not hide it",
            file->elf.path);
    }
    return RP_OK;
}

static rp_status describe(elf_file *file)
{
    rp_status (*const steps[])(elf_file *) = {read_segments, read_sections, read_dynamic,
                                              read_exports, rp_elf_read_symbols};
    for (size_t i = 0; i < RP_COUNT_OF(steps); i++) {
        rp_status status = steps[i](file);
        if (status != RP_OK) {
            return status;
        }
    }
    file->dwarf = dwarf_begin_elf(file->handle, DWARF_C_READ, NULL);
    if (!file->from_memory) {
        rp_elf_splits_read(file);
    }
    rp_elf_read_scopes(file);
    return file->arena.failure;
}

/* Takes the bytes over, also when it fails. */
static rp_status build_from(rp_os_bytes bytes, const char *path, elf_wanted wanted, bool in_memory,
                            rp_elf **elf)
{
    /* No symbol takes less than sizeof(Elf64_Sym) of the file. */
    size_t symbol_limit = bytes.size_bytes / sizeof(Elf64_Sym) + 1;
    module_arena arena = {0};
    rp_status status = rp_arena_init(&arena, symbol_limit * (sizeof(rp_symbol) + SCOPE_BYTES) +
                                                 sizeof(elf_file) + strlen(path) + RP_KIB(64));
    elf_file *file = status == RP_OK ? rp_arena_take(&arena, 1, sizeof *file) : NULL;
    char *name = file ? rp_arena_take(&arena, 1, strlen(path) + 1) : NULL;
    if (!name) {
        rp_arena_finish(&arena);
        rp_os_file_free(&bytes);
        return rp_error_last()->status;
    }
    strcpy(name, path);
    file->elf = (rp_elf){.path = name, .impl = file, .file_bytes = bytes.size_bytes};
    file->elf.content_hash = XXH3_64bits(bytes.data, bytes.size_bytes);
    file->wanted = wanted;
    file->from_memory = in_memory;
    file->bytes = bytes;
    file->arena = arena;
    status = rp_elf_check_complete(path, bytes.data, bytes.size_bytes);
    if (status == RP_OK) {
        elf_version(EV_CURRENT);
        file->handle = elf_memory((char *)bytes.data, bytes.size_bytes);
        status = file->handle ? describe(file) : damaged(file, elf_errmsg(-1));
    }
    if (status != RP_OK) {
        rp_elf_close(&file->elf);
        return status;
    }
    *elf = &file->elf;
    return RP_OK;
}

static rp_status look(const char *path, struct stat *seen)
{
    if (stat(path, seen) == 0) {
        return RP_OK;
    }
    int code = errno;
    return rp_fail_system(code == ENOENT || code == ENOTDIR ? RP_E_NOT_FOUND : RP_E_SYSTEM, code,
                          "%s: cannot be looked at", path);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static rp_status read_unchanged(const char *path, rp_os_bytes *bytes)
{
    struct stat before, after;
    rp_status status = look(path, &before);
    if (status == RP_OK) {
        status = rp_os_file_read(path, FILE_LIMIT_BYTES, bytes);
    }
    if (status != RP_OK) {
        return status;
    }
    status = look(path, &after);
    if (status == RP_OK &&
        (!same_file(&before, &after) || (uint64_t)after.st_size != bytes->size_bytes)) {
        status = rp_fail(RP_E_INCOMPLETE,
                         "%s: not complete: it changed while it was read: "
                         "wait until the linker is done",
                         path);
    }
    if (status != RP_OK) {
        rp_os_file_free(bytes);
    }
    return status;
}

rp_status rp_elf_open(const char *path, const char *copy_to, rp_elf **elf)
{
    rp_os_bytes bytes;
    rp_elf *opened;
    rp_status status = read_unchanged(path, &bytes);
    if (status == RP_OK) {
        status = build_from(bytes, path, ELF_MODULE, false, &opened);
    }
    if (status != RP_OK) {
        return status;
    }
    if (copy_to) {
        status = rp_os_file_write(copy_to, bytes.data, bytes.size_bytes);
    }
    if (status != RP_OK) {
        rp_elf_close(opened);
        return status;
    }
    *elf = opened;
    return RP_OK;
}

rp_status rp_elf_open_library(const char *path, rp_elf **elf)
{
    rp_os_bytes bytes;
    rp_status status = read_unchanged(path, &bytes);
    return status == RP_OK ? build_from(bytes, path, ELF_LIBRARY, false, elf) : status;
}

const uint8_t *rp_elf_bytes(const rp_elf *elf)
{
    return elf_file_of(elf)->bytes.data;
}

static rp_status open_copy(const void *bytes, size_t size_bytes, const char *name,
                           elf_wanted wanted, rp_elf **elf)
{
    size_t mapped = (size_t)rp_align_up(size_bytes + 1, RP_PAGE_BYTES);
    rp_os_bytes copy = {rp_os_vm_reserve(mapped), size_bytes, mapped};
    if (!copy.data) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(copy.data, mapped);
    if (status != RP_OK) {
        rp_os_vm_release(copy.data, mapped);
        return status;
    }
    if (size_bytes) {
        memcpy(copy.data, bytes, size_bytes);
    }
    return build_from(copy, name, wanted, true, elf);
}

rp_status rp_elf_open_memory(const void *bytes, size_t size_bytes, const char *name, rp_elf **elf)
{
    return open_copy(bytes, size_bytes, name, ELF_MODULE, elf);
}

rp_status rp_elf_open_to_read(const void *bytes, size_t size_bytes, const char *name, rp_elf **elf)
{
    return open_copy(bytes, size_bytes, name, ELF_ANYTHING, elf);
}

void rp_elf_close(rp_elf *elf)
{
    if (!elf) {
        return;
    }
    elf_file *file = elf_file_of(elf);
    module_arena arena = file->arena; /* the file lies in it */
    rp_os_bytes bytes = file->bytes;
    rp_arena_finish(&file->types_arena);
    rp_elf_splits_close(file);
    dwarf_end(file->dwarf);
    if (file->handle) {
        elf_end(file->handle);
    }
    rp_os_file_free(&bytes);
    rp_arena_finish(&arena);
}
