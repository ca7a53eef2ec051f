/* Checking what another process answered, and finding a symbol in it. Layer: module. */
#include "module/planned.h"

#include "base/bits.h"
#include "base/error.h"

#include <string.h>

static rp_status damaged(const char *why)
{
    return rp_fail(RP_E_FORMAT, "reprise-plan: its answer is damaged: %s: reload once more", why);
}

static const rp_planned_symbol *symbols_of(const rp_planned *planned)
{
    return (const rp_planned_symbol *)(const void *)((const char *)planned +
                                                     planned->symbols_offset);
}

static bool inside(const rp_planned *planned, uint64_t offset, uint64_t count, size_t each)
{
    return offset % 8 == 0 && offset >= sizeof *planned && offset <= planned->total_bytes &&
           count <= (planned->total_bytes - offset) / each;
}

static rp_status check_symbols(const rp_planned *planned)
{
    const rp_planned_symbol *symbols = symbols_of(planned);
    const char *names = (const char *)planned + planned->names_offset;
    if (!planned->names_bytes || names[planned->names_bytes - 1]) {
        return damaged("its names do not end");
    }
    for (uint32_t i = 0; i < planned->symbol_count; i++) {
        bool ordered = !i || symbols[i].address >= symbols[i - 1].address;
        if (!ordered || symbols[i].name >= planned->names_bytes ||
            symbols[i].size_bytes > UINT64_MAX - symbols[i].address) {
            return damaged("its symbols are in disorder");
        }
    }
    return RP_OK;
}

/* The error that the other process met becomes that of this thread. */
static rp_status told(const rp_planned *planned)
{
    char text[sizeof planned->text];
    memcpy(text, planned->text, sizeof text);
    text[sizeof text - 1] = 0;
    bool known = planned->status < 0 && planned->status >= RP_E_CLOSED;
    return rp_fail(known ? (rp_status)planned->status : RP_E_FORMAT, "%s", text);
}

rp_status rp_planned_check(const rp_planned *planned, size_t size_bytes)
{
    if (size_bytes < sizeof *planned || planned->magic != RP_PLANNED_MAGIC ||
        planned->version != RP_PLANNED_VERSION) {
        return damaged("it does not begin as one");
    }
    if (planned->status != RP_OK) {
        return told(planned);
    }
    if (planned->total_bytes > size_bytes || planned->total_bytes < sizeof *planned ||
        !inside(planned, planned->symbols_offset, planned->symbol_count,
                sizeof(rp_planned_symbol)) ||
        !inside(planned, planned->names_offset, planned->names_bytes, 1)) {
        return damaged("a part of it lies outside");
    }
    rp_status status = check_symbols(planned);
    if (status != RP_OK || !planned->plan_bytes) {
        return status;
    }
    if (planned->plan_offset % RP_PAGE_BYTES ||
        !inside(planned, planned->plan_offset, planned->plan_bytes, 1)) {
        return damaged("its plan lies outside");
    }
    return rp_plan_check(rp_planned_plan(planned), (size_t)planned->plan_bytes);
}

const rp_planned_symbol *rp_planned_find(const rp_planned *planned, uint64_t address)
{
    const rp_planned_symbol *symbols = symbols_of(planned);
    uint32_t low = 0, high = planned->symbol_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (symbols[middle].address <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool holds = low && address - symbols[low - 1].address < symbols[low - 1].size_bytes;
    return holds ? &symbols[low - 1] : NULL;
}
