/* Debug information in files beside the build (-gsplit-dwarf). Layer: module.
 *
 *   game.so: skeleton of a unit ── name, folder, id ──► game.dwo: the unit itself, with the same id
 *
 * They are read with the build, into memory: the next compiler run writes over them. The id, a hash
 * that the compiler made of the unit (DWARF 5, 3.1.2), tells whether a file is still the build's.
 * Addresses stand in the build, and a split unit has their numbers. */
#include "module/elf_internal.h"

#include "base/bits.h"
#include "base/text.h"

#include <dwarf.h>
#include <string.h>

enum { PATH_BYTES = 4096, SPLITS_MOST = 1 << 16 };
#define SPLIT_LIMIT_BYTES RP_GIB(1)

typedef struct skeleton {
    const char *name, *folder;
    uint64_t id, addresses; /* where its numbers of addresses are counted from */
} skeleton;

static const char *text_of(Dwarf_Die *die, unsigned name, unsigned other_name)
{
    Dwarf_Attribute attribute;
    bool has = dwarf_attr(die, name, &attribute) || dwarf_attr(die, other_name, &attribute);
    return has ? dwarf_formstring(&attribute) : NULL;
}

static uint64_t offset_of(Dwarf_Die *die, unsigned name, unsigned other_name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    bool has = dwarf_attr(die, name, &attribute) || dwarf_attr(die, other_name, &attribute);
    return has && dwarf_formudata(&attribute, &value) == 0 ? value : 0;
}

static bool id_of(Dwarf_Die *unit, uint64_t *id)
{
    return unit->cu && dwarf_cu_info(unit->cu, NULL, NULL, NULL, NULL, id, NULL, NULL) == 0;
}

bool rp_elf_is_skeleton(Dwarf_Die *unit)
{
    return text_of(unit, DW_AT_dwo_name, DW_AT_GNU_dwo_name) != NULL;
}

/* ---- one file ---- */

static void split_close(elf_split *split)
{
    dwarf_end(split->dwarf);
    if (split->handle) {
        elf_end(split->handle);
    }
    rp_os_file_free(&split->bytes);
    *split = (elf_split){0};
}

/* False: it is none, or of another compilation. */
static bool split_take(elf_split *split, rp_os_bytes bytes, const skeleton *wanted)
{
    Dwarf_CU *at = NULL;
    Dwarf_Die unit;
    uint64_t id;
    *split = (elf_split){.bytes = bytes, .id = wanted->id, .addresses = wanted->addresses};
    if (rp_elf_check_object(wanted->name, bytes.data, bytes.size_bytes) == RP_OK) {
        split->handle = elf_memory((char *)bytes.data, bytes.size_bytes);
        split->dwarf = split->handle ? dwarf_begin_elf(split->handle, DWARF_C_READ, NULL) : NULL;
    }
    while (split->dwarf && dwarf_get_units(split->dwarf, at, &at, NULL, NULL, &unit, NULL) == 0) {
        if (dwarf_tag(&unit) == DW_TAG_compile_unit && id_of(&unit, &id) && id == wanted->id) {
            return true;
        }
    }
    split_close(split);
    return false;
}

/* ---- where it is ---- */

/* The places where it may lie, one after the other: where the compiler put it; beside the build,
 * in the same folders and without them. */
static bool place(const elf_file *file, const skeleton *s, int number, char *path)
{
    const char *slash = strrchr(file->elf.path, '/'), *base = strrchr(s->name, '/');
    int folder = slash ? (int)(slash - file->elf.path) : 0;
    rp_text_buffer text = rp_text_buffer_over(path, PATH_BYTES);
    switch (number) {
    case 0:
        rp_text_add(&text, "%s%s%s", s->name[0] == '/' ? "" : s->folder,
                    s->name[0] == '/' ? "" : "/", s->name);
        return true;
    case 1:
        rp_text_add(&text, "%.*s%s%s", folder, file->elf.path, folder ? "/" : "", s->name);
        return s->name[0] != '/';
    case 2:
        rp_text_add(&text, "%.*s%s%s", folder, file->elf.path, folder ? "/" : "",
                    base ? base + 1 : s->name);
        return true;
    default:
        return false;
    }
}

