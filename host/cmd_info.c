#include "cmd_info.h"

#include "foreign_text.h"
#include "take_file.h"

#include <base/bits.h>
#include <base/text.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char help[] =
    "usage: reprise info [--json] [--frames] [--records] [--check] FILE.take\n"
    "\n"
    "Says what is in a take: where it comes from, its frames, builds, loops, bookmarks and "
    "crashes.\n"
    "Nothing of it is run.\n"
    "\n"
    "  --json      as one JSON object\n"
    "  --frames    a line for each frame: number, build, pages, step time, hash\n"
    "  --records   every record but frames and contents, with its fields\n"
    "  --check     reads all of it and compares every frame's hash\n"
    "  --help      this text\n"
    "\n"
    "exit codes\n"
    "  0 done   1 cannot be read   2 wrong usage   3 damaged: read up to there\n"
    "\n"
    "examples\n"
    "  reprise info bug.take\n"
    "  reprise info --check --json bug.take\n";

typedef union any_record {
    rp_take_environment environment;
    rp_take_build build;
    rp_take_part part;
    rp_take_bookmark bookmark;
    rp_take_loop loop;
    rp_take_crash crash;
} any_record; /* the largest ones */

typedef struct info {
    take_file file;
    rp_take_array report; /* of a crash */
    bool json, frames, records, check;
    json_t *object, *builds, *loops, *crashes;
} info;

/* ---- as text ----------------------------------------------------------------------------------
 */

static const char *bytes_text(uint64_t size_bytes)
{
    static char text[32];
    rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
    rp_text_add_bytes(&buffer, size_bytes);
    return text;
}

static void print_id(const uint8_t *id, uint32_t id_bytes)
{
    for (uint32_t i = 0; i < id_bytes && i < 32; i++) {
        printf("%02x", id[i]);
    }
}

static void print_front(info *i)
{
    const rp_take_overview *o = &i->file.overview;
    rp_take_environment e = o->environment;
    const rp_take_index_frame *first = rp_take_frame_at(i->file.take, 0);
    const rp_take_index_frame *last =
        first ? rp_take_frame_at(i->file.take, o->frame_count - 1) : NULL;
    take_file_plain(e.module), take_file_plain(e.title), take_file_plain(e.program);
    take_file_plain(e.system), take_file_plain(e.cpu);
    printf("%s: %llu frames", i->file.path, (unsigned long long)o->frame_count);
    if (first) {
        printf(", %llu to %llu", (unsigned long long)first->frame, (unsigned long long)last->frame);
    }
    if (e.rate_hz) {
        printf(", %.1f s at %u Hz", (double)o->frame_count / e.rate_hz, e.rate_hz);
    }
    printf(", %s\n", bytes_text(o->size_bytes));
    printf("  module    %s \"%s\"\n  written   by %s on %s, %s\n", e.module, e.title, e.program,
           e.system, e.cpu);
    printf("  memory    at %#llx, format %u, x86-64\n", (unsigned long long)o->header.region_base,
           o->header.version);
    printf("  contains  %llu contents, %llu bases\n", (unsigned long long)o->content_count,
           (unsigned long long)o->base_count);
    if (o->thin_count) {
        printf("  thin      %llu frames have their input and no memory%s\n",
               (unsigned long long)o->thin_count,
               e.flags & RP_TAKE_INPUTS_ALONE ? ": a take of inputs alone" : "");
    }
    if (e.flags & RP_TAKE_STRIPPED) {
        printf("  stripped  memory was taken out of it: it can be read, and not run on from\n");
    }
    if (e.flags & RP_TAKE_EMBEDDED) {
        printf("  embedded  saved by a program that holds the deck itself: it can be read, and not "
               "run "
               "on from\n");
    }
    if (!o->closed) {
        printf("  end       not closed in order: whole up to byte %llu\n",
               (unsigned long long)o->whole_bytes);
    }
}

static void print_other(uint32_t type, any_record *r, const char *report)
{
    switch (type) {
    case RP_TAKE_BUILD:
        take_file_plain(r->build.path);
        printf("  build %-3u %s ", r->build.number, r->build.path);
        print_id(r->build.id, r->build.id_bytes);
        putchar('\n');
        break;
    case RP_TAKE_FILE:
        take_file_plain(r->part.name);
        if (!r->part.offset_bytes) {
            printf("  file      of build %u: %s, %s\n", r->part.build, r->part.name,
                   bytes_text(r->part.size_bytes));
        }
        break;
    case RP_TAKE_LOOP:
        take_file_plain(r->loop.name);
        printf("  loop      %llu to %llu %s\n", (unsigned long long)r->loop.from,
               (unsigned long long)r->loop.to, r->loop.name);
        break;
    case RP_TAKE_CRASH:
        take_file_plain(r->crash.text);
        printf("  crash     frame %llu, build %u: %s\n", (unsigned long long)r->crash.frame,
               r->crash.build, r->crash.text);
        for (const char *line = report; *line; line += strcspn(line, "\n"), line += *line == '\n') {
            printf("            %.*s\n", (int)strcspn(line, "\n"), line);
        }
        break;
    default:
        break;
    }
}

