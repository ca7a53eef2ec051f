/* A variable brought to its initial value, of the newest build. See session.h. */
#include "session.h"
#include "session_internal.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <module/elf.h>
#include <string.h>

static bool is_named(const rp_symbol *symbol, const char *name, const char *scope)
{
    return symbol->kind != RP_SYMBOL_FUNCTION && !symbol->read_only &&
           strlen(name) == symbol->base_length &&
           strncmp(symbol->base, name, symbol->base_length) == 0 &&
           (!*scope || strcmp(symbol->scope, scope) == 0);
}

/* "count", or "step.count" for a static of step(). */
static rp_status find(const rp_elf *elf, const char *name, const rp_symbol **found)
{
    char scope[128] = "";
    const char *dot = strchr(name, '.');
    if (dot && (size_t)(dot - name) < sizeof scope) {
        memcpy(scope, name, (size_t)(dot - name));
        scope[dot - name] = 0;
        name = dot + 1;
    }
    *found = NULL;
    for (size_t i = 0; i < elf->symbol_count; i++) {
        const rp_symbol *symbol = &elf->symbols[i];
        if (!is_named(symbol, name, scope)) {
            continue;
        }
        if (*found && (*found)->address != symbol->address) {
            return rp_fail(RP_E_ARGUMENT,
                           "reset: %.80s: there are several variables of this name: say which with "
                           "its function, as in step.%.80s",
                           name, name);
        }
        *found = symbol;
    }
    return *found ? RP_OK
                  : rp_fail(RP_E_NOT_FOUND, "reset: %.80s: the module has no variable of this name",
                            name);
}

static rp_status ask(session *s, uint64_t address, const uint8_t *initial, size_t count,
                     size_t size_bytes, link_message *answer)
{
    if (size_bytes > LINK_BULK_BYTES) {
        return rp_fail(RP_E_LIMIT, "reset: the variable is larger than %d bytes", LINK_BULK_BYTES);
    }
    memset(s->live.link->bulk, 0, size_bytes);
    memcpy(s->live.link->bulk, initial, rp_min_size(count, size_bytes));
    rp_status status = session_offer_slots(s, &s->live);
    link_message request = {.op = LINK_WRITE, .a = address, .b = size_bytes};
    process_wait wait = session_wait(s);
    return status ? status : process_ask(&s->live, &request, answer, &wait);
}

rp_status session_reset(session *s, const char *name)
{
    const rp_symbol *symbol;
    rp_record record;
    if (!session_record(s, &record) || s->loaded != s->newest || record.build != s->newest) {
        return rp_fail(RP_E_BUSY,
                       "reset: %.80s: the frame is an older build's: play on, then reset", name);
    }
    const session_build *build = session_build_at(s, s->newest);
    rp_status status = find(build->elf, name, &symbol);
    if (status) {
        return status;
    }
    if (rp_elf_has_relocations(build->elf, symbol)) {
        return rp_fail(RP_E_UNSUPPORTED,
                       "reset: %.80s: its initial value holds addresses, which only the loader "
                       "knows: restart the program",
                       name);
    }
    size_t count;
    const uint8_t *initial = rp_elf_initial(build->elf, symbol, &count);
    uint64_t base = symbol->kind == RP_SYMBOL_THREAD ? build->tls_address : build->base;
    link_message answer;
    status = ask(s, base + symbol->address, initial, count, (size_t)symbol->size_bytes, &answer);
    rp_record_desc desc = {.frame = record.frame, .build = s->newest, .kind = RP_RECORD_CARRIED};
    return status ? status : session_commit(s, &s->live, &answer, &desc);
}
