/* What was chosen with --debug, REPRISE_DEBUG and `reprise ctl debug`, in the order of the
 * choosing: each new runner is told of it, and it is what `reprise ctl debug --list` shows.
 *
 *     physics=end-of-page;*=canary
 *
 * Layer: host.  Threads: the main thread.  Tests: tests/host/test_debug_choices.c
 */
#ifndef HOST_DEBUG_CHOICES_H
#define HOST_DEBUG_CHOICES_H

#include "link.h"

#include <reprise/status.h>

/* All zero: nothing was chosen. */
typedef struct debug_choices_text {
    char text[LINK_DEBUG_BYTES];
} debug_choices_text;

/* Adds settings, one or several with ';' between them. A pattern that is there already is replaced,
 * and becomes the last. RP_E_ARGUMENT: an unknown mode, and which there are; RP_E_LIMIT: more than
 * fits. Nothing is changed then. */
rp_status debug_choices_add(debug_choices_text *choices, const char *settings);

#endif
