/* Reports on memory, made between frames and sent to the host in pieces. See runner.h.
 *
 * They work in the keep zone; what they nevertheless wrote to the world is put back, so that a
 * frame is the same whether somebody looked or not.
 */
#include "runner.h"

#include <base/error.h>
#include <region/region.h>
#include <reprise/debug.h>
#include <reprise/trace.h>
#include <string.h>
#include <trace/report.h>

typedef struct sending {
    size_t used;
    bool failed;
} sending;

static void send_piece(sending *s)
{
    link_message answer;
    if (!s->used || s->failed) {
        return;
    }
    runner_send(&(link_message){.op = LINK_PIECE, .a = s->used});
    s->failed = !runner_receive(&answer) || answer.op != LINK_MORE_SLOTS || answer.status;
    s->used = 0;
}

static void write_piece(void *context, const char *text, size_t length)
{
    sending *s = context;
    while (length && !s->failed) {
        size_t room = LINK_PIECE_BYTES - s->used, part = length < room ? length : room;
        memcpy(the_runner.link->bulk + s->used, text, part);
        s->used += part;
        text += part;
        length -= part;
        if (s->used == LINK_PIECE_BYTES) {
            send_piece(s);
        }
    }
}

/* ---- where pointers may lie that are no blocks' ---- */

/* Each once: the list is kept, and the module may have added to it. */
static void roots_name(void)
{
    static size_t named_ranges, named_objects;
    static void *environment;
    const rp_world_range *ranges;
    size_t count = rp_world_ranges(the_runner.world, &ranges);
    if (!environment) {
        rp_leak_root(&environment, sizeof environment);
    }
    environment = rp_region_root(RP_ZONE_WORLD, RP_ROOT_ENVIRONMENT);
    for (; named_ranges < count; named_ranges++) {
        rp_leak_root(ranges[named_ranges].start, ranges[named_ranges].size_bytes);
    }
    for (; named_objects < the_runner.object_count; named_objects++) {
        const rp_object *object = &the_runner.objects[named_objects];
        if (object->zone == RP_ZONE_KEEP) {
            rp_leak_root((const void *)(uintptr_t)object->low, object->high - object->low);
        }
    }
}

/* ---- which modes hold ---- */

static int modes_row(rp_allocator *allocator, void *context)
{
    report_out *out = context;
    char modes[160];
    const char *zone = rp_allocator_zone(allocator) == RP_ZONE_WORLD ? "world" : "keep";
    rp_debug_modes_text(rp_debug_modes_of(allocator), modes, sizeof modes);
    if (out->json) {
        report_open(out, NULL, '{');
        report_string(out, "name", rp_allocator_name(allocator));
        report_string(out, "kind", rp_allocator_kind_name(allocator));
        report_string(out, "zone", zone);
        report_string(out, "modes", modes);
        report_close(out, '}');
    } else {
        report_text(out, "%-24s %-8s %-6s %s\n", rp_allocator_name(allocator),
                    rp_allocator_kind_name(allocator), zone, modes);
    }
    return 0;
}

static void modes_report(rp_report_format format, rp_report_writer *writer, void *context)
{
    report_out out = report_begin(format, writer, context);
    if (out.json) {
        report_open(&out, NULL, '[');
    } else {
        report_text(&out, "%-24s %-8s %-6s %s\n", "allocator", "kind", "zone", "modes");
    }
    rp_allocator_walk(RP_ZONE_WORLD, modes_row, &out);
    rp_allocator_walk(RP_ZONE_KEEP, modes_row, &out);
    if (out.json) {
        report_close(&out, ']');
    }
    report_end(&out);
}

/* ---- the request ---- */

static rp_status make(const link_message *request, link_message *answer, sending *s)
{
    rp_report_format format = request->b ? RP_REPORT_JSON : RP_REPORT_TEXT;
    switch ((link_report)request->a) {
    case LINK_REPORT_TREE:
        rp_report_tree(format, write_piece, s);
        return RP_OK;
    case LINK_REPORT_LEAKS:
        roots_name();
        answer->a = rp_report_leaks(format, write_piece, s);
        return RP_OK;
    case LINK_REPORT_FRAGMENTATION:
        rp_report_fragmentation(format, write_piece, s);
        return RP_OK;
    case LINK_REPORT_LEDGER:
        rp_report_ledger(format, write_piece, s);
        return RP_OK;
    case LINK_REPORT_MODES:
        modes_report(format, write_piece, s);
        return RP_OK;
    case LINK_REPORT_TYPES:
        return runner_survey(write_piece, s);
    case LINK_REPORT_MARK:
        answer->a = rp_growth_mark();
        return answer->a ? RP_OK
                         : rp_fail(RP_E_MEMORY, "growth: no room for another mark: 64 are kept, as "
                                                "far as the keep zone has room: drop some");
    case LINK_REPORT_GROWTH:
        return rp_growth_report((uint32_t)request->c, (uint32_t)request->d, format, write_piece, s);
    default:
        return rp_fail(RP_E_ARGUMENT, "runner: unknown report %llu",
                       (unsigned long long)request->a);
    }
}

rp_status runner_report(const link_message *request, link_message *answer)
{
    sending s = {0};
    rp_status status = make(request, answer, &s);
    size_t count;
    uint32_t first;
    send_piece(&s);
    if (!status) {
        status = rp_world_revert(the_runner.world, &count, &first);
    }
    runner_restored();
    return status;
}
