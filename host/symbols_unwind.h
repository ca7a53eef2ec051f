/* The return addresses of a crash, from its registers and its stack copy. A part of symbols.c.
 *
 * Layer: host.
 */
#ifndef HOST_SYMBOLS_UNWIND_H
#define HOST_SYMBOLS_UNWIND_H

#include "link.h"

#include <elfutils/libdwfl.h>

enum { SYMBOLS_CALL_MAX = 64 };

typedef struct symbols_call {
    uint64_t
        address; /* where the function goes on when its callee returns; of the first: the fault */
    bool exact;  /* the address itself was running; otherwise the call lies before it */
} symbols_call;

/* Innermost first. Ends before the function that begins the module's stack. A jump to where no code
 * is gives that address and then the caller. Returns how many. */
int symbols_unwind(Dwfl *dwfl, const link_crash *crash, symbols_call *calls, int capacity);

#endif
