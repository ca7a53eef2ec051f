/* The text of --debug and REPRISE_DEBUG: "physics=end-of-page,fill,pattern=aa;*=canary". */
#include "base/error.h"
#include "base/text.h"
#include "trace/tracked.h"

#include <string.h>

static const struct mode_name {
    const char *name;
    uint32_t mode;
} modes_known[] = {
    {"trace", RP_DEBUG_TRACE},
    {"stacks", RP_DEBUG_STACKS},
    {"fill", RP_DEBUG_FILL},
    {"canary", RP_DEBUG_CANARY},
    {"end-of-page", RP_DEBUG_END_OF_PAGE},
    {"start-of-page", RP_DEBUG_START_OF_PAGE},
    {"quarantine", RP_DEBUG_QUARANTINE},
    {"sampled", RP_DEBUG_SAMPLED},
    {"failing", RP_DEBUG_FAILING},
    {"leaks", RP_DEBUG_LEAKS},
};

char *rp_debug_modes_text(uint32_t modes, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    for (size_t i = 0; i < RP_COUNT_OF(modes_known); i++) {
        if (modes & modes_known[i].mode) {
            rp_text_add(&buffer, "%s%s", buffer.length ? "," : "", modes_known[i].name);
        }
    }
    if (!buffer.length) {
        rp_text_add(&buffer, "off");
    }
    return text;
}

/* ---- one word ---- */

typedef struct word {
    const char *start;
    size_t length;
} word;

static bool word_is(word given, const char *text)
{
    return strlen(text) == given.length && memcmp(given.start, text, given.length) == 0;
}

/* Cuts the text in front of the first `separator`; without one, all of it. */
static word word_take(word *rest, char separator)
{
    const char *at = rest->length ? memchr(rest->start, separator, rest->length) : NULL;
    word taken = {rest->start, at ? (size_t)(at - rest->start) : rest->length};
    size_t gone = taken.length + (at ? 1 : 0);
    *rest = (word){rest->start + gone, rest->length - gone};
    return taken;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

static bool number_of(word text, unsigned base, uint64_t most, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned digit = (unsigned)digit_of(text.start[i]);
        if (digit >= base || *number > (most - digit) / base) {
            return false;
        }
        *number = *number * base + digit;
    }
    return text.length != 0;
}

/* ---- one setting ---- */

typedef struct setting_parsed {
    char pattern[CHOICE_PATTERN_BYTES];
    uint32_t modes;
    rp_debug_options options;
    char site[RP_DEBUG_SITE_BYTES];
} setting_parsed;

static rp_status fail_unknown(word given)
{
    char known[160];
    return rp_fail(RP_E_ARGUMENT,
                   "debug: unknown mode \"%.*s\": the modes are %s, off, and the settings "
                   "sampled=N, failing=N, failing=site:file.c:12, pattern=NN (hex), seed=N: use "
                   "one of them",
                   (int)given.length, given.start,
                   rp_debug_modes_text(MODES_ALL, known, sizeof known));
}

static rp_status fail_number(word name, word value)
{
    return rp_fail(RP_E_ARGUMENT,
                   "debug: %.*s=%.*s: that is no number which fits: give a whole one above 0 "
                   "(pattern: two hexadecimal digits)",
                   (int)name.length, name.start, (int)value.length, value.start);
}

static rp_status site_set(setting_parsed *setting, word value)
{
    static const char prefix[] = "site:";
    value.start += sizeof prefix - 1;
    value.length -= sizeof prefix - 1;
    if (!value.length || value.length >= sizeof setting->site) {
        return rp_fail(RP_E_ARGUMENT,
                       "debug: failing=site:%.*s: a site has 1 to %d bytes: give file.c:12",
                       (int)value.length, value.start, RP_DEBUG_SITE_BYTES - 1);
    }
    memcpy(setting->site, value.start, value.length);
    setting->site[value.length] = 0;
    return RP_OK;
}

/* "name=value" */
static rp_status value_set(setting_parsed *setting, word name, word value)
{
    rp_debug_options *options = &setting->options;
    uint64_t number = 0;
    if (word_is(name, "failing")) {
        setting->modes |= RP_DEBUG_FAILING;
        if (value.length >= 5 && memcmp(value.start, "site:", 5) == 0) {
            return site_set(setting, value);
        }
        bool good = number_of(value, 10, UINT64_MAX, &number) && number;
        options->fail_nth = number;
        return good ? RP_OK : fail_number(name, value);
    }
    if (word_is(name, "sampled")) {
        setting->modes |= RP_DEBUG_SAMPLED;
        bool good = number_of(value, 10, UINT32_MAX, &number) && number;
        options->sample_one_in = (uint32_t)number;
        return good ? RP_OK : fail_number(name, value);
    }
    if (word_is(name, "pattern")) {
        bool good = number_of(value, 16, UINT8_MAX, &number);
        setting->modes |= RP_DEBUG_FILL;
        options->fill_chosen = true;
        options->fill_byte = (uint8_t)number;
        return good ? RP_OK : fail_number(name, value);
    }
    if (word_is(name, "seed")) {
        return number_of(value, 10, UINT64_MAX, &options->seed) ? RP_OK : fail_number(name, value);
    }
    return fail_unknown(name);
}

static rp_status mode_set(setting_parsed *setting, word mode)
{
    if (word_is(mode, "off") || word_is(mode, "none")) {
        setting->modes = 0;
        return RP_OK;
    }
    for (size_t i = 0; i < RP_COUNT_OF(modes_known); i++) {
        if (word_is(mode, modes_known[i].name)) {
            setting->modes |= modes_known[i].mode;
            return RP_OK;
        }
    }
    word value = mode, name = word_take(&value, '=');
    return name.length < mode.length ? value_set(setting, name, value) : fail_unknown(mode);
}

/* "physics=end-of-page,fill" */
static rp_status entry_read(word entry, setting_parsed *chosen)
{
    word rest = entry, name = word_take(&rest, '=');
    *chosen = (setting_parsed){.modes = 0};
    if (!name.length || name.length == entry.length || name.length >= sizeof chosen->pattern) {
        return rp_fail(RP_E_ARGUMENT,
                       "debug: \"%.*s\": no setting: write NAME=MODE,MODE; with a name of at most "
                       "%d bytes",
                       (int)entry.length, entry.start, CHOICE_PATTERN_BYTES - 1);
    }
    memcpy(chosen->pattern, name.start, name.length);
    do {
        rp_status status = mode_set(chosen, word_take(&rest, ','));
        if (status != RP_OK) {
            return status;
        }
    } while (rest.length);
    chosen->options.fail_site = chosen->site[0] ? chosen->site : NULL;
    return RP_OK;
}

static rp_status each_entry(const char *text, bool set)
{
    word rest = {text, strlen(text)};
    rp_status status = RP_OK;
    while (rest.length && status == RP_OK) {
        setting_parsed chosen;
        word entry = word_take(&rest, ';');
        if (!entry.length) {
            continue;
        }
        status = entry_read(entry, &chosen);
        if (status == RP_OK && set) {
            status = rp_debug_set_with(chosen.pattern, chosen.modes, &chosen.options);
        }
    }
    return status;
}

rp_status rp_debug_parse(const char *text)
{
    return each_entry(text, true);
}

rp_status rp_trace_settings_check(const char *settings)
{
    return each_entry(settings, false);
}
