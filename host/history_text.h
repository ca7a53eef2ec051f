/* What history holds and costs, for a person: from the answer to `reprise ctl status`.
 *
 *     history    frames 0 to 36000, 600.0 s back at 60 Hz; every frame from 35112 on
 *     costs      498 MiB of a budget of 512 MiB, beside the state of 64.2 MiB
 *     …
 *
 * Layer: host.  Tests: tests/host/test_history_text.c
 */
#ifndef HOST_HISTORY_TEXT_H
#define HOST_HISTORY_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Whether the text says what `key` of a status holds, so that it need not stand as a number, too.
 */
bool history_text_covers(const char *key);
/* Prints the lines; nothing where the answer has no such numbers. */
void history_text_print(const json_t *status, FILE *out);

#endif
