/* Comparing all types of two builds, and what differs in words. Layer: module.
 *
 * A type is known by its name. Several of one name (two files, each with its own struct node) are
 * told apart by the file that was compiled; where that does not tell, nothing is guessed. */
#include "module/types_internal.h"

#include <string.h>

enum { GROUP_MAX = 256 }; /* layouts of one name in one build that are looked at */

typedef struct type_group {
    type_layout *const *types; /* of one name, sorted by unit */
    size_t count;
} type_group;

typedef struct comparison {
    const type_table *old_types, *new_types;
    type_difference worst; /* the one at hand */
    size_t changed;
    rp_types_told_fn *told;
    void *context;
} comparison;

static void tell(comparison *c);

static type_group group_at(const type_table *table, size_t from)
{
    size_t end = from + 1;
    while (end < table->count && rp_type_compare_keys(table->types[from], table->types[end]) == 0) {
        end++;
    }
    return (type_group){&table->types[from], end - from};
}

static bool is_uniform(type_group group)
{
    for (size_t i = 1; i < group.count; i++) {
        if (group.types[i]->hash != group.types[0]->hash) {
            return false;
        }
    }
    return true;
}

static bool has_unit(type_group group, const char *unit)
{
    for (size_t i = 0; i < group.count; i++) {
        if (strcmp(group.types[i]->unit, unit) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_twin(type_group group, const type_layout *type)
{
    for (size_t i = 0; i < group.count; i++) {
        if (group.types[i]->hash == type->hash && strcmp(group.types[i]->unit, type->unit) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_layout(type_group group, const type_layout *type)
{
    for (size_t i = 0; i < group.count; i++) {
        if (rp_type_difference(group.types[i], type).kind == DIFFERENCE_NONE) {
            return true;
        }
    }
    return false;
}

/* What `type` of the new build was, where its layout is not in the old build. In its own file the
 * one that is there no more; else the only one whose file is gone. */
static const type_layout *predecessor(type_group old_group, type_group new_group,
                                      const type_layout *type)
{
    bool same_unit = has_unit(old_group, type->unit);
    const type_layout *found = NULL;
    for (size_t i = 0; i < old_group.count; i++) {
        const type_layout *candidate = old_group.types[i];
        bool fits = same_unit ? strcmp(candidate->unit, type->unit) == 0
                              : !has_unit(new_group, candidate->unit);
        if (!fits || has_twin(new_group, candidate)) {
            continue;
        }
        if (found && found->hash != candidate->hash) {
            return same_unit ? found : NULL;
        }
        found = candidate;
    }
    return found;
}

static void compare_two(comparison *c, const type_layout *old_type, const type_layout *new_type)
{
    type_difference difference = rp_type_difference(old_type, new_type);
    if (difference.kind != DIFFERENCE_NONE) {
        c->changed++;
        c->worst = difference;
        tell(c);
    }
}

static void compare_groups(comparison *c, type_group old_group, type_group new_group)
{
    if (is_uniform(old_group) && is_uniform(new_group)) {
        compare_two(c, old_group.types[0], new_group.types[0]);
        return;
    }
    old_group.count = old_group.count < GROUP_MAX ? old_group.count : GROUP_MAX;
    new_group.count = new_group.count < GROUP_MAX ? new_group.count : GROUP_MAX;
    for (size_t i = 0; i < new_group.count; i++) {
        const type_layout *type = new_group.types[i], *was = NULL;
        bool own = has_unit(old_group, type->unit);
        if (own ? !has_twin(old_group, type) : !has_layout(old_group, type)) {
            was = predecessor(old_group, new_group, type);
        }
        if (was) {
            compare_two(c, was, type);
        }
    }
}

static void add_role(const type_member *member, rp_text_buffer *text)
{
    rp_text_add(text, "%s '%.80s'",
                member->flags & USE_VIRTUAL      ? "virtual function"
                : member->flags & USE_CONSTANT   ? "constant"
                : member->flags & USE_BASE_CLASS ? "base class"
                                                 : "member",
                member->name);
}

static void add_place(const type_member *member, rp_text_buffer *text)
{
    bool plain = member->flags & (USE_VIRTUAL | USE_CONSTANT);
    uint64_t bit = plain ? 0 : member->offset_bits % 8;
    uint64_t at = plain ? member->offset_bits : member->offset_bits / 8;
    rp_text_add(text, "%lld", (long long)at);
    if (bit || member->width_bits) {
        rp_text_add(text, " bit %llu", (unsigned long long)bit);
    }
}

static void add_member(const type_table *table, const type_member *member, rp_text_buffer *text)
{
    add_role(member, text);
    rp_text_add(text, " (");
    if (!(member->flags & (USE_VIRTUAL | USE_BASE_CLASS | USE_CONSTANT))) {
        rp_type_text(table, &member->die, text);
        rp_text_add(text, ", ");
    }
    rp_text_add(text, "%s", member->flags & USE_CONSTANT ? "" : "at ");
    add_place(member, text);
    rp_text_add(text, ")");
}

static void add_both_types(const comparison *c, rp_text_buffer *text)
{
    const type_member *was = c->worst.old_member, *is = c->worst.new_member;
    rp_text_add(text, " is ");
    rp_type_text(c->new_types, &is->die, text);
    if (is->width_bits != was->width_bits) {
        rp_text_add(text, " of %llu bits", (unsigned long long)is->width_bits);
    }
    rp_text_add(text, ", was ");
    rp_type_text(c->old_types, &was->die, text);
    if (is->width_bits != was->width_bits) {
        rp_text_add(text, " of %llu bits", (unsigned long long)was->width_bits);
    }
}

static void add_changed_member(const comparison *c, rp_text_buffer *text)
{
    const type_member *was = c->worst.old_member, *is = c->worst.new_member;
    rp_text_add(text, ": ");
    if (!was) {
        add_member(c->new_types, is, text);
        rp_text_add(text, " is new");
    } else if (!is) {
        add_member(c->old_types, was, text);
        rp_text_add(text, " is gone");
    } else if (strcmp(was->name, is->name) != 0) {
        add_member(c->old_types, was, text);
        rp_text_add(text, " is called '%.80s' now", is->name);
    } else if (c->worst.kind == DIFFERENCE_PLACE) {
        add_role(is, text);
        rp_text_add(text, is->flags & USE_CONSTANT ? " was renumbered from " : " moved from ");
        add_place(was, text);
        rp_text_add(text, " to ");
        add_place(is, text);
    } else {
        add_role(is, text);
        add_both_types(c, text);
    }
}

static void add_difference(const comparison *c, rp_text_buffer *text)
{
    const type_layout *was = c->worst.old_type, *is = c->worst.new_type;
    if (was->kind != is->kind) {
        rp_text_add(text, " is another kind of type");
    } else if (c->worst.kind == DIFFERENCE_WHOLE) {
        add_both_types(c, text);
    } else if (c->worst.kind >= DIFFERENCE_PLACE) {
        add_changed_member(c, text);
    }
    if (was->size_bytes != is->size_bytes) {
        rp_text_add(text, ", %llu bytes became %llu", (unsigned long long)was->size_bytes,
                    (unsigned long long)is->size_bytes);
    }
}

static void tell(comparison *c)
{
    char storage[320];
    rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
    rp_type_layout_text(c->worst.new_type, &text);
    add_difference(c, &text);
    if (c->told) {
        c->told(c->context, storage);
    }
}

size_t rp_types_compare(const type_table *old_types, const type_table *new_types,
                        rp_types_told_fn *told, void *context)
{
    comparison c = {
        .old_types = old_types, .new_types = new_types, .told = told, .context = context};
    for (size_t i = 0, k = 0; i < old_types->count && k < new_types->count;) {
        type_group old_group = group_at(old_types, i), new_group = group_at(new_types, k);
        int order = rp_type_compare_keys(old_group.types[0], new_group.types[0]);
        if (order == 0) {
            compare_groups(&c, old_group, new_group);
        }
        i += order <= 0 ? old_group.count : 0;
        k += order >= 0 ? new_group.count : 0;
    }
    return c.changed;
}

static const type_layout *layout_of(const type_table *types, const rp_elf *elf,
                                    const rp_symbol *symbol)
{
    return types->state == TYPES_KNOWN ? types->variables[symbol - elf->symbols] : NULL;
}

bool rp_types_variable_differs(const rp_elf *old_elf, const rp_symbol *old_symbol,
                               const rp_elf *new_elf, const rp_symbol *new_symbol,
                               rp_text_buffer *text)
{
    comparison c = {0};
    if (rp_types_of(old_elf, &c.old_types) != RP_OK ||
        rp_types_of(new_elf, &c.new_types) != RP_OK) {
        return false;
    }
    const type_layout *was = layout_of(c.old_types, old_elf, old_symbol);
    const type_layout *is = layout_of(c.new_types, new_elf, new_symbol);
    if (!was || !is) {
        return false;
    }
    c.worst = rp_type_difference(was, is);
    if (text && c.worst.kind != DIFFERENCE_NONE) {
        add_difference(&c, text);
    }
    return c.worst.kind != DIFFERENCE_NONE;
}
