/* The stacks of a report: each code address is asked for once, all together. */
#include "trace/report.h"

static rp_symboliser *symboliser; /* one in a process: a function, not state */

void rp_symboliser_set(rp_symboliser *function)
{
    symboliser = function;
}

rp_symboliser *rp_symboliser_get(void)
{
    return symboliser;
}

typedef struct symbol {
    uintptr_t address;
    char text[248];
} symbol;

static int by_address(const void *a, const void *b)
{
    const symbol *one = a, *other = b;
    return report_order(one->address, other->address);
}

void report_symbols_add(report_symbols *symbols, rp_zone zone, uint32_t stack)
{
    const void *addresses[RP_TRACE_STACK_MOST];
    size_t count = rp_trace_stack_get(zone, stack, addresses, RP_TRACE_STACK_MOST);
    for (size_t i = 0; symboliser && i < count; i++) {
        symbol *added = report_array_add(&symbols->lines, sizeof *added);
        if (added) {
            added->address = (uintptr_t)addresses[i];
        }
    }
}

static void drop_doubles(report_array *lines)
{
    size_t kept = 0;
    for (size_t i = 0; i < lines->count; i++) {
        symbol *from = report_array_at(lines, i);
        if (!kept || ((symbol *)report_array_at(lines, kept - 1))->address != from->address) {
            *(symbol *)report_array_at(lines, kept++) = *from;
        }
    }
    lines->count = kept;
}

static void keep_line(void *context, size_t index, const char *text)
{
    report_array *lines = context;
    if (index < lines->count) {
        symbol *of = report_array_at(lines, index);
        rp_text_copy(of->text, sizeof of->text, text);
    }
}

void report_symbols_resolve(report_symbols *symbols)
{
    report_array *lines = &symbols->lines;
    if (!symboliser || !lines->count) {
        return;
    }
    report_array_sort(lines, by_address);
    drop_doubles(lines);
    report_array plain = {0};
    for (size_t i = 0; i < lines->count; i++) {
        uintptr_t *address = report_array_add(&plain, sizeof *address);
        if (address) {
            *address = ((symbol *)report_array_at(lines, i))->address;
        }
    }
    if (plain.count) {
        symboliser((const uintptr_t *)(void *)plain.items, plain.count, keep_line, lines);
    }
    report_array_drop(&plain);
}

void report_symbols_drop(report_symbols *symbols)
{
    report_array_drop(&symbols->lines);
}

static const char *text_of(const report_symbols *symbols, uintptr_t address)
{
    size_t low = 0, high = symbols->lines.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const symbol *at = report_array_at(&symbols->lines, middle);
        if (at->address == address) {
            return at->text;
        }
        low = at->address < address ? middle + 1 : low;
        high = at->address < address ? high : middle;
    }
    return "";
}

/* The symboliser's line, else what the loader knows. */
static void frame_text(const report_symbols *symbols, const void *address, rp_text_buffer *line)
{
    char text[256];
    const char *known = text_of(symbols, (uintptr_t)address);
    if (!*known) {
        rp_trace_symbolise(address, false, text, sizeof text);
        known = text;
    }
    rp_text_add(line, "%p %s", address, known);
}

void report_stack(report_out *out, const report_symbols *symbols, rp_zone zone, uint32_t stack)
{
    const void *addresses[RP_TRACE_STACK_MOST];
    size_t count = rp_trace_stack_get(zone, stack, addresses, RP_TRACE_STACK_MOST);
    if (out->json) {
        report_open(out, "stack", '[');
    }
    for (size_t i = 0; i < count; i++) {
        char text[300];
        rp_text_buffer line = rp_text_buffer_over(text, sizeof text);
        frame_text(symbols, addresses[i], &line);
        if (out->json) {
            report_string(out, NULL, text);
        } else {
            report_text(out, "      %s\n", text);
        }
    }
    if (out->json) {
        report_close(out, ']');
    }
}