/* ---- as JSON ----------------------------------------------------------------------------------
 */

/* A line, as it is printed. */
static json_t *json_text(char *text)
{
    take_file_plain(text);
    return foreign_json(text);
}

static void json_front(info *i)
{
    const rp_take_overview *o = &i->file.overview;
    rp_take_environment e = o->environment;
    const rp_take_index_frame *first = rp_take_frame_at(i->file.take, 0);
    const rp_take_index_frame *last =
        first ? rp_take_frame_at(i->file.take, o->frame_count - 1) : NULL;
    i->builds = json_array(), i->loops = json_array();
    i->crashes = json_array();
    i->object = json_pack(
        "{s:i,s:I,s:I,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:b,s:b,s:b,s:o,s:o,s:o,s:o,s:o}",
        "version", (int)o->header.version, "size_bytes", (json_int_t)o->size_bytes, "whole_bytes",
        (json_int_t)o->whole_bytes, "closed", o->closed, "region_base",
        (json_int_t)o->header.region_base, "frames", (json_int_t)o->frame_count, "first_frame",
        (json_int_t)(first ? first->frame : 0), "last_frame", (json_int_t)(last ? last->frame : 0),
        "thin_frames", (json_int_t)o->thin_count, "contents", (json_int_t)o->content_count, "bases",
        (json_int_t)o->base_count, "rate_hz", (int)e.rate_hz, "inputs_alone",
        (e.flags & RP_TAKE_INPUTS_ALONE) != 0, "stripped", (e.flags & RP_TAKE_STRIPPED) != 0,
        "embedded", (e.flags & RP_TAKE_EMBEDDED) != 0, "module", json_text(e.module), "title",
        json_text(e.title), "program", json_text(e.program), "system", json_text(e.system), "cpu",
        json_text(e.cpu));
    json_object_set_new(i->object, "builds", i->builds);
    json_object_set_new(i->object, "loops", i->loops);
    json_object_set_new(i->object, "crashes", i->crashes);
    if (o->damage[0]) {
        json_object_set_new(i->object, "damage", json_string(o->damage));
    }
}

static json_t *json_build(rp_take_build *build)
{
    char id[65] = "";
    for (uint32_t b = 0; b < build->id_bytes && b < 32; b++) {
        snprintf(id + 2 * b, 3, "%02x", build->id[b]);
    }
    return json_pack("{s:i,s:o,s:s,s:I,s:I}", "build", (int)build->number, "path",
                     json_text(build->path), "id", id, "low", (json_int_t)build->low, "high",
                     (json_int_t)build->high);
}

static void json_other(info *i, uint32_t type, any_record *r, char *report)
{
    if (type == RP_TAKE_BUILD) {
        json_array_append_new(i->builds, json_build(&r->build));
    } else if (type == RP_TAKE_LOOP) {
        json_array_append_new(i->loops,
                              json_pack("{s:o,s:I,s:I}", "name", json_text(r->loop.name), "from",
                                        (json_int_t)r->loop.from, "to", (json_int_t)r->loop.to));
    } else if (type == RP_TAKE_CRASH) {
        json_array_append_new(
            i->crashes, json_pack("{s:I,s:i,s:i,s:i,s:o,s:o}", "frame", (json_int_t)r->crash.frame,
                                  "build", (int)r->crash.build, "kind", (int)r->crash.kind,
                                  "signal", (int)r->crash.signal, "text", json_text(r->crash.text),
                                  "report", foreign_json(report)));
    }
}

/* ---- records, frames --------------------------------------------------------------------------
 */

static void print_record(const rp_take_index_other *other, const any_record *r)
{
    static char text[8192];
    const rp_take_kind *kind = rp_take_kind_of(other->type);
    rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
    rp_take_describe(kind->layout, r, "    ", &buffer);
    printf("  %s at %llu, %llu bytes, before frame record %llu\n%s", kind->name,
           (unsigned long long)other->offset, (unsigned long long)other->record_bytes,
           (unsigned long long)other->frame_index, text);
}

static rp_status each_bookmark(info *i)
{
    bookmarks list;
    rp_status status = take_file_bookmarks(&i->file, &list);
    json_t *array = i->json ? json_array() : NULL;
    for (size_t n = 0; !status && n < list.count; n++) {
        const bookmark *mark = &list.items[n];
        if (array) {
            json_array_append_new(array, json_pack("{s:o,s:I}", "name", foreign_json(mark->name),
                                                   "frame", (json_int_t)mark->frame));
        } else {
            printf("  bookmark  %llu %s\n", (unsigned long long)mark->frame, mark->name);
        }
    }
    if (array) {
        json_object_set_new(i->object, "bookmarks", array);
    }
    return status;
}

