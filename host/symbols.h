/* Turning a crash record into lines that a person can use: unwinding and file:line through libdwfl,
 * from the registers and the stack copy that the record holds. Nothing of the dead process is
 * needed.
 *
 *     registers, stack copy ──► symbols_unwind.c ──► addresses ──► symbols.c ──► functions, lines
 *
 * The record and the list of objects come from the runner and may hold anything: only regular files
 * are read, and only what lies in the copy is taken as stack. Nothing is fetched over a network.
 *
 * Layer: host.  Tests: tests/host/test_symbols.c
 */
#ifndef HOST_SYMBOLS_H
#define HOST_SYMBOLS_H

#include "link.h"

enum { SYMBOLS_FRAME_MAX = 32 };

typedef struct symbols_frame {
    uint64_t address;
    char function[96]; /* "" unknown */
    char file[160];    /* as the debug information has it, its end where it is longer; "" unknown */
    int line;
    char object[64]; /* file name of the object that holds it */
    bool in_module;  /* in the user's build, not in a library or the runner */
    bool inlined;    /* has no call of its own: the code is part of the frame that follows */
} symbols_frame;

typedef struct symbols_report {
    symbols_frame frames[SYMBOLS_FRAME_MAX];
    int frame_count;  /* innermost first; inlined functions have frames of their own; ends at the
                         step */
    int blame;        /* the innermost frame in the user's build; -1: none */
    char source[160]; /* that line of the source, trimmed; "" when it cannot be read */
} symbols_report;

/* Fills the report; works without debug information too (names from the symbol table, or
 * addresses). The object of build `n` is read from its private copy, whose path stands in the
 * record's object list. Never fails: what cannot be known stays empty. Reads the debug information
 * anew: tens of milliseconds. */
void symbols_resolve(const link_crash *crash, const link_object *objects, int object_count,
                     symbols_report *report);

/* For single addresses, as reprise-symbols answers them: a session over the objects, to be ended
 * with dwfl_end; null: no memory. Objects that cannot be read are left out. `objects` is pointed to
 * until then. */
typedef struct Dwfl Dwfl;
Dwfl *symbols_open(const link_object *objects, int count);
/* The frames of one return address: the function and what was inlined into it, innermost first. The
 * place is that of the call. */
void symbols_find(Dwfl *dwfl, uint64_t address, symbols_report *report);

#endif
