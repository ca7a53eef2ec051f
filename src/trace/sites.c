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
static bool holds_text(const rp_intern *sites, uint32_t id, const void *text)
{
    size_t length;
    const char *kept = rp_intern_key(sites, id, &length);
    return kept && strcmp(kept, text) == 0;
}

static uint32_t intern_text(rp_intern *sites, const void *given)
{
    const char *text = given;
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

static bool holds_code(const rp_intern *sites, uint32_t id, const void *address)
{
    size_t bytes;
    const char *kept = rp_intern_key(sites, id, &bytes);
    return kept && bytes == CODE_KEY_BYTES && kept[0] == '{' &&
           memcmp(kept + CODE_TEXT_BYTES, &address, sizeof address) == 0;
}

static uint32_t intern_code(rp_intern *sites, const void *address)
{
    char key[CODE_KEY_BYTES] = {0};
    rp_text_buffer text = rp_text_buffer_over(key, CODE_TEXT_BYTES);
    rp_text_add(&text, "{@%llx}", (unsigned long long)(uintptr_t)address);
    memcpy(key + CODE_TEXT_BYTES, &address, sizeof address);
    return rp_intern_id(sites, key, sizeof key);
}

typedef bool site_holds(const rp_intern *sites, uint32_t id, const void *address);
typedef uint32_t site_intern(rp_intern *sites, const void *address);

/* What was found for the address last, if it still holds what is there; else interned anew. */
static inline uint32_t site_at(rp_zone zone, const void *address, site_holds *holds,
                               site_intern *intern)
{
    rp_trace_tables *tables = address ? rp_trace_tables_of(zone) : NULL;
    rp_intern *sites = tables ? rp_trace_table(tables, zone, &tables->sites, &shape) : NULL;
    if (!sites) {
        return 0;
    }
    uint64_t mixed = (uint64_t)(uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t *near = &tables->near[mixed >> 52];
    uint32_t id = __atomic_load_n(near, __ATOMIC_RELAXED);
    if (!holds(sites, id, address)) {
        id = intern(sites, address);
        __atomic_store_n(near, id, __ATOMIC_RELAXED);
    }
    return id;
}

uint32_t rp_trace_site(rp_zone zone, const char *text)
{
    return site_at(zone, text, holds_text, intern_text);
}

uint32_t rp_trace_code_site(rp_zone zone, const void *caller)
{
    return site_at(zone, caller, holds_code, intern_code);
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
