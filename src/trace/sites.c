/* Texts "file.c:12 Type", interned; where there is no text, the address of the call.
 *
 * After a reload the same address may hold another text, so what is known of an address is only a
 * guess: the texts are compared.
 */
#include "base/text.h"
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

/* "{@" and the address in hexadecimal and "}", its end, and then the address itself, by which it is
 * compared: what a call of malloc has in place of a text. */
enum { CODE_TEXT_BYTES = 24, CODE_KEY_BYTES = CODE_TEXT_BYTES + sizeof(uintptr_t) };

static bool holds_code(const rp_intern *sites, uint32_t id, uintptr_t address)
{
    size_t bytes;
    const char *kept = rp_intern_key(sites, id, &bytes);
    return kept && bytes == CODE_KEY_BYTES && kept[0] == '{' &&
           memcmp(kept + CODE_TEXT_BYTES, &address, sizeof address) == 0;
}

static uint32_t intern_code(rp_intern *sites, uintptr_t address)
{
    char key[CODE_KEY_BYTES] = {0};
    rp_text_buffer text = rp_text_buffer_over(key, CODE_TEXT_BYTES);
    rp_text_add(&text, "{@%llx}", (unsigned long long)address);
    memcpy(key + CODE_TEXT_BYTES, &address, sizeof address);
    return rp_intern_id(sites, key, sizeof key);
}

static uint32_t *near_of(rp_trace_tables *tables, uintptr_t address)
{
    uint64_t mixed = (uint64_t)address * UINT64_C(0x9e3779b97f4a7c15);
    return &tables->near[mixed >> 52];
}

static rp_intern *sites_of(rp_trace_tables *tables, rp_zone zone)
{
    return tables ? rp_trace_table(tables, zone, &tables->sites, &shape) : NULL;
}

uint32_t rp_trace_code_site(rp_zone zone, const void *caller)
{
    rp_trace_tables *tables = caller ? rp_trace_tables_of(zone) : NULL;
    rp_intern *sites = sites_of(tables, zone);
    if (!sites) {
        return 0;
    }
    uint32_t *near = near_of(tables, (uintptr_t)caller);
    uint32_t id = __atomic_load_n(near, __ATOMIC_RELAXED);
    if (!holds_code(sites, id, (uintptr_t)caller)) {
        id = intern_code(sites, (uintptr_t)caller);
        __atomic_store_n(near, id, __ATOMIC_RELAXED);
    }
    return id;
}

uint32_t rp_trace_site(rp_zone zone, const char *text)
{
    rp_trace_tables *tables = text ? rp_trace_tables_of(zone) : NULL;
    rp_intern *sites = sites_of(tables, zone);
    if (!sites) {
        return 0;
    }
    uint32_t *near = near_of(tables, (uintptr_t)text);
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

/* The address of a code site; 0: it is a text. */
static uintptr_t code_of(rp_zone zone, uint32_t id)
{
    const rp_trace_tables *tables = rp_trace_tables_if_any(zone);
    size_t bytes = 0;
    const char *key = tables && tables->sites ? rp_intern_key(tables->sites, id, &bytes) : NULL;
    uintptr_t address = 0;
    if (key && bytes == CODE_KEY_BYTES && key[0] == '{') {
        memcpy(&address, key + CODE_TEXT_BYTES, sizeof address);
    }
    return address;
}

const char *rp_trace_site_name(rp_zone zone, uint32_t id, char *text, size_t capacity)
{
    uintptr_t address = code_of(zone, id);
    if (!address) {
        return rp_trace_site_text(zone, id);
    }
    rp_trace_symbolise((const void *)address, false, text, capacity);
    return text;
}
