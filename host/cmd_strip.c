/* Two passes: first every byte is found that belonged to one of the scopes at any frame, then all
 * frames are written with zeros there. So a block that was freed, and what an allocator handed out
 * again with its old content, are clean as well. */
#include "cmd_strip.h"

#include "take_view.h"

#include <base/bits.h>
#include <base/error.h>
#include <getopt.h>
#include <history/log.h>
#include <string.h>
#include <take/copy.h>

static const char help[] =
    "usage: reprise strip --scope PATH [--scope PATH]… [--replace] FILE.take OUT.take\n"
    "\n"
    "Writes a take in which the memory of a scope and of those below it is zero, in all frames: "
    "also\n"
    "what was freed, and what others got of it later. What the program copied elsewhere stays, as "
    "do\n"
    "inputs and crash reports. A stripped take can be read; it cannot be run on from. Nothing of "
    "it is\n"
    "run.\n"
    "\n"
    "  --scope PATH  as RP_SCOPE nests them: /level/secrets; up to 16 of them\n"
    "  --replace     OUT.take may be there already, where it is a take\n"
    "  --help        this text\n"
    "\n"
    "exit codes\n"
    "  0 done   1 could not be done, or there is no such scope   2 wrong usage\n"
    "\n"
    "examples\n"
    "  reprise strip --scope /account bug.take clean.take\n";

enum { SCOPES_MOST = 16, KNOWN_SCOPES = 64, MASK_BYTES = RP_PAGE_BYTES / 8, SEEN_BYTES = 300 };

/* Whether a scope's id of the image at hand is one of those. */
typedef struct known_scope {
    uint32_t id; /* 0: none */
    int which;   /* -1: of none */
} known_scope;

typedef struct strip {
    const char *scopes[SCOPES_MOST];
    uint64_t bytes[SCOPES_MOST]; /* found of each */
    int scope_count;
    bool replace;
    take_file file;
    take_view view;
    known_scope known[KNOWN_SCOPES];
    rp_take_map pages;   /* page ─► number of its mask */
    rp_take_array masks; /* a bit a byte that becomes zero */
    rp_take_array numbers;
    char seen[SEEN_BYTES]; /* scopes of the take */
    rp_status status;
} strip;

/* ---- which scope ---- */

static bool is_within(const char *path, const char *scope)
{
    scope += scope[0] == '/';
    path += path[0] == '/';
    size_t length = strlen(scope);
    while (length && scope[length - 1] == '/') {
        length--;
    }
    return strncmp(path, scope, length) == 0 && (path[length] == '/' || !path[length]);
}

static void note_seen(strip *s, const char *path)
{
    rp_text_buffer text = {s->seen, sizeof s->seen, strlen(s->seen)};
    char listed[SEEN_BYTES + 4], wanted[SEEN_BYTES];
    snprintf(listed, sizeof listed, " %s,", s->seen);
    snprintf(wanted, sizeof wanted, " %.200s,", path);
    if (!strstr(listed, wanted)) {
        rp_text_add(&text, "%s%.200s", text.length ? ", " : "", path);
    }
}

static int which_scope(strip *s, uint32_t id)
{
    char path[SEEN_BYTES];
    known_scope *known = &s->known[id % KNOWN_SCOPES];
    if (known->id == id) {
        return known->which;
    }
    *known = (known_scope){id, -1};
    if (rp_image_scope_path(&s->view.image, id, path, sizeof path)) {
        note_seen(s, path);
        for (int i = 0; i < s->scope_count && known->which < 0; i++) {
            known->which = is_within(path, s->scopes[i]) ? i : -1;
        }
    }
    return known->which;
}

/* ---- the first pass ---- */

static uint8_t *mask_of(strip *s, uint32_t page)
{
    uint32_t number = (uint32_t)(s->masks.used_bytes / MASK_BYTES);
    if (!rp_take_map_get(&s->pages, page, &number)) {
        s->status = rp_take_array_need(&s->masks, MASK_BYTES);
        s->status = s->status ? s->status : rp_take_map_set(&s->pages, page, number);
        if (s->status) {
            return NULL;
        }
        memset(s->masks.data + s->masks.used_bytes, 0, MASK_BYTES);
        s->masks.used_bytes += MASK_BYTES;
    }
    return s->masks.data + (size_t)number * MASK_BYTES;
}

/* Bytes [from, to) of a page. */
static void mark(strip *s, uint32_t page, uint64_t from, uint64_t to, int which)
{
    uint8_t *mask = mask_of(s, page);
    for (uint64_t i = from; mask && i < to; i++) {
        bool known = mask[i / 8] >> (i % 8) & 1;
        mask[i / 8] |= (uint8_t)(1u << (i % 8));
        s->bytes[which] += !known;
    }
}

/* What lies in one page of the region. Blocks that were freed name their last scope. */
static void look_at_page(strip *s, uint32_t page)
{
    uint64_t start = s->view.image.base + (uint64_t)page * RP_PAGE_BYTES;
    for (uint64_t at = 0; at < RP_PAGE_BYTES && !s->status;) {
        rp_image_block block;
        rp_image_find(&s->view.image, start + at, &block);
        bool owned = block.place == RP_IMAGE_BLOCK || block.place == RP_IMAGE_RUN;
        uint64_t end = block.start + block.size_bytes - start; /* in the page */
        int which = owned && block.scope ? which_scope(s, block.scope) : -1;
        if (owned && block.start <= start + at && end > at && end <= (UINT64_C(1) << 40)) {
            end = rp_min_size(end, RP_PAGE_BYTES);
        } else if (owned) { /* between blocks */
            end = rp_align_down(at, 16) + 16;
            which = -1;
        } else {
            return;
        }
        if (which >= 0) {
            mark(s, page, at, end, which);
        }
        at = end;
    }
}

