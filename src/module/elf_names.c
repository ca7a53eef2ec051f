/* What the programmer wrote, from what the compiler made of it. Layer: module.
 *
 *   gcc     static int count;  in step()     count.0
 *   clang                                    step.count     a second one: step.count.1
 *   both    link-time optimisation           count.lto_priv.0
 *   C++     static int count;                _ZL5count
 */
#include "module/elf_internal.h"

#include <string.h>

enum { SCOPE_LIMIT = 240 };

static bool is_number(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return length > 0;
}

static bool is_compilers_word(const char *text, size_t length)
{
    static const char *const words[] = {"lto_priv", "constprop",  "part", "isra",
                                        "cold",     "localalias", "llvm"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i]) == length && memcmp(text, words[i], length) == 0) {
            return true;
        }
    }
    return false;
}

static size_t last_dot(const char *name, size_t length)
{
    while (length > 0 && name[length - 1] != '.') {
        length--;
    }
    return length; /* the index behind the dot; 0: none */
}

static size_t without_suffix(const char *name, size_t length)
{
    for (;;) {
        size_t part = last_dot(name, length);
        if (part < 2 || (!is_number(name + part, length - part) &&
                         !is_compilers_word(name + part, length - part))) {
            return length;
        }
        length = part - 1;
    }
}

/* How long "_ZL5" of "_ZL5count" is; 0: it is no such name. */
static size_t static_prefix(const char *name, size_t length)
{
    size_t at = 3, rest = 0;
    if (length < 5 || memcmp(name, "_ZL", 3) != 0) {
        return 0;
    }
    for (; at < length && at < 9 && name[at] >= '0' && name[at] <= '9'; at++) {
        rest = rest * 10 + (size_t)(name[at] - '0');
    }
    return at > 3 && rest > 0 && rest == length - at ? at : 0;
}

void rp_elf_split_name(elf_file *file, rp_symbol *symbol)
{
    const char *name = symbol->name;
    size_t length = without_suffix(name, strlen(name)), part = last_dot(name, length);
    size_t prefix = symbol->kind == RP_SYMBOL_FUNCTION ? 0 : static_prefix(name, length);
    symbol->base = name + prefix;
    symbol->base_length = (uint32_t)(length - prefix);
    if (prefix || symbol->kind == RP_SYMBOL_FUNCTION || part < 2 || part == length ||
        part > SCOPE_LIMIT) {
        return;
    }
    char *scope = rp_arena_take(&file->arena, 1, part);
    if (scope) {
        memcpy(scope, name, part - 1);
        symbol->scope = scope;
        symbol->base = name + part;
        symbol->base_length = (uint32_t)(length - part);
    }
}
