/* A list of settings as text. See debug_choices.h. */
#include "debug_choices.h"

#include <base/error.h>
#include <base/text.h>
#include <string.h>
#include <trace/trace.h>

static size_t entry_length(const char *entry)
{
    return strcspn(entry, ";");
}

/* The pattern, with the '=' behind it. */
static size_t pattern_length(const char *entry)
{
    return strcspn(entry, "=") + 1;
}

/* Whether `settings` has an entry with the same pattern as `entry`. */
static bool is_set_again(const char *settings, const char *entry)
{
    size_t length = pattern_length(entry);
    for (const char *at = settings; *at; at += entry_length(at) + (at[entry_length(at)] == ';')) {
        if (pattern_length(at) == length && memcmp(at, entry, length) == 0) {
            return true;
        }
    }
    return false;
}

static void entry_add(rp_text_buffer *text, const char *entry)
{
    rp_text_add(text, "%s%.*s", text->length ? ";" : "", (int)entry_length(entry), entry);
}

rp_status debug_choices_add(debug_choices_text *choices, const char *settings)
{
    debug_choices_text made;
    rp_text_buffer text = rp_text_buffer_over(made.text, sizeof made.text);
    rp_status status = rp_trace_settings_check(settings);
    if (status) {
        return status;
    }
    size_t bytes = 1;
    const char *const lists[] = {choices->text, settings};
    for (int i = 0; i < 2; i++) {
        for (const char *at = lists[i]; *at;
             at += entry_length(at) + (at[entry_length(at)] == ';')) {
            if (entry_length(at) && (i || !is_set_again(settings, at))) {
                bytes += entry_length(at) + 1;
                entry_add(&text, at);
            }
        }
    }
    if (bytes > sizeof made.text) {
        return rp_fail(RP_E_LIMIT,
                       "debug: too many settings: %zu bytes of text, and %zu fit: choose with "
                       "fewer patterns, as 'physics*=canary'",
                       bytes, sizeof made.text);
    }
    *choices = made;
    return RP_OK;
}
