/* The ways of finding written pages, by name, and what the slow ones cost.
 *
 * Layer: host.
 */
#ifndef HOST_TRACKING_TEXT_H
#define HOST_TRACKING_TEXT_H

#include <reprise/deck.h>
#include <stdbool.h>
#include <stdint.h>

#define TRACKING_NAMES "auto, wp-async, wp-sigbus, mprotect or compare"

/* "none" for a number that is no tracking's. */
const char *tracking_name(uint32_t tracking);
bool tracking_read(const char *text, rp_tracking *tracking);
/* What makes it slow; null for the one that is not. */
const char *tracking_slow(uint32_t tracking);

#endif