static bool find(elf_file *file, const skeleton *s, elf_split *split)
{
    enum { PLACES = 3 };
    char path[PATH_BYTES];
    bool there = false;
    for (int i = 0; i < PLACES; i++) {
        rp_os_bytes bytes;
        /* A name in a build may lead to anything: what is no regular file is not read. */
        if (!place(file, s, i, path) || rp_os_file_read(path, SPLIT_LIMIT_BYTES, &bytes) != RP_OK) {
            continue;
        }
        there = true;
        if (split_take(split, bytes, s)) {
            return true;
        }
    }
    if (!file->apart[0]) {
        rp_text_buffer text = rp_text_buffer_over(file->apart, sizeof file->apart);
        rp_text_add(&text, "%.90s %s", s->name,
                    there ? "is of another compilation" : "is not there");
    }
    return false;
}

/* ---- all ---- */

static bool skeleton_of(Dwarf_Die *unit, skeleton *s)
{
    *s = (skeleton){.name = text_of(unit, DW_AT_dwo_name, DW_AT_GNU_dwo_name),
                    .folder = text_of(unit, DW_AT_comp_dir, DW_AT_comp_dir),
                    .addresses = offset_of(unit, DW_AT_addr_base, DW_AT_GNU_addr_base)};
    s->folder = s->folder ? s->folder : "";
    return s->name && id_of(unit, &s->id);
}

static size_t count_skeletons(elf_file *file)
{
    Dwarf_CU *at = NULL;
    Dwarf_Die unit;
    size_t count = 0;
    while (dwarf_get_units(file->dwarf, at, &at, NULL, NULL, &unit, NULL) == 0 &&
           count < SPLITS_MOST) {
        count += rp_elf_is_skeleton(&unit);
    }
    return count;
}

/* The table of addresses, which libdw has unpacked where it was compressed. */
static void find_addresses(elf_file *file)
{
    size_t names;
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    if (elf_getshdrstrndx(file->handle, &names) != 0) {
        return;
    }
    while ((section = elf_nextscn(file->handle, section)) != NULL) {
        const char *name =
            gelf_getshdr(section, &header) ? elf_strptr(file->handle, names, header.sh_name) : NULL;
        if (name && strcmp(name, ".debug_addr") == 0) {
            file->addresses = elf_getdata(section, NULL);
        }
    }
}

void rp_elf_splits_read(elf_file *file)
{
    size_t most = file->dwarf ? count_skeletons(file) : 0;
    Dwarf_CU *at = NULL;
    Dwarf_Die unit;
    skeleton s;
    module_arena *arena = &file->splits_arena;
    if (!most) {
        return;
    }
    if (rp_arena_init(arena, most * sizeof *file->splits + RP_KIB(64)) == RP_OK) {
        file->splits = rp_arena_take(arena, most, sizeof *file->splits);
    }
    find_addresses(file);
    while (file->splits && file->split_count < most &&
           dwarf_get_units(file->dwarf, at, &at, NULL, NULL, &unit, NULL) == 0) {
        if (skeleton_of(&unit, &s) && find(file, &s, &file->splits[file->split_count])) {
            file->split_count++;
        }
    }
}

void rp_elf_splits_close(elf_file *file)
{
    for (size_t i = 0; i < file->split_count; i++) {
        split_close(&file->splits[i]);
    }
    rp_arena_finish(&file->splits_arena);
}

const elf_split *rp_elf_split_of(const elf_file *file, Dwarf_Die *unit)
{
    uint64_t id;
    bool known = id_of(unit, &id);
    for (size_t i = 0; known && i < file->split_count; i++) {
        if (file->splits[i].id == id) {
            return &file->splits[i];
        }
    }
    return NULL;
}

bool rp_elf_split_address(const elf_file *file, Dwarf_Die *die, uint64_t number, uint64_t *address)
{
    const Dwarf *dwarf = dwarf_cu_getdwarf(die->cu);
    const Elf_Data *table = file->addresses;
    for (size_t i = 0; table && i < file->split_count; i++) {
        uint64_t offset;
        if (file->splits[i].dwarf == dwarf) {
            bool inside = !__builtin_mul_overflow(number, sizeof *address, &offset) &&
                          !__builtin_add_overflow(offset, file->splits[i].addresses, &offset) &&
                          table->d_size >= sizeof *address &&
                          offset <= table->d_size - sizeof *address;
            if (inside) {
                memcpy(address, (const uint8_t *)table->d_buf + offset, sizeof *address);
            }
            return inside;
        }
    }
    return false;
}

const char *rp_elf_apart(const rp_elf *elf)
{
    return elf_file_of(elf)->apart;
}
