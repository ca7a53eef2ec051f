/* Pairing symbols: by key, then by a name that is unique in both builds. Layer: module.
 *
 * The key is kind, name, file of a local symbol, function of a static. What the key cannot tell
 * apart is paired by the compiler's numbering where both builds have as many of it, of the same
 * sizes; where that is not so, nothing is guessed. */
#include "module/plan_match.h"

#include <stdlib.h>
#include <string.h>

/* A function's clones ("f.part.0") are not f, so its whole name counts. */
static text_view name_of(const rp_symbol *symbol)
{
    if (symbol->kind == RP_SYMBOL_FUNCTION) {
        return (text_view){symbol->name, strlen(symbol->name)};
    }
    return (text_view){symbol->base, symbol->base_length};
}

/* The place after text[at], past a closure's number: lambdas are "…UlvE_…", "…UlvE0_…", "…UlvE1_…"
 * by their order in the function, which an edit changes. */
static size_t after_number(text_view name, size_t at)
{
    size_t end = at + 1;
    if (name.text[at] == 'E') {
        while (end < name.length && name.text[end] >= '0' && name.text[end] <= '9') {
            end++;
        }
        end = end < name.length && name.text[end] == '_' ? end : at + 1;
    }
    return end;
}

static bool has_closure(text_view name)
{
    return name.length > 2 && memcmp(name.text, "_Z", 2) == 0 &&
           memmem(name.text, name.length, "Ul", 2) != NULL;
}

static int compare_closures(text_view a, text_view b)
{
    size_t i = 0, k = 0;
    while (i < a.length && k < b.length && a.text[i] == b.text[k]) {
        i = after_number(a, i);
        k = after_number(b, k);
    }
    int a_next = i < a.length ? (unsigned char)a.text[i] : -1;
    int b_next = k < b.length ? (unsigned char)b.text[k] : -1;
    return (a_next > b_next) - (a_next < b_next);
}

static int compare_texts(text_view a, text_view b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = memcmp(a.text, b.text, shorter);
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_names(const match_entry *a, const match_entry *b)
{
    if (a->symbol->kind != b->symbol->kind) {
        return a->symbol->kind < b->symbol->kind ? -1 : 1;
    }
    if (a->closure != b->closure) {
        return a->closure ? -1 : 1;
    }
    return a->closure ? compare_closures(a->name, b->name) : compare_texts(a->name, b->name);
}

static int compare_keys(const match_entry *a, const match_entry *b)
{
    int order = compare_names(a, b);
    if (order == 0 && a->symbol->file != b->symbol->file) {
        order = strcmp(a->symbol->file, b->symbol->file);
    }
    return order ? order : strcmp(a->symbol->scope, b->symbol->scope);
}

/* Within a key: the compiler's numbers, "count.9" before "count.10"; then the link's order. */
static int compare_entries(const void *a_pointer, const void *b_pointer)
{
    const match_entry *a_entry = a_pointer, *b_entry = b_pointer;
    const rp_symbol *a = a_entry->symbol, *b = b_entry->symbol;
    int order = compare_keys(a_entry, b_entry);
    if (order) {
        return order;
    }
    size_t a_length = strlen(a->name), b_length = strlen(b->name);
    if (a_length != b_length) {
        return a_length < b_length ? -1 : 1;
    }
    order = strcmp(a->name, b->name);
    return order ? order : (a->address > b->address) - (a->address < b->address);
}

/* The start files' own variables, and the mark that each object carries to know itself. */
static bool is_wanted(const rp_symbol *symbol)
{
    return strcmp(symbol->file, "crtstuff.c") != 0 && strcmp(symbol->name, "__dso_handle") != 0;
}

static rp_status fill(const rp_elf *elf, module_arena *arena, match_side *side)
{
    side->count = 0;
    side->entries = rp_arena_take(arena, elf->symbol_count + 1, sizeof *side->entries);
    if (!side->entries) {
        return arena->failure;
    }
    for (size_t i = 0; i < elf->symbol_count; i++) {
        const rp_symbol *symbol = &elf->symbols[i];
        if (is_wanted(symbol)) {
            text_view name = name_of(symbol);
            side->entries[side->count++] =
                (match_entry){.symbol = symbol, .name = name, .closure = has_closure(name)};
        }
    }
    qsort(side->entries, side->count, sizeof *side->entries, compare_entries);
    return RP_OK;
}

typedef int compare_entries_fn(const match_entry *a, const match_entry *b);

static size_t run_length(const match_side *side, size_t from, compare_entries_fn *compare)
{
    size_t end = from + 1;
    while (end < side->count && compare(&side->entries[from], &side->entries[end]) == 0) {
        end++;
    }
    return end - from;
}

typedef void pair_runs_fn(match_entry *old_run, size_t old_count, match_entry *new_run,
                          size_t new_count);

/* Walks both sorted sides and hands over the runs that `compare` finds equal. */
static void join(match_side *old_side, match_side *new_side, compare_entries_fn *compare,
                 pair_runs_fn *pair)
{
    size_t o = 0, n = 0;
    while (o < old_side->count && n < new_side->count) {
        int order = compare(&old_side->entries[o], &new_side->entries[n]);
        size_t old_run = run_length(old_side, o, compare);
        size_t new_run = run_length(new_side, n, compare);
        if (order == 0) {
            pair(&old_side->entries[o], old_run, &new_side->entries[n], new_run);
        }
        o += order <= 0 ? old_run : 0;
        n += order >= 0 ? new_run : 0;
    }
}

static void pair_entries(match_entry *old_entry, match_entry *new_entry)
{
    old_entry->state = new_entry->state = MATCH_FOUND;
    old_entry->partner = new_entry->symbol;
    new_entry->partner = old_entry->symbol;
}

/* A function's size changes with each edit and says nothing. */
static bool sizes_agree(const match_entry *old_run, const match_entry *new_run, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (old_run[i].symbol->kind != RP_SYMBOL_FUNCTION &&
            old_run[i].symbol->size_bytes != new_run[i].symbol->size_bytes) {
            return false;
        }
    }
    return true;
}

