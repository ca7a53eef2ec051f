/* The writable bytes of an object less what belongs to the loader. Layer: module.
 *
 * The loader's tables hold addresses of other libraries, which may lie elsewhere in the next
 * process. There are no section headers in memory, so the tables are found through the dynamic
 * section. The .got, where it is not read-only after relocation, has no entry there: it is the
 * range of words that its relocations fill. */
#include "module/object_state.h"

#include "base/bits.h"

#include <string.h>

enum { CUT_MAX = 16, GOT_PLT_RESERVED_WORDS = 3 };

typedef struct dynamic_facts {
    uint64_t address, size_bytes;
    uint64_t got_plt;
    rp_object_span relocations, plt_relocations;
    rp_object_span arrays[3]; /* init, fini, preinit */
} dynamic_facts;

typedef struct cut_list {
    rp_object_span cuts[CUT_MAX];
    uint32_t count;
} cut_list;

static void add_cut(cut_list *list, uint64_t start, uint64_t size_bytes)
{
    if (start && size_bytes && list->count < CUT_MAX) {
        list->cuts[list->count++] = (rp_object_span){start, size_bytes};
    }
}

/* Pointers in the dynamic section are absolute once the C library has seen them. */
static uint64_t absolute(const rp_object *object, uint64_t pointer)
{
    return pointer >= object->low && pointer < object->high ? pointer : object->base + pointer;
}

static void note_entry(const rp_object *object, dynamic_facts *facts, const ElfW(Dyn) * entry)
{
    uint64_t value = entry->d_un.d_val, pointer = absolute(object, value);
    switch (entry->d_tag) {
    case DT_PLTGOT:
        facts->got_plt = pointer;
        break;
    case DT_PLTRELSZ:
        facts->plt_relocations.size_bytes = value;
        break;
    case DT_JMPREL:
        facts->plt_relocations.start = pointer;
        break;
    case DT_RELA:
        facts->relocations.start = pointer;
        break;
    case DT_RELASZ:
        facts->relocations.size_bytes = value;
        break;
    case DT_INIT_ARRAY:
        facts->arrays[0].start = pointer;
        break;
    case DT_INIT_ARRAYSZ:
        facts->arrays[0].size_bytes = value;
        break;
    case DT_FINI_ARRAY:
        facts->arrays[1].start = pointer;
        break;
    case DT_FINI_ARRAYSZ:
        facts->arrays[1].size_bytes = value;
        break;
    case DT_PREINIT_ARRAY:
        facts->arrays[2].start = pointer;
        break;
    case DT_PREINIT_ARRAYSZ:
        facts->arrays[2].size_bytes = value;
        break;
    default:
        break;
    }
}

static void read_dynamic(const rp_object *object, const struct dl_phdr_info *info,
                         dynamic_facts *facts)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_DYNAMIC) {
            continue;
        }
        facts->address = object->base + header->p_vaddr;
        facts->size_bytes = header->p_memsz;
        const ElfW(Dyn) *entry = (const void *)(uintptr_t)facts->address;
        size_t count = header->p_memsz / sizeof *entry;
        for (size_t k = 0; k < count && entry[k].d_tag != DT_NULL; k++) {
            note_entry(object, facts, &entry[k]);
        }
    }
}

/* These types fill words of the .got and nothing else. */
static bool fills_got(uint64_t info)
{
    switch (ELF64_R_TYPE(info)) {
    case R_X86_64_GLOB_DAT:
    case R_X86_64_JUMP_SLOT:
    case R_X86_64_DTPMOD64:
    case R_X86_64_DTPOFF64:
    case R_X86_64_TPOFF64:
    case R_X86_64_TLSDESC:
        return true;
    default:
        return false;
    }
}

static void cut_filled(const rp_object *object, const rp_object_span *table, cut_list *list)
{
    if (table->start < object->low || table->start >= object->high ||
        table->size_bytes > object->high - table->start) {
        return;
    }
    const ElfW(Rela) *relocation = (const void *)(uintptr_t)table->start;
    size_t count = table->size_bytes / sizeof *relocation;
    uint64_t low = UINT64_MAX, high = 0;
    for (size_t i = 0; i < count; i++) {
        if (fills_got(relocation[i].r_info)) {
            uint64_t start = object->base + relocation[i].r_offset;
            bool pair = ELF64_R_TYPE(relocation[i].r_info) == R_X86_64_TLSDESC;
            uint64_t end = start + (pair ? 16 : 8);
            low = start < low ? start : low;
            high = end > high ? end : high;
        }
    }
    if (high) {
        add_cut(list, low, high - low);
    }
}

static void find_cuts(const rp_object *object, const struct dl_phdr_info *info, cut_list *list)
{
    dynamic_facts facts = {0};
    read_dynamic(object, info, &facts);
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_GNU_RELRO) {
            /* The loader protects from the page's start on; the linker puts nothing before it. */
            uint64_t start = object->base + header->p_vaddr;
            uint64_t from = rp_align_down(start, RP_PAGE_BYTES);
            add_cut(list, from, start + header->p_memsz - from);
        }
    }
    add_cut(list, facts.address, facts.size_bytes);
    for (size_t i = 0; i < RP_COUNT_OF(facts.arrays); i++) {
        add_cut(list, facts.arrays[i].start, facts.arrays[i].size_bytes);
    }
    uint64_t slots = facts.plt_relocations.size_bytes / sizeof(ElfW(Rela));
    add_cut(list, facts.got_plt, (GOT_PLT_RESERVED_WORDS + slots) * sizeof(uint64_t));
    cut_filled(object, &facts.relocations, list);
    cut_filled(object, &facts.plt_relocations, list); /* a TLSDESC takes two words */
}

static void sort_cuts(cut_list *list)
{
    for (uint32_t i = 1; i < list->count; i++) {
        rp_object_span cut = list->cuts[i];
        uint32_t k = i;
        for (; k > 0 && list->cuts[k - 1].start > cut.start; k--) {
            list->cuts[k] = list->cuts[k - 1];
        }
        list->cuts[k] = cut;
    }
}

static void add_state(rp_object *object, uint64_t start, uint64_t end)
{
    if (start >= end) {
        return;
    }
    if (object->state_count == RP_OBJECT_STATE_MAX) {
        object->state_lost++;
        return;
    }
    object->state[object->state_count++] = (rp_object_span){start, end - start};
}

static void add_less_cuts(rp_object *object, uint64_t start, uint64_t end, const cut_list *list)
{
    for (uint32_t i = 0; i < list->count && start < end; i++) {
        uint64_t cut_start = list->cuts[i].start;
        uint64_t cut_end = cut_start + list->cuts[i].size_bytes;
        if (cut_end <= start || cut_start >= end) {
            continue;
        }
        add_state(object, start, cut_start);
        start = cut_end;
    }
    add_state(object, start, end);
}

void rp_object_read_state(rp_object *object, const struct dl_phdr_info *info)
{
    cut_list list = {.count = 0};
    find_cuts(object, info, &list);
    sort_cuts(&list);
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && (header->p_flags & PF_W)) {
            uint64_t start = object->base + header->p_vaddr;
            add_less_cuts(object, start, start + header->p_memsz, &list);
        }
    }
}
