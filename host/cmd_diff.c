#include "cmd_diff.h"

#include "take_file.h"

#include <base/bits.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <take/copy.h>

static const char help[] =
    "usage: reprise diff [--json] [--limit N] FILE.take FRAME FRAME\n"
    "       reprise diff [--json] [--limit N] FILE.take FRAME OTHER.take FRAME\n"
    "\n"
    "Says which bytes of memory differ between two frames: address, where that is, old and new "
    "bytes.\n"
    "A frame is a number, first or last. Nothing of a take is run.\n"
    "\n"
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

enum { SHOWN_BYTES = 16 };

typedef struct diff {
    take_file files[2];
    take_file *sides[2];
    rp_take_state *states[2];
    uint64_t at[2], limit, shown;
    bool json;
    json_t *list;
} diff;

static void hex_of(const uint8_t *bytes, uint32_t size_bytes, char *text)
{
    uint32_t shown = size_bytes < SHOWN_BYTES ? size_bytes : SHOWN_BYTES;
    for (uint32_t i = 0; i < shown; i++) {
        text += sprintf(text, "%s%02x", i ? " " : "", bytes[i]);
    }
    strcpy(text, shown < size_bytes ? " …" : "");
}

static void show_difference(void *context, const rp_take_difference *d)
{
    diff *f = context;
    uint64_t address = 0;
    const rp_take_range *range = NULL;
    char old[64], new[64], name[sizeof range->name];
    if (f->limit && f->shown >= f->limit) {
        return;
    }
    f->shown++;
    bool known = rp_take_page_address(f->sides[0]->take, take_file_range_list(f->sides[0]),
                                      f->sides[0]->range_count, d->page, &address, &range);
    snprintf(name, sizeof name, "%s", range ? range->name : known ? "world" : "unknown");
    take_file_plain(name);
    hex_of(d->a, d->size_bytes, old);
    hex_of(d->b, d->size_bytes, new);
    address += d->offset_bytes;
    if (f->json) {
        json_array_append_new(f->list, json_pack("{s:I,s:s,s:i,s:s?,s:s?}", "address",
                                                 (json_int_t)address, "in", name, "size_bytes",
                                                 (int)d->size_bytes, "old", old, "new", new));
    } else {
        printf("%#llx %s, %u byte%s: %s → %s\n", (unsigned long long)address, name, d->size_bytes,
               d->size_bytes == 1 ? "" : "s", old, new);
    }
}

static rp_status seek_both(diff *f, char *const *words, int count)
{
    const char *frames[2] = {words[1], words[count - 1]};
    rp_status status = RP_OK;
    for (int i = 0; i < 2 && !status; i++) {
        f->sides[i] = &f->files[count == 4 ? i : 0];
        if (!f->sides[i]->take) {
            status = take_file_open(f->sides[i], words[2 * i]);
        }
        status = status ? status : take_file_frame(f->sides[i], frames[i], &f->at[i]);
        status = status ? status : rp_take_state_create(f->sides[i]->take, &f->states[i]);
        status = status ? status : rp_take_state_seek(f->states[i], f->at[i]);
    }
    return status ? status : take_file_ranges(f->sides[0], f->at[0]);
}

static void show_sum(diff *f, const rp_take_difference_sum *sum)
{
    if (f->json) {
        json_t *object = json_pack("{s:I,s:I,s:I,s:o}", "pages", (json_int_t)sum->page_count,
                                   "places", (json_int_t)sum->span_count, "bytes",
                                   (json_int_t)sum->byte_count, "list", f->list);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
        return;
    }
    if (f->shown < sum->span_count) {
        printf("… and %llu more places: --limit 0 shows all\n",
               (unsigned long long)(sum->span_count - f->shown));
    }
    printf("%llu bytes differ, in %llu places on %llu pages\n", (unsigned long long)sum->byte_count,
           (unsigned long long)sum->span_count, (unsigned long long)sum->page_count);
}

static int read_options(diff *f, int argc, char **argv)
{
    static const struct option table[] = {{"json", no_argument, NULL, 'j'},
                                          {"limit", required_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    char *end = NULL;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "h", table, NULL)) != -1;) {
        switch (option) {
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
    rp_take_difference_sum sum;
    int code = read_options(&f, argc, argv);
    if (code >= 0) {
        return code;
    }
    f.list = f.json ? json_array() : NULL;
    rp_status status = seek_both(&f, argv + optind, argc - optind);
    status = status ? status : rp_take_compare(f.states[0], f.states[1], show_difference, &f, &sum);
    if (status) {
        code = take_file_failed("diff");
    } else {
        show_sum(&f, &sum);
        code = sum.byte_count ? TAKE_EXIT_DAMAGED : TAKE_EXIT_DONE;
    }
    for (int i = 0; i < 2; i++) {
        rp_take_state_destroy(f.states[i]);
    }
    take_file_close(&f.files[0]);
    take_file_close(&f.files[1]);
    return code;
}