static void pair_same_key(match_entry *old_run, size_t old_count, match_entry *new_run,
                          size_t new_count)
{
    bool single = old_count == 1 && new_count == 1;
    if (single || (old_count == new_count && sizes_agree(old_run, new_run, old_count))) {
        for (size_t i = 0; i < old_count; i++) {
            pair_entries(&old_run[i], &new_run[i]);
            old_run[i].by_order = !single;
        }
        return;
    }
    for (size_t i = 0; i < old_count; i++) {
        old_run[i].state = MATCH_AMBIGUOUS;
    }
    for (size_t i = 0; i < new_count; i++) {
        new_run[i].state = MATCH_AMBIGUOUS;
    }
}

/* gcc numbers statics of functions; without debug information that number is all there is. */
static bool has_unknown_scope(const rp_symbol *symbol)
{
    return symbol->kind != RP_SYMBOL_FUNCTION && !*symbol->scope &&
           symbol->base_length < strlen(symbol->base);
}

static bool scopes_agree(const rp_symbol *a, const rp_symbol *b)
{
    bool a_unknown = has_unknown_scope(a), b_unknown = has_unknown_scope(b);
    if (a_unknown || b_unknown) {
        return (a_unknown || *a->scope) && (b_unknown || *b->scope);
    }
    return strcmp(a->scope, b->scope) == 0;
}

/* A static made global or the other way round; two statics of different files stay two things. */
static bool files_agree(const rp_symbol *a, const rp_symbol *b)
{
    return !*a->file || !*b->file || strcmp(a->file, b->file) == 0;
}

static void pair_same_name(match_entry *old_run, size_t old_count, match_entry *new_run,
                           size_t new_count)
{
    if (old_count == 1 && new_count == 1 && old_run->state == MATCH_NONE &&
        new_run->state == MATCH_NONE && scopes_agree(old_run->symbol, new_run->symbol) &&
        files_agree(old_run->symbol, new_run->symbol)) {
        pair_entries(old_run, new_run);
    }
}

rp_status rp_match(const rp_elf *old_elf, const rp_elf *new_elf, module_arena *arena,
                   match_side *old_side, match_side *new_side)
{
    rp_status status = fill(old_elf, arena, old_side);
    if (status == RP_OK) {
        status = fill(new_elf, arena, new_side);
    }
    if (status == RP_OK) {
        join(old_side, new_side, compare_keys, pair_same_key);
        join(old_side, new_side, compare_names, pair_same_name);
    }
    return status;
}