/* Memory of a scope is written while it is the scope's, so the pages that a frame changed are
 * enough.
 */
static rp_status look_at_frame(strip *s, uint64_t index, bool first)
{
    size_t cursor = 0;
    uint32_t page;
    const uint8_t *content;
    rp_status status = take_view_seek(&s->view, index);
    memset(s->known, 0, sizeof s->known);
    s->numbers.used_bytes = 0;
    while (!status && first && rp_take_state_next(s->view.state, &cursor, &page, &content)) {
        status = rp_take_array_add(&s->numbers, &page, sizeof page);
    }
    status = status || first ? status : rp_take_frame_pages(s->file.take, index, &s->numbers);
    for (size_t at = 0; !status && at < s->numbers.used_bytes; at += sizeof page) {
        memcpy(&page, s->numbers.data + at, sizeof page);
        if (page < RP_PAGE_EXTRA) {
            look_at_page(s, page);
            status = s->status;
        }
    }
    return status;
}

static rp_status check_found(const strip *s)
{
    for (int i = 0; i < s->scope_count; i++) {
        if (!s->bytes[i]) {
            return rp_fail(RP_E_NOT_FOUND, "%s: has no memory of the scope %s; it has %s",
                           s->file.path, s->scopes[i], s->seen[0] ? s->seen : "no scopes");
        }
    }
    return RP_OK;
}

static rp_status find_bytes(strip *s)
{
    uint64_t count = s->file.overview.frame_count;
    bool first = true;
    rp_status status = take_view_open(&s->view, &s->file);
    status = status ? status : rp_take_array_init(&s->masks, RP_GIB(16));
    status = status ? status : rp_take_array_init(&s->numbers, RP_GIB(1));
    for (uint64_t i = 0; i < count && !status; i++) {
        if (!(rp_take_frame_at(s->file.take, i)->flags & RP_TAKE_THIN)) {
            status = look_at_frame(s, i, first);
            first = false;
        }
        if (i % 64 == 0) {
            take_file_progress((void *)(uintptr_t) "strip", i / 2, count);
        }
    }
    return status ? status : check_found(s);
}

/* ---- the second pass ---- */

static const uint8_t *edit(void *context, uint32_t page, const uint8_t *content, uint8_t *room)
{
    const strip *s = context;
    uint32_t number;
    if (page >= RP_PAGE_EXTRA || !rp_take_map_get(&s->pages, page, &number)) {
        return content;
    }
    const uint8_t *mask = s->masks.data + (size_t)number * MASK_BYTES;
    for (size_t i = 0; i < RP_PAGE_BYTES; i++) {
        room[i] = mask[i / 8] >> (i % 8) & 1 ? 0 : content[i];
    }
    return room;
}

static rp_status write_stripped(strip *s, const char *path)
{
    rp_take_file out;
    rp_take_writer *writer = NULL;
    rp_take_environment environment = s->file.overview.environment;
    environment.flags |= RP_TAKE_STRIPPED;
    rp_status status = rp_take_file_create(&out, path, s->replace);
    if (status) {
        return status;
    }
    rp_take_writer_desc desc = {.sink = rp_take_file_sink(&out),
                                .region_base = s->file.overview.header.region_base,
                                .created_wall_ns = rp_os_wall_ns(),
                                .environment = &environment};
    rp_take_copy_desc part = {.last = s->file.overview.frame_count - 1,
                              .edit = edit,
                              .edit_context = s,
                              .progress = take_file_progress,
                              .context = (void *)(uintptr_t) "strip"};
    status = rp_take_writer_open(&desc, &writer);
    status = status ? status : rp_take_copy(s->file.take, &part, writer);
    status = status ? status : rp_take_writer_finish(writer);
    rp_take_writer_close(writer);
    rp_take_file_close(&out);
    return status;
}

/* ---- all ---- */

static int read_options(strip *s, int argc, char **argv)
{
    static const struct option table[] = {{"scope", required_argument, NULL, 's'},
                                          {"replace", no_argument, NULL, 'r'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "h", table, NULL)) != -1;) {
        switch (option) {
        case 's':
            if (s->scope_count == SCOPES_MOST || !optarg[strspn(optarg, "/")]) {
                return take_file_usage("strip", help, stderr);
            }
            s->scopes[s->scope_count++] = optarg;
            break;
        case 'r':
            s->replace = true;
            break;
        case 'h':
            return take_file_usage("strip", help, stdout);
        default:
            return take_file_usage("strip", help, stderr);
        }
    }
    return s->scope_count && optind + 2 == argc ? -1 : take_file_usage("strip", help, stderr);
}

static void say_done(const strip *s)
{
    for (int i = 0; i < s->scope_count; i++) {
        char text[32];
        rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
        rp_text_add_bytes(&buffer, s->bytes[i]);
        printf("%s: %s taken out\n", s->scopes[i], text);
    }
}

int cmd_strip(int argc, char **argv)
{
    strip s = {0};
    int code = read_options(&s, argc, argv);
    if (code >= 0) {
        return code;
    }
    rp_status status = take_file_open(&s.file, argv[optind]);
    status = status ? status : find_bytes(&s);
    status = status ? status : write_stripped(&s, argv[optind + 1]);
    code = status ? take_file_failed("strip") : TAKE_EXIT_DONE;
    if (!status) {
        say_done(&s);
    }
    take_view_close(&s.view);
    rp_take_map_finish(&s.pages);
    rp_take_array_finish(&s.masks);
    rp_take_array_finish(&s.numbers);
    take_file_close(&s.file);
    return code;
}
