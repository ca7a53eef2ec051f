#include "cmd_export.h"

#include "take_file.h"

#include <base/bits.h>
#include <base/error.h>
#include <deck/input.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: reprise export --input [--output FILE] FILE.take\n"
    "       reprise export --memory ADDRESS:BYTES [--frame FRAME] [--output FILE] FILE.take\n"
    "       reprise export --build N [--output FILE] FILE.take\n"
    "\n"
    "Writes a part of a take as a plain file. Nothing of it is run.\n"
    "\n"
    "  --input         the inputs of all frames, for `reprise run --input`\n"
    "  --memory A:N    N bytes that lay at address A (0x…) after a frame\n"
    "  --frame FRAME   which one: a number, first or last (last)\n"
    "  --build N       the module of a build, as the linker wrote it\n"
    "  --output FILE   where to; what is there already stays (standard output)\n"
    "  --help          this text\n"
    "\n"
    "exit codes\n"
    "  0 done   1 could not be done   2 wrong usage\n"
    "\n"
    "examples\n"
    "  reprise export --input --output bug.input bug.take\n"
    "  reprise export --memory 0x550000001000:64 --frame 120 bug.take | xxd\n";

typedef struct export_options {
    bool input;
    const char *memory, *frame, *build, *output;
} export_options;

#define OUTPUT_MOST_BYTES RP_GIB(4)

/* ---- inputs -----------------------------------------------------------------------------------
 */

static rp_status add_lines(rp_take_array *text, uint64_t frame, const rp_input *before,
                           const rp_input *now)
{
    size_t length = rp_input_script_print(frame, before, now, NULL, 0);
    rp_status status = rp_take_array_need(text, length + 1);
    if (!status) {
        rp_input_script_print(frame, before, now, (char *)text->data + text->used_bytes,
                              length + 1);
        text->used_bytes += length;
    }
    return status;
}

static rp_status export_inputs(take_file *file, rp_take_array *text)
{
    rp_take_array marks;
    rp_input before = {0}, now;
    uint8_t packed[RP_TAKE_INPUT_MOST_BYTES];
    uint32_t packed_bytes;
    if (file->overview.environment.flags & RP_TAKE_EMBEDDED) {
        return rp_fail(RP_E_UNSUPPORTED,
                       "%s: the inputs of a program that embeds the deck are bytes that it alone "
                       "understands",
                       file->path);
    }
    rp_status status = take_file_timeline(file, &marks);
    status = status ? status
                    : rp_take_array_add(text, RP_INPUT_SCRIPT_HEADER "\n",
                                        sizeof RP_INPUT_SCRIPT_HEADER);
    for (uint64_t i = 0; !status && i < file->overview.frame_count; i++) {
        const rp_take_index_frame *frame = rp_take_frame_at(file->take, i);
        if (!marks.data[i] || frame->kind || frame->frame == 0) {
            continue;
        }
        status = rp_take_frame_input(file->take, i, packed, &packed_bytes);
        status = status ? status : rp_input_unpack(packed, packed_bytes, &now);
        status = status ? status : add_lines(text, frame->frame, &before, &now);
        before = now;
    }
    rp_take_array_finish(&marks);
    return status;
}

/* ---- memory -----------------------------------------------------------------------------------
 */

static rp_status read_range(const char *text, uint64_t *address, uint64_t *size_bytes)
{
    char *end, *last;
    errno = 0;
    *address = strtoull(text, &end, 0);
    *size_bytes = *end == ':' ? strtoull(end + 1, &last, 0) : 0;
    if (errno || !*size_bytes || *last || *size_bytes > OUTPUT_MOST_BYTES) {
        return rp_fail(RP_E_ARGUMENT,
                       "--memory %s: it takes ADDRESS:BYTES, as in 0x550000001000:64", text);
    }
    return RP_OK;
}

static rp_status export_memory(take_file *file, const export_options *o, rp_take_array *bytes)
{
    uint64_t address, size_bytes, index;
    rp_take_state *state = NULL;
    rp_status status = read_range(o->memory, &address, &size_bytes);
    status = status ? status : take_file_frame(file, o->frame ? o->frame : "last", &index);
    status = status ? status : take_file_ranges(file, index);
    status = status ? status : rp_take_state_create(file->take, &state);
    status = status ? status : rp_take_state_seek(state, index);
    status = status ? status : rp_take_array_need(bytes, (size_t)size_bytes);
    if (!status) {
        status = rp_take_state_read(state, take_file_range_list(file), file->range_count, address,
                                    bytes->data, (size_t)size_bytes);
        bytes->used_bytes = (size_t)size_bytes;
    }
    rp_take_state_destroy(state);
    return status;
}

/* ---- builds -----------------------------------------------------------------------------------
 */

static rp_status export_build(take_file *file, const char *text, rp_take_array *bytes)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    const rp_take_index_other *other;
    if (!number || *end) {
        return rp_fail(RP_E_ARGUMENT, "--build %s: it takes a build's number, from 1", text);
    }
    for (uint64_t i = 0; (other = rp_take_other_at(file->take, i)); i++) {
        rp_take_part part;
        if (other->type != RP_TAKE_FILE) {
            continue;
        }
        rp_status status = rp_take_other_read(file->take, i, &part, NULL, NULL);
        if (status) {
            return status;
        }
        if (part.build == number && part.role == RP_TAKE_ROLE_MODULE) {
            return rp_take_file_read(file->take, i, bytes);
        }
    }
    return rp_fail(RP_E_NOT_FOUND, "%s: has no file of build %lu", file->path, number);
}

/* ---- the command ------------------------------------------------------------------------------
 */

static int read_options(export_options *o, int argc, char **argv)
{
    static const struct option table[] = {{"input", no_argument, NULL, 'i'},
                                          {"memory", required_argument, NULL, 'm'},
                                          {"frame", required_argument, NULL, 'f'},
                                          {"build", required_argument, NULL, 'b'},
                                          {"output", required_argument, NULL, 'o'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "h", table, NULL)) != -1;) {
        switch (option) {
        case 'i':
            o->input = true;
            break;
        case 'm':
            o->memory = optarg;
            break;
        case 'f':
            o->frame = optarg;
            break;
        case 'b':
            o->build = optarg;
            break;
        case 'o':
            o->output = optarg;
            break;
        case 'h':
            return take_file_usage("export", help, stdout);
        default:
            return take_file_usage("export", help, stderr);
        }
    }
    bool one = o->input + (o->memory != NULL) + (o->build != NULL) == 1 && (!o->frame || o->memory);
    return one && optind + 1 == argc ? -1 : take_file_usage("export", help, stderr);
}

int cmd_export(int argc, char **argv)
{
    export_options o = {0};
    take_file file = {0};
    rp_take_array bytes = {0};
    int code = read_options(&o, argc, argv);
    if (code >= 0) {
        return code;
    }
    rp_status status = take_file_open(&file, argv[optind]);
    status = status ? status : rp_take_array_init(&bytes, OUTPUT_MOST_BYTES);
    if (!status) {
        status = o.input    ? export_inputs(&file, &bytes)
                 : o.memory ? export_memory(&file, &o, &bytes)
                            : export_build(&file, o.build, &bytes);
    }
    status =
        status ? status : take_file_write(o.output ? o.output : "-", bytes.data, bytes.used_bytes);
    code = status ? take_file_failed("export") : TAKE_EXIT_DONE;
    rp_take_array_finish(&bytes);
    take_file_close(&file);
    return code;
}
