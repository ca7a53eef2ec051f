/* Answers of reprise-plan: symbols and a plan, as the process with the world reads them.
 *
 * The input is the answer. What passes the check may be searched by any address.
 */
#include "base/error.h"
#include "module/planned.h"
#include "os/os.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = aligned_alloc(4096, (size + 4096) & ~(size_t)4095);
    if (!copy) {
        return 0;
    }
    memcpy(copy, data, size);
    const rp_planned *planned = (const rp_planned *)(const void *)copy;
    if (rp_planned_check(planned, size) == RP_OK) {
        const rp_planned_symbol *symbols =
            (const rp_planned_symbol *)(const void *)(copy + planned->symbols_offset);
        for (uint32_t i = 0; i < planned->symbol_count; i++) {
            const rp_planned_symbol *found = rp_planned_find(planned, symbols[i].address);
            volatile size_t length = found ? strlen(rp_planned_name(planned, found)) : 0;
            (void)length;
        }
        (void)rp_planned_find(planned, 0);
        (void)rp_planned_find(planned, UINT64_MAX);
    }
    free(copy);
    return 0;
}
