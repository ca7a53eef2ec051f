/* The caller's errors: one line that names the kind, the place and what to do, then the end. */
#include "alloc/allocator.h"
#include "base/text.h"

/* "heap physics: double free of 0x…" and why it is one. */
static void describe(rp_text_buffer *text, rp_misuse_kind kind, const char *what,
                     const void *address)
{
    switch (kind) {
    case RP_MISUSE_DOUBLE_FREE:
        rp_text_add(text, "double %s of %p: nothing lives there any more", what, address);
        return;
    case RP_MISUSE_FOREIGN:
        rp_text_add(text, "%s of foreign memory %p: it lies in no heap of the region", what,
                    address);
        return;
    case RP_MISUSE_INSIDE:
        rp_text_add(text, "%s inside a block: %p is no block's start", what, address);
        return;
    case RP_MISUSE_NO_BLOCK:
        rp_text_add(text, "%s of %p: it lies in memory that is no heap's block, and never was",
                    what, address);
        return;
    case RP_MISUSE_WRITTEN_AFTER_FREE:
        rp_text_add(text, "%s of %p: it was written to after it was freed", what, address);
        return;
    case RP_MISUSE_WRONG_SIZE:
        rp_text_add(text, "%s of %p with a size that is not the block's", what, address);
        return;
    case RP_MISUSE_WRONG_ALLOCATOR:
        rp_text_add(text, "%s of %p: it belongs to another allocator", what, address);
        return;
    case RP_MISUSE_OVERWRITTEN:
        rp_text_add(text, "%s of %p: the bytes around it were written over", what, address);
    }
}

void rp_misuse(rp_misuse_kind kind, const rp_allocator *allocator, const void *address,
               const char *what, const void *caller)
{
    const rp_debug_ops *debug = rp_debug_ops_get();
    if (debug && debug->explain) {
        debug->explain(kind, allocator, address, caller);
    }
    char line[256];
    rp_text_buffer text = rp_text_buffer_over(line, sizeof line);
    describe(&text, kind, what, address);
    if (caller) {
        rp_text_add(&text, " (called from %p)", caller);
    }
    rp_region_die("heap%s%s: %s", allocator ? " " : "", allocator ? allocator->name : "", line);
}
