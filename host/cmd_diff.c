#include "cmd_diff.h"

#include "diff_fields.h"

#include <base/bits.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: reprise diff [OPTIONS] FILE.take FRAME FRAME\n"
    "       reprise diff [OPTIONS] FILE.take FRAME OTHER.take FRAME\n"
    "\n"
    "Says what differs in memory between two frames: by fields where the take has debug "
    "information,\n"
    "else by blocks and bytes. Frames of two builds are compared by the names of their variables.\n"
    "A frame is a number, first or last. Nothing of a take is run.\n"
    "\n"
    "  --bytes     by bytes alone, the allocators' books and free memory as well\n"
    "  --json      as one JSON object\n"
    "  --limit N   at most so many places (100; 0: all)\n"
    "  --help      this text\n"
    "\n"
    "exit codes\n"
    "  0 equal   1 cannot be read   2 wrong usage   3 they differ\n"
    "\n"
    "examples\n"
    "  reprise diff bug.take 120 121\n"
    "  reprise diff good.take last bad.take last\n";

typedef struct diff {
    take_file files[2];
    take_builds builds[2];
    take_view views[2];
    diff_sides sides;
    uint64_t limit, shown;
    bool json, bytes;
    json_t *list;
} diff;

/* ---- one place ---- */

static json_t *json_of(const diff_field *f)
{
    json_t *object = json_pack("{s:I,s:s?,s:s?}", "size_bytes", (json_int_t)f->size_bytes, "old",
                               f->old_text, "new", f->new_text);
    if (f->address) {
        json_object_set_new(object, "address", json_integer((json_int_t)f->address));
    }
    if (f->path[0]) {
        json_object_set_new(object, "field", json_string(f->path));
        json_object_set_new(object, "type", json_string(f->type));
    } else {
        json_object_set_new(object, "in", json_string(f->place));
    }
    if (f->is_new) {
        json_object_set_new(object, "object", json_string("new"));
    }
    return object;
}

static void print(const diff_field *f)
{
    if (f->path[0]) {
        printf("%s (%s): %s%s%s\n", f->path, f->type, f->is_new ? "new" : f->old_text,
               f->is_new ? ": " : " → ", f->new_text);
    } else {
        printf("%#llx %s, %u byte%s: %s → %s\n", (unsigned long long)f->address, f->place,
               f->size_bytes, f->size_bytes == 1 ? "" : "s", f->old_text, f->new_text);
    }
}

static void show(void *context, const diff_field *field)
{
    diff *f = context;
    if (f->limit && f->shown >= f->limit) {
        return;
    }
    f->shown++;
    if (f->json) {
        json_array_append_new(f->list, json_of(field));
    } else {
        print(field);
    }
}

/* ---- all ---- */

static rp_status seek_both(diff *f, char *const *words, int count)
{
    const char *frames[2] = {words[1], words[count - 1]};
    rp_status status = RP_OK;
    f->sides = (diff_sides){.told = show, .context = f, .bytes_alone = f->bytes};
    for (int i = 0; i < 2 && !status; i++) {
        int side = count == 4 ? i : 0;
        uint64_t index;
        take_file *file = &f->files[side];
        if (!file->take) {
            status = take_file_open(file, words[2 * i]);
        }
        status = status ? status : take_file_frame(file, frames[i], &index);
        status = status ? status : take_view_open(&f->views[i], file);
        status = status ? status : take_view_seek(&f->views[i], index);
        f->sides.views[i] = &f->views[i];
        f->sides.builds[i] = &f->builds[side];
    }
    return status;
}

static void show_json(diff *f, const diff_sum *sum)
{
    json_t *object = json_pack("{s:s,s:I,s:o}", "by", sum->by_names ? "names" : "addresses",
                               "fields", (json_int_t)sum->fields, "list", f->list);
    if (!sum->by_names) {
        json_object_set_new(object, "pages", json_integer((json_int_t)sum->bytes.page_count));
        json_object_set_new(object, "places", json_integer((json_int_t)sum->bytes.span_count));
        json_object_set_new(object, "bytes", json_integer((json_int_t)sum->bytes.byte_count));
        json_object_set_new(object, "book_bytes", json_integer((json_int_t)sum->book_bytes));
    }
    if (sum->no_types[0]) {
        json_object_set_new(object, "no_types", json_string(sum->no_types));
    }
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static void show_sum(diff *f, const diff_sum *sum)
{
    uint64_t all = sum->fields + sum->others;
    if (f->json) {
        show_json(f, sum);
        return;
    }
    if (f->shown < all) {
        printf("… and %llu more places: --limit 0 shows all\n",
               (unsigned long long)(all - f->shown));
    }
    if (sum->by_names) {
        printf("%llu values differ; the builds do, too, so they are compared by names\n",
               (unsigned long long)sum->fields);
        return;
    }
    if (sum->book_bytes) {
        printf("%llu bytes of allocators' books and free memory: --bytes shows them\n",
               (unsigned long long)sum->book_bytes);
    }
    printf("%llu bytes differ, in %llu places on %llu pages\n",
           (unsigned long long)sum->bytes.byte_count, (unsigned long long)sum->bytes.span_count,
           (unsigned long long)sum->bytes.page_count);
    if (sum->no_types[0]) {
        fprintf(stderr, "reprise: diff: no fields, since %s\n", sum->no_types);
    }
}

static int read_options(diff *f, int argc, char **argv)
{
    static const struct option table[] = {{"bytes", no_argument, NULL, 'b'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"limit", required_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    char *end = NULL;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "h", table, NULL)) != -1;) {
        switch (option) {
        case 'b':
            f->bytes = true;
            break;
        case 'j':
            f->json = true;
            break;
        case 'l':
            f->limit = strtoull(optarg, &end, 10);
            break;
        case 'h':
            return take_file_usage("diff", help, stdout);
        default:
            return take_file_usage("diff", help, stderr);
        }
    }
    int words = argc - optind;
    return (words == 3 || words == 4) && (!end || !*end) ? -1
                                                         : take_file_usage("diff", help, stderr);
}

int cmd_diff(int argc, char **argv)
{
    diff f = {.limit = 100};
    diff_sum sum;
    int code = read_options(&f, argc, argv);
    if (code >= 0) {
        return code;
    }
    f.list = f.json ? json_array() : NULL;
    rp_status status = seek_both(&f, argv + optind, argc - optind);
    status = status ? status : diff_fields(&f.sides, &sum);
    if (status) {
        code = take_file_failed("diff");
        json_decref(f.list);
    } else {
        show_sum(&f, &sum);
        code = sum.bytes.byte_count || sum.fields ? TAKE_EXIT_DAMAGED : TAKE_EXIT_DONE;
    }
    for (int i = 0; i < 2; i++) {
        take_view_close(&f.views[i]);
        take_builds_close(&f.builds[i]);
        take_file_close(&f.files[i]);
    }
    return code;
}
