/* Output of reports: text as it is, JSON with its commas and escapes. */
#include "trace/report.h"

#include "base/assert.h"

#include <string.h>

/* ---- pieces ---- */

static void write_error(void *context, const char *text, size_t length)
{
    (void)context;
    rp_os_error_write(text, length);
}

report_out report_begin(rp_report_format format, rp_report_writer *writer, void *context)
{
    return (report_out){
        .writer = writer ? writer : write_error,
        .context = context,
        .json = format == RP_REPORT_JSON,
    };
}

static void put(report_out *out, const char *text, size_t length)
{
    if (length) {
        out->writer(out->context, text, length);
    }
}

void report_text(report_out *out, const char *format, ...)
{
    char piece[1024];
    rp_text_buffer text = rp_text_buffer_over(piece, sizeof piece);
    va_list arguments;
    va_start(arguments, format);
    rp_text_add_v(&text, format, arguments);
    va_end(arguments);
    put(out, piece, text.length);
}

void report_bytes(report_out *out, int width, uint64_t bytes)
{
    char piece[32];
    rp_text_buffer text = rp_text_buffer_over(piece, sizeof piece);
    rp_text_add_bytes(&text, bytes);
    report_text(out, "%*s", width, piece);
}

/* ---- JSON ---- */

/* The length of the UTF-8 sequence that begins here; 0: there is none. */
static size_t sequence(const unsigned char *at)
{
    size_t length = at[0] < 0x80                    ? 1
                    : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
                    : (at[0] & 0xf0) == 0xe0        ? 3
                    : at[0] >= 0xf0 && at[0] < 0xf5 ? 4
                                                    : 0;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool surrogate = at[0] == 0xed && at[1] >= 0xa0;
    bool beyond = at[0] == 0xf4 && at[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

/* Bytes that are no UTF-8 become question marks: JSON has no way to say them. */
static void quoted(report_out *out, const char *value)
{
    put(out, "\"", 1);
    for (const unsigned char *at = (const unsigned char *)value; *at;) {
        size_t length = sequence(at);
        if (*at == '"' || *at == '\\') {
            report_text(out, "\\%c", *at);
        } else if (*at < ' ') {
            report_text(out, "\\u%04x", *at);
        } else {
            put(out, length ? (const char *)at : "?", length ? length : 1);
        }
        at += length ? length : 1;
    }
    put(out, "\"", 1);
}

static void member(report_out *out, const char *key)
{
    if (out->comma[out->depth]) {
        put(out, ",", 1);
    }
    out->comma[out->depth] = true;
    if (key) {
        quoted(out, key);
        put(out, ":", 1);
    }
}

void report_open(report_out *out, const char *key, char bracket)
{
    member(out, key);
    put(out, &bracket, 1);
    RP_ASSERT(out->depth + 1 < REPORT_NESTING_MOST);
    out->comma[++out->depth] = false;
}

void report_close(report_out *out, char bracket)
{
    RP_ASSERT(out->depth > 0);
    out->depth--;
    put(out, &bracket, 1);
}

void report_number(report_out *out, const char *key, uint64_t value)
{
    member(out, key);
    report_text(out, "%llu", (unsigned long long)value);
}

void report_ratio(report_out *out, const char *key, double value)
{
    /* printf's point is the locale's, JSON's is not. */
    uint64_t millionths = value > 0 ? (uint64_t)(value * 1e6 + 0.5) : 0;
    member(out, key);
    report_text(out, "%llu.%06llu", (unsigned long long)(millionths / 1000000),
                (unsigned long long)(millionths % 1000000));
}

void report_string(report_out *out, const char *key, const char *value)
{
    member(out, key);
    quoted(out, value);
}

void report_end(report_out *out)
{
    RP_ASSERT(out->depth == 0);
    put(out, "\n", out->json ? 1 : 0);
}

/* ---- names ---- */

void report_scope_member(report_out *out, rp_zone zone, uint32_t scope)
{
    char path[1024];
    rp_trace_scope_path(zone, scope, path, sizeof path);
    report_string(out, "scope", path);
}

void report_site_member(report_out *out, rp_zone zone, uint32_t site)
{
    char name[RP_TRACE_SITE_BYTES];
    report_string(out, "site", rp_trace_site_name(zone, site, name, sizeof name));
}

void rp_report_over_budget(rp_zone zone, uint32_t scope, uint64_t live_bytes, uint64_t budget_bytes)
{
    char text[1280], path[1024];
    rp_trace_scope_path(zone, scope, path, sizeof path);
    rp_text_buffer line = rp_text_buffer_over(text, sizeof text);
    rp_text_add(&line, "reprise: scope %s: over its budget: ", path);
    rp_text_add_bytes(&line, live_bytes);
    rp_text_add(&line, " live, the budget is ");
    rp_text_add_bytes(&line, budget_bytes);
    rp_text_add(&line, ": raise it, or see who owns them with rp_report_tree\n");
    rp_os_error_write(text, line.length);
}
