/* The caller's errors: one line that names the kind, the place and what to do, then the end. */
#include "alloc/allocator.h"

static const char *text_of(rp_misuse_kind kind)
{
    switch (kind) {
    case RP_MISUSE_DOUBLE_FREE:
        return "it was freed before, and nothing lives there any more";
    case RP_MISUSE_FOREIGN:
        return "foreign memory: it lies in no heap of the region";
    case RP_MISUSE_INSIDE:
        return "inside a block: no block starts there";
    case RP_MISUSE_NO_BLOCK:
        return "it lies in memory that was never handed out as a block";
    case RP_MISUSE_WRITTEN_AFTER_FREE:
        return "it was written to after it was freed";
    case RP_MISUSE_WRONG_SIZE:
        return "the size that was given is not the block's";
    case RP_MISUSE_WRONG_ALLOCATOR:
        return "it belongs to another allocator";
    case RP_MISUSE_OVERWRITTEN:
        return "the bytes around it were written over";
    }
    return "unknown";
}

static const char *noun_of(rp_misuse_kind kind)
{
    return kind == RP_MISUSE_DOUBLE_FREE ? "double " : "";
}

void rp_misuse(rp_misuse_kind kind, const rp_allocator *allocator, const void *address,
               const char *what, const void *caller)
{
    const rp_debug_ops *debug = rp_debug_ops_get();
    if (debug && debug->explain) {
        debug->explain(kind, allocator, address, caller);
    }
    rp_region_die("heap %s: %s%s of %p, called at %p: %s", allocator ? allocator->name : "-",
                  noun_of(kind), what, address, caller, text_of(kind));
}
