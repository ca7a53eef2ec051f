/* What tells two layouts of one type apart. Layer: module. */
#include "module/types_internal.h"

#include <string.h>

/* void * may lead to anything, and an enum is an integer of its size. */
static bool same_type(const type_member *a, const type_member *b)
{
    if (a->type == b->type) {
        return true;
    }
    uint32_t either = a->flags | b->flags, both = a->flags & b->flags;
    bool integers = (a->flags & (USE_INTEGER | USE_ENUM)) && (b->flags & (USE_INTEGER | USE_ENUM));
    return ((both & USE_POINTER) && (either & USE_VOID_POINTER)) ||
           (integers && (either & USE_ENUM) && a->type_bytes == b->type_bytes);
}

static bool same_place(const type_member *a, const type_member *b)
{
    return a->offset_bits == b->offset_bits;
}

static bool same_use(const type_member *a, const type_member *b)
{
    uint32_t roles = USE_BASE_CLASS | USE_VIRTUAL;
    return same_type(a, b) && a->width_bits == b->width_bits &&
           (a->flags & roles) == (b->flags & roles);
}

/* Keeps the difference that tells most; of equal ones the first in memory. */
static void note(type_difference *difference, difference_kind kind, const type_member *old_member,
                 const type_member *new_member)
{
    const type_member *had =
        difference->new_member ? difference->new_member : difference->old_member;
    const type_member *has = new_member ? new_member : old_member;
    bool earlier = had && kind == difference->kind && has->offset_bits < had->offset_bits;
    if (kind > difference->kind || earlier) {
        difference->kind = kind;
        difference->old_member = old_member;
        difference->new_member = new_member;
    }
}

/* Both lists are sorted by name. */
static void compare_members(type_difference *difference)
{
    const type_layout *a = difference->old_type, *b = difference->new_type;
    size_t i = 0, k = 0;
    while (i < a->member_count || k < b->member_count) {
        const type_member *old_member = i < a->member_count ? &a->members[i] : NULL;
        const type_member *new_member = k < b->member_count ? &b->members[k] : NULL;
        int order = !old_member ? 1 : !new_member ? -1 : strcmp(old_member->name, new_member->name);
        if (order < 0) {
            note(difference, DIFFERENCE_MEMBERS, old_member, NULL);
        } else if (order > 0) {
            note(difference, DIFFERENCE_MEMBERS, NULL, new_member);
        } else if (!same_use(old_member, new_member)) {
            note(difference, DIFFERENCE_MEMBERS, old_member, new_member);
        } else if (!same_place(old_member, new_member)) {
            note(difference, DIFFERENCE_PLACE, old_member, new_member);
        }
        i += order <= 0;
        k += order >= 0;
    }
}

static bool has_member(const type_layout *layout, const char *name)
{
    for (size_t i = 0; i < layout->member_count; i++) {
        if (strcmp(layout->members[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* What lies where `member` of one build lay, with the same type, and is not in that build. */
static const type_member *find_renamed(const type_member *member, const type_layout *of,
                                       const type_layout *other)
{
    for (size_t i = 0; i < other->member_count; i++) {
        const type_member *candidate = &other->members[i];
        if (same_use(candidate, member) && same_place(candidate, member) &&
            !has_member(of, candidate->name)) {
            return candidate;
        }
    }
    return NULL;
}

static void find_rename(type_difference *difference)
{
    const type_layout *old_type = difference->old_type, *new_type = difference->new_type;
    if (!difference->old_member) {
        difference->old_member = find_renamed(difference->new_member, new_type, old_type);
    } else if (!difference->new_member) {
        difference->new_member = find_renamed(difference->old_member, old_type, new_type);
    }
}

type_difference rp_type_difference(const type_layout *old_type, const type_layout *new_type)
{
    type_difference difference = {.old_type = old_type, .new_type = new_type};
    if (old_type->hash == new_type->hash) {
        return difference;
    }
    if (old_type->kind != new_type->kind) {
        difference.kind = DIFFERENCE_WHOLE;
        return difference;
    }
    if (old_type->size_bytes != new_type->size_bytes) {
        difference.kind = DIFFERENCE_SIZE;
    }
    compare_members(&difference);
    if (difference.kind == DIFFERENCE_MEMBERS) {
        const type_member *was = difference.old_member;
        bool whole = was && difference.new_member && !*was->name;
        difference.kind = whole ? DIFFERENCE_WHOLE : DIFFERENCE_MEMBERS;
        find_rename(&difference);
    }
    return difference;
}
