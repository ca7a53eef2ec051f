/* Reading a build from hostile bytes: symbols, lines, types, and plans between two of them. From a
 * build to itself, and from and to the build that was read before it: an error or a description,
 * never a crash. The two are mostly mutations of one file, so that their types are compared. */
#include "module/elf.h"
#include "module/plan.h"
#include "module/value.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static uint64_t use_symbols(const rp_elf *elf)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < elf->symbol_count; i++) {
        const rp_symbol *symbol = &elf->symbols[i];
        size_t count;
        const uint8_t *initial = rp_elf_initial(elf, symbol, &count);
        sum += strlen(symbol->base) + strlen(symbol->file) + strlen(symbol->scope);
        sum += count ? initial[0] + initial[count - 1] : 0u;
        sum += rp_elf_symbol_at(elf, symbol->address) != NULL;
    }
    return sum;
}

static void check_plan(const rp_elf *old_elf, const rp_elf *new_elf)
{
    rp_plan *plan = NULL;
    if (rp_plan_make(old_elf, 1, 0x10000000, 0x20000000, new_elf, 2, NULL, &plan) == RP_OK) {
        if (rp_plan_check(plan, plan->total_bytes) != RP_OK) {
            abort();
        }
        rp_plan_free(plan);
    } else if (!*rp_error_last()->text) {
        abort();
    }
}

/* A memory in which every word is the same. */
static bool read_word(void *context, uint64_t address, void *to, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        ((uint8_t *)to)[i] = ((const uint8_t *)context)[(address + i) % sizeof(uint64_t)];
    }
    return true;
}

static void ignore_leaf(void *context, const rp_value_leaf *leaf)
{
    *(size_t *)context += strlen(leaf->path) + strlen(leaf->type);
}

/* Names and values of all that the build has. */
static void check_values(const rp_elf *elf)
{
    uint64_t word = 0x10000040, unknown;
    rp_image image = {.context = &word, .read = read_word, .base = 0x10000000};
    rp_values *values;
    rp_value_map *map;
    rp_value_sum sum;
    size_t length = 0;
    if (rp_values_open(elf, 0x10000000, 0x20000000, &values) != RP_OK) {
        return;
    }
    rp_value_side side = {values, &image};
    if (rp_value_map_make(values, &image, &map) == RP_OK) {
        for (size_t i = 0; i < elf->symbol_count && i < 64; i++) {
            rp_value_map_leaves(map, 0x10000000 + elf->symbols[i].address, 64, ignore_leaf, &length,
                                &unknown);
        }
        rp_value_map_drop(map);
    }
    if (rp_value_compare(&side, &side, NULL, NULL, &sum) == RP_OK && sum.differ) {
        abort(); /* from itself */
    }
    rp_values_close(values);
}

/* ---- mutations that keep the file an ELF file ---- */

static bool in_file(uint64_t offset, uint64_t bytes, size_t size)
{
    return offset <= size && bytes <= size - offset;
}

/* The part of the file that section `index` takes; empty where the file does not hold it. */
static uint8_t *section_bytes(uint8_t *data, size_t size, unsigned index, size_t *bytes)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)data;
    uint64_t at = header->e_shoff + index * sizeof(Elf64_Shdr);
    Elf64_Shdr section = {0};
    if (in_file(at, sizeof section, size)) {
        memcpy(&section, data + at, sizeof section);
    }
    bool whole = section.sh_type != SHT_NOBITS && in_file(section.sh_offset, section.sh_size, size);
    *bytes = whole ? section.sh_size : 0;
    return data + (whole ? section.sh_offset : 0);
}

/* Most changes of an ELF file's frame end at its first check. So three of four go into a section's
 * bytes and leave its length, which is how they come to the symbols and the debug information. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)data;
    if (size < sizeof *header || !header->e_shnum || seed % 4 == 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    size_t bytes;
    uint8_t *part = section_bytes(data, size, seed / 4 % header->e_shnum, &bytes);
    if (bytes) {
        LLVMFuzzerMutate(part, bytes, bytes);
    }
    return size;
}

/* ---- the target ---- */

static rp_elf *before; /* what was read last */

__attribute__((destructor)) static void drop_last(void)
{
    rp_elf_close(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rp_elf *elf;
    if (rp_elf_open_memory(data, size, "fuzz.so", &elf) != RP_OK) {
        return 0;
    }
    uint64_t sum = use_symbols(elf);
    check_values(elf);
    check_plan(elf, elf);
    if (before) {
        check_plan(before, elf);
        check_plan(elf, before);
    }
    rp_elf_close(before);
    before = elf;
    return sum == UINT64_MAX ? -1 : 0; /* uses what was read */
}
