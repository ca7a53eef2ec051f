/* The system's list of mappings, as far as write tracking asks for it. */
#include "os/linux/maps.h"
#include "os/linux/track_private.h"

/* Hexadecimal digits; leaves *text behind them. sscanf would take most of a walk's time. */
static uint64_t number(const char **text)
{
    uint64_t value = 0;
    for (;; (*text)++) {
        char c = **text;
        if (c >= '0' && c <= '9') {
            value = value << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return value;
        }
    }
}

/* "from-to rwxp …" */
static bool parse(const char *line, rp_os_mapping *mapping)
{
    uint64_t start = number(&line);
    if (*line++ != '-') {
        return false;
    }
    uint64_t end = number(&line);
    if (*line++ != ' ') {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        if (!line[i]) {
            return false;
        }
    }
    *mapping = (rp_os_mapping){(uint8_t *)(uintptr_t)start,
                               (uint8_t *)(uintptr_t)end,
                               line[0] == 'r',
                               line[1] == 'w',
                               line[2] == 'x',
                               line[3] == 's'};
    return true;
}

bool rp_os_mappings_walk(void *start, void *end, rp_os_mapping_fn *each, void *context)
{
    rp_os_lines reader;
    rp_os_mapping mapping;
    if (!rp_os_lines_open(&reader, "/proc/self/maps")) {
        return false;
    }
    for (const char *line; (line = rp_os_lines_next(&reader)) != NULL;) {
        if (!parse(line, &mapping) || mapping.end <= (uint8_t *)start) {
            continue;
        }
        if (mapping.start >= (uint8_t *)end || !each(context, &mapping)) {
            break;
        }
    }
    rp_os_lines_close(&reader);
    return true;
}
