/* Reading a build from hostile bytes, and planning from it to itself, from and to the build that
 * was read before it: an error or a description, never a crash. The two are mostly mutations of one
 * file, so that their types are compared. Entry point for libFuzzer and for plain drivers that call
 * it with mutated files. */
#include "module/elf.h"
#include "module/plan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    check_plan(elf, elf);
    if (before) {
        check_plan(before, elf);
        check_plan(elf, before);
    }
    rp_elf_close(before);
    before = elf;
    return sum == UINT64_MAX ? -1 : 0; /* uses what was read */
}
