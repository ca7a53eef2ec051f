/* Texts "file.c:12 Type", interned.
 *
 * After a reload the same address may hold another text, so what is known of an address is only a
 * guess: the texts are compared.
 */
#include "trace/tables.h"

#include <string.h>

static const rp_intern_shape shape = {.bucket_count = 4096, .chunk_limit = 64, .colour = 21};

/* Texts are kept with their end, so that they can be read in place. */
static bool holds(const rp_intern *sites, uint32_t id, const char *text)
{
    size_t length;
    const char *kept = rp_intern_key(sites, id, &length);
    return kept && strcmp(kept, text) == 0;
}

static uint32_t intern(rp_intern *sites, const char *text)
{
    char cut[RP_INTERN_KEY_MOST_BYTES];
    size_t bytes = strlen(text) + 1;
    if (bytes > sizeof cut) {
        memcpy(cut, text, sizeof cut - 1);
        cut[sizeof cut - 1] = 0;
        text = cut;
        bytes = sizeof cut;
    }
    return rp_intern_id(sites, text, bytes);
}

uint32_t rp_trace_site(rp_zone zone, const char *text)
{
    rp_trace_tables *tables = text ? rp_trace_tables_of(zone) : NULL;
    rp_intern *sites = tables ? rp_trace_table(tables, zone, &tables->sites, &shape) : NULL;
    if (!sites) {
        return 0;
    }
    uint64_t mixed = (uint64_t)(uintptr_t)text * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t *near = &tables->near[mixed >> 52];
    uint32_t id = __atomic_load_n(near, __ATOMIC_RELAXED);
    if (!holds(sites, id, text)) {
        id = intern(sites, text);
        __atomic_store_n(near, id, __ATOMIC_RELAXED);
    }
    return id;
}

const char *rp_trace_site_text(rp_zone zone, uint32_t id)
{
    const rp_trace_tables *tables = rp_trace_tables_if_any(zone);
    size_t length;
    const char *text = tables && tables->sites ? rp_intern_key(tables->sites, id, &length) : NULL;
    return text ? text : "";
}