static rp_status each_other(info *i)
{
    const rp_take_index_other *other;
    rp_status status = RP_OK;
    for (uint64_t n = 0; !status && (other = rp_take_other_at(i->file.take, n)); n++) {
        any_record r;
        bool crash = other->type == RP_TAKE_CRASH;
        if (!rp_take_kind_of(other->type)) {
            continue;
        }
        i->report.used_bytes = 0;
        status = rp_take_other_read(i->file.take, n, &r, NULL, crash ? &i->report : NULL);
        status = status ? status : rp_take_array_add(&i->report, "", 1);
        char *report = (char *)i->report.data;
        for (char *c = report; !status && *c; c++) {
            *c = (unsigned char)*c < ' ' && *c != '\n' ? '?' : *c;
        }
        if (!status && i->records) {
            print_record(other, &r);
        } else if (!status && i->json) {
            json_other(i, other->type, &r, report);
        } else if (!status) {
            print_other(other->type, &r, report);
        }
    }
    return status || i->records ? status : each_bookmark(i);
}

static void each_frame(info *i)
{
    const rp_take_index_frame *f;
    json_t *list = i->json ? json_array() : NULL;
    for (uint64_t n = 0; (f = rp_take_frame_at(i->file.take, n)); n++) {
        bool thin = f->flags & RP_TAKE_THIN;
        char hash[20];
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)f->hash);
        if (list) {
            json_array_append_new(list,
                                  json_pack("{s:I,s:i,s:i,s:i,s:I,s:s,s:b}", "frame",
                                            (json_int_t)f->frame, "build", (int)f->build, "kind",
                                            (int)f->kind, "pages", (int)f->page_count, "step_ns",
                                            (json_int_t)f->step_ns, "hash", hash, "thin", thin));
        } else {
            printf("%llu build %u %u pages %.3f ms %s%s%s\n", (unsigned long long)f->frame,
                   f->build, f->page_count, (double)f->step_ns / 1e6, hash,
                   f->kind ? " carried" : "", thin ? " thin" : "");
        }
    }
    if (list) {
        json_object_set_new(i->object, "frame_list", list);
    }
}

/* ---- the command ------------------------------------------------------------------------------
 */

static int show(info *i)
{
    rp_status status = RP_OK;
    i->json ? json_front(i) : print_front(i);
    status = each_other(i);
    if (i->frames) {
        each_frame(i);
    }
    if (!status && i->check) {
        status = rp_take_check(i->file.take, take_file_progress, (void *)(uintptr_t) "info");
    }
    if (i->json) {
        if (i->check) {
            json_object_set_new(i->object, "sound", json_boolean(!status));
        }
        if (status) {
            json_object_set_new(i->object, "damage", json_string(rp_error_last()->text));
        }
        json_dumpf(i->object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
        putchar('\n');
        json_decref(i->object);
    } else if (i->check && !status) {
        printf("  check     every record is whole, every frame has its hash\n");
    }
    if (status) {
        int code = take_file_failed("info");
        return status == RP_E_FORMAT ? TAKE_EXIT_DAMAGED : code;
    }
    return i->file.overview.damage[0] ? TAKE_EXIT_DAMAGED : TAKE_EXIT_DONE;
}

static int read_options(info *i, int argc, char **argv)
{
    static const struct option table[] = {
        {"json", no_argument, NULL, 'j'},    {"frames", no_argument, NULL, 'f'},
        {"records", no_argument, NULL, 'r'}, {"check", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},    {0}};
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "h", table, NULL)) != -1;) {
        switch (option) {
        case 'j':
            i->json = true;
            break;
        case 'f':
            i->frames = true;
            break;
        case 'r':
            i->records = true;
            break;
        case 'c':
            i->check = true;
            break;
        case 'h':
            return take_file_usage("info", help, stdout);
        default:
            return take_file_usage("info", help, stderr);
        }
    }
    return optind + 1 == argc && !(i->json && i->records) ? -1
                                                          : take_file_usage("info", help, stderr);
}

int cmd_info(int argc, char **argv)
{
    info i = {0};
    int code = read_options(&i, argc, argv);
    if (code >= 0) {
        return code;
    }
    if (take_file_open(&i.file, argv[optind]) || rp_take_array_init(&i.report, RP_MIB(2))) {
        code = take_file_failed("info");
    } else {
        code = show(&i);
    }
    rp_take_array_finish(&i.report);
    take_file_close(&i.file);
    return code;
}
