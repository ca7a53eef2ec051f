/* The variables and functions of a build, from .symtab, else from .dynsym. Layer: module. */
#include "base/error.h"
#include "module/elf_internal.h"

#include <stdlib.h>
#include <string.h>

bool rp_elf_is_read_only(const elf_file *file, uint64_t address)
{
    if (address >= file->relro_low && address < file->relro_high) {
        return true;
    }
    for (int i = 0; i < file->elf.segment_count; i++) {
        const rp_elf_segment *segment = &file->elf.segments[i];
        if (segment->writable && address - segment->address < segment->memory_bytes) {
            return false;
        }
    }
    return true;
}

static bool kind_of(const GElf_Sym *symbol, rp_symbol_kind *kind)
{
    switch (GELF_ST_TYPE(symbol->st_info)) {
    case STT_OBJECT:
    case STT_COMMON:
        *kind = RP_SYMBOL_VARIABLE;
        return true;
    case STT_TLS:
        *kind = RP_SYMBOL_THREAD;
        return true;
    case STT_FUNC:
    case STT_GNU_IFUNC:
        *kind = RP_SYMBOL_FUNCTION;
        return true;
    default:
        return false;
    }
}

static bool in_place(const rp_elf *elf, rp_symbol_kind kind, const GElf_Sym *symbol)
{
    if (kind == RP_SYMBOL_THREAD) {
        return symbol->st_size && symbol->st_value <= elf->tls_bytes &&
               symbol->st_size <= elf->tls_bytes - symbol->st_value;
    }
    if (kind == RP_SYMBOL_VARIABLE && !symbol->st_size) {
        return false; /* a mark of the linker's, such as _DYNAMIC */
    }
    for (int i = 0; i < elf->segment_count; i++) {
        uint64_t offset = symbol->st_value - elf->segments[i].address;
        if (offset < elf->segments[i].memory_bytes &&
            symbol->st_size <= elf->segments[i].memory_bytes - offset) {
            return true;
        }
    }
    return false;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* `source`: the file symbol that went before; "" with link-time optimisation and where GNU ld lists
 * hidden symbols. Those are global to the program but local in the result; lld lists them under the
 * file that defines them. */
static bool read_symbol(elf_file *file, const GElf_Sym *from, const char *name, const char *source,
                        rp_symbol *symbol)
{
    rp_symbol_kind kind;
    if (from->st_shndx == SHN_UNDEF || from->st_shndx == SHN_ABS || !*name ||
        !kind_of(from, &kind) || !in_place(&file->elf, kind, from)) {
        return false;
    }
    bool local = GELF_ST_BIND(from->st_info) == STB_LOCAL &&
                 GELF_ST_VISIBILITY(from->st_other) == STV_DEFAULT;
    *symbol = (rp_symbol){.name = name,
                          .file = local ? source : "",
                          .scope = "",
                          .kind = kind,
                          .local = local,
                          .unique = GELF_ST_BIND(from->st_info) == STB_GNU_UNIQUE,
                          .address = from->st_value,
                          .size_bytes = from->st_size};
    symbol->read_only = kind == RP_SYMBOL_VARIABLE && rp_elf_is_read_only(file, symbol->address);
    symbol->tweak = kind == RP_SYMBOL_VARIABLE && symbol->address >= file->tweak_low &&
                    symbol->address < file->tweak_high;
    rp_elf_split_name(file, symbol);
    return true;
}

static int compare_symbols(const void *a_pointer, const void *b_pointer)
{
    const rp_symbol *a = a_pointer, *b = b_pointer;
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->address != b->address) {
        return a->address < b->address ? -1 : 1;
    }
    if (a->size_bytes != b->size_bytes) { /* the largest last: it is what symbol_at finds */
        return a->size_bytes < b->size_bytes ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

rp_status rp_elf_read_symbols(elf_file *file)
{
    Elf_Scn *table = file->symtab ? file->symtab : file->dynsym;
    GElf_Shdr header;
    Elf_Data *data = elf_getdata(table, NULL);
    if (!data || !gelf_getshdr(table, &header)) {
        return rp_fail(RP_E_FORMAT, "%s: damaged: its symbols cannot be read: link it again",
                       file->elf.path);
    }
    size_t count = data->d_size / sizeof(Elf64_Sym);
    rp_elf *elf = &file->elf;
    elf->has_symtab = file->symtab;
    elf->symbols = rp_arena_take(&file->arena, count, sizeof(rp_symbol));
    if (!elf->symbols) {
        return file->arena.failure;
    }
    const char *source = "";
    GElf_Sym symbol;
    for (int i = 1; (size_t)i < count && gelf_getsym(data, i, &symbol); i++) {
        const char *name = elf_strptr(file->handle, header.sh_link, symbol.st_name);
        if (name && GELF_ST_TYPE(symbol.st_info) == STT_FILE) {
            source = file_name(name);
        } else if (name) {
            elf->symbol_count +=
                read_symbol(file, &symbol, name, source, &elf->symbols[elf->symbol_count]);
        }
    }
    qsort(elf->symbols, elf->symbol_count, sizeof(rp_symbol), compare_symbols);
    return RP_OK;
}

static const rp_symbol *last_at_or_before(const rp_elf *elf, rp_symbol_kind kind, uint64_t address)
{
    size_t low = 0, high = elf->symbol_count; /* the answer is at low - 1 */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const rp_symbol *symbol = &elf->symbols[middle];
        if (symbol->kind < kind || (symbol->kind == kind && symbol->address <= address)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low && elf->symbols[low - 1].kind == kind ? &elf->symbols[low - 1] : NULL;
}

const rp_symbol *rp_elf_symbol_at(const rp_elf *elf, uint64_t address)
{
    const rp_symbol_kind kinds[] = {RP_SYMBOL_FUNCTION, RP_SYMBOL_VARIABLE};
    for (size_t i = 0; i < 2; i++) {
        const rp_symbol *symbol = last_at_or_before(elf, kinds[i], address);
        if (symbol &&
            (symbol->address == address || address - symbol->address < symbol->size_bytes)) {
            return symbol;
        }
    }
    return NULL;
}

const rp_symbol *rp_elf_symbol_named(const rp_elf *elf, const char *name)
{
    const rp_symbol *found = NULL;
    for (size_t i = 0; i < elf->symbol_count; i++) {
        if (strcmp(elf->symbols[i].name, name) == 0 && (!found || found->local)) {
            found = &elf->symbols[i];
        }
    }
    return found;
}

const uint8_t *rp_elf_initial(const rp_elf *elf, const rp_symbol *symbol, size_t *count)
{
    uint64_t address = symbol->address;
    if (symbol->kind == RP_SYMBOL_THREAD) {
        address += elf->tls_address;
    }
    const uint8_t *data = elf_file_of(elf)->bytes.data;
    for (int i = 0; i < elf->segment_count; i++) {
        const rp_elf_segment *segment = &elf->segments[i];
        uint64_t offset = address - segment->address;
        if (offset < segment->file_bytes) {
            uint64_t left = segment->file_bytes - offset;
            *count = (size_t)(symbol->size_bytes < left ? symbol->size_bytes : left);
            return data + segment->file_offset + offset;
        }
    }
    *count = 0;
    return data;
}

static bool section_touches(Elf_Scn *section, uint64_t low, uint64_t high)
{
    GElf_Shdr header;
    Elf_Data *data = gelf_getshdr(section, &header) && header.sh_type == SHT_RELA
                         ? elf_getdata(section, NULL)
                         : NULL;
    GElf_Rela entry;
    for (int i = 0; data && gelf_getrela(data, i, &entry); i++) {
        if (entry.r_offset < high && entry.r_offset + sizeof(uint64_t) > low) {
            return true;
        }
    }
    return false;
}

bool rp_elf_has_relocations(const rp_elf *elf, const rp_symbol *symbol)
{
    elf_file *file = elf_file_of(elf);
    uint64_t low = symbol->address + (symbol->kind == RP_SYMBOL_THREAD ? elf->tls_address : 0);
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(file->handle, section))) {
        if (section_touches(section, low, low + symbol->size_bytes)) {
            return true;
        }
    }
    return false;
}
