/* From addresses to functions and lines: the debug information, else the symbol table. */
#include "symbols.h"

#include "base/text.h"
#include "symbols_source.h"
#include "symbols_unwind.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024 };

typedef struct place {
    const char *file, *directory; /* the directory of a relative file name; null: none */
    int line;
} place;

typedef struct resolving {
    symbols_report *report;
    char blamed[PATH_BYTES]; /* the whole path of the blamed frame's file */
} resolving;

/* ---- the objects ---------------------------------------------------------------------------- */

static int open_regular(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

static int find_no_file(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                        char **file, Elf **elf)
{
    (void)module, (void)data, (void)name, (void)base, (void)file, (void)elf;
    return -1;
}

/* Not dwfl_standard_find_debuginfo: where DEBUGINFOD_URLS is set it would wait for a network. */
static int find_debug_file(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                           const char *file, const char *link, GElf_Word crc, char **found)
{
    return dwfl_build_id_find_debuginfo(module, data, name, base, file, link, crc, found);
}

static const Dwfl_Callbacks callbacks = {
    .find_elf = find_no_file,
    .find_debuginfo = find_debug_file,
};

static void report_object(Dwfl *dwfl, const link_object *object)
{
    char path[RP_OBJECT_PATH_BYTES];
    rp_text_buffer text = rp_text_buffer_over(path, sizeof path);
    rp_text_add(&text, "%.*s", (int)sizeof object->path - 1, object->path);
    int fd = path[0] ? open_regular(path) : -1;
    if (fd < 0) {
        return;
    }
    Dwfl_Module *module = dwfl_report_elf(dwfl, path, path, fd, object->base, true);
    void **data;
    if (!module) {
        close(fd);
    } else if (dwfl_module_info(module, &data, NULL, NULL, NULL, NULL, NULL, NULL)) {
        *data = (void *)(uintptr_t)object;
    }
}

Dwfl *symbols_open(const link_object *objects, int count)
{
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (!dwfl) {
        return NULL;
    }
    dwfl_report_begin(dwfl);
    for (int i = 0; i < count && i < LINK_OBJECT_MAX; i++) {
        report_object(dwfl, &objects[i]);
    }
    dwfl_report_end(dwfl, NULL, NULL);
    return dwfl;
}

static const link_object *object_of(Dwfl_Module *module)
{
    void **data = NULL;
    if (module) {
        dwfl_module_info(module, &data, NULL, NULL, NULL, NULL, NULL, NULL);
    }
    return data ? *data : NULL;
}

/* ---- one frame ------------------------------------------------------------------------------ */

/* The end of a name says more than its beginning. */
static void copy_end(char *to, size_t capacity, const char *from)
{
    size_t length = strlen(from);
    rp_text_copy(to, capacity, length < capacity ? from : from + length - (capacity - 1));
}

static void keep_path(char *path, const place *at)
{
    rp_text_buffer text = rp_text_buffer_over(path, PATH_BYTES);
    bool relative = at->file[0] != '/' && at->directory;
    rp_text_add(&text, "%s%s%s", relative ? at->directory : "", relative ? "/" : "", at->file);
}

static void add_frame(resolving *r, Dwfl_Module *module, uint64_t address, const char *function,
                      const place *at, bool inlined)
{
    symbols_report *report = r->report;
    if (report->frame_count == SYMBOLS_FRAME_MAX) {
        return;
    }
    symbols_frame *frame = &report->frames[report->frame_count];
    const link_object *object = object_of(module);
    *frame = (symbols_frame){.address = address, .inlined = inlined};
    if (object) {
        const char *slash = memrchr(object->path, '/', strnlen(object->path, sizeof object->path));
        const char *name = slash ? slash + 1 : object->path;
        rp_text_buffer text = rp_text_buffer_over(frame->object, sizeof frame->object);
        rp_text_add(&text, "%.*s", (int)(object->path + sizeof object->path - name), name);
        frame->in_module = object->build != 0;
    }
    rp_text_copy(frame->function, sizeof frame->function, function ? function : "");
    if (at->file) {
        copy_end(frame->file, sizeof frame->file, at->file);
        frame->line = at->line;
    }
    if (frame->in_module && report->blame < 0) {
        report->blame = report->frame_count;
        if (at->file) {
            keep_path(r->blamed, at);
        }
    }
    report->frame_count++;
}

/* The compilation unit that holds an address, and what to take off addresses to find them in it.
 * Clang writes no table of ranges, which is all that dwfl_module_addrdie looks at. */
static Dwarf_Die *unit_at(Dwfl_Module *module, uint64_t address, Dwarf_Addr *bias)
{
    Dwarf_Die *unit = dwfl_module_addrdie(module, address, bias);
    if (unit) {
        return unit;
    }
    do {
        unit = dwfl_module_nextcu(module, unit, bias);
    } while (unit && dwarf_haspc(unit, address - *bias) <= 0);
    return unit;
}

static place place_of(Dwarf_Die *unit, Dwarf_Addr address)
{
    place at = {0};
    Dwarf_Attribute attribute;
    Dwarf_Line *line = dwarf_getsrc_die(unit, address);
    if (line && dwarf_lineno(line, &at.line) == 0) {
        at.file = dwarf_linesrc(line, NULL, NULL);
        at.directory = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
    }
    return at;
}

static int number_of(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    dwarf_formudata(dwarf_attr(die, name, &attribute), &value);
    return (int)value;
}

/* Where an inlined function was called from. */
static place place_of_call(Dwarf_Die *unit, Dwarf_Die *inlined)
{
    place at = {0};
    Dwarf_Attribute attribute;
    Dwarf_Files *files;
    size_t count, file = (size_t)number_of(inlined, DW_AT_call_file);
    if (dwarf_getsrcfiles(unit, &files, &count) == 0 && file < count) {
        at.file = dwarf_filesrc(files, file, NULL, NULL);
        at.directory = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
        at.line = number_of(inlined, DW_AT_call_line);
    }
    return at;
}

/* The scopes around an address, from the innermost to the unit, as they lie in the tree; free them.
 * dwarf_getscopes alone goes from an inlined function to where that was defined, not to its caller.
 */
static int scopes_around(Dwarf_Die *unit, Dwarf_Addr address, Dwarf_Die **scopes)
{
    Dwarf_Die *inner = NULL;
    int count = dwarf_getscopes(unit, address, &inner);
    if (count > 0) {
        count = dwarf_getscopes_die(&inner[0], scopes);
    }
    free(inner);
    return count;
}

/* -gsplit-dwarf leaves a skeleton in the object; functions are in a file beside the source's
 * object. */
static Dwarf_Die *whole_unit(Dwarf_Die *unit, Dwarf_Die *split)
{
    uint8_t type = DW_UT_compile;
    bool known = dwarf_cu_info(unit->cu, NULL, &type, NULL, split, NULL, NULL, NULL) == 0;
    return known && type == DW_UT_skeleton && dwarf_tag(split) == DW_TAG_compile_unit ? split
                                                                                      : unit;
}

/* A frame for the function at the address and one for each that it was inlined into, the line of
 * the innermost being `at`. False: the debug information knows no function there. */
static bool add_known_frames(resolving *r, Dwfl_Module *module, const symbols_call *call,
                             Dwarf_Die *unit, Dwarf_Addr address, place at)
{
    Dwarf_Die *scopes = NULL;
    int count = scopes_around(unit, address, &scopes);
    bool found = false;
    for (int i = 0; i < count && !found; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag == DW_TAG_inlined_subroutine) {
            add_frame(r, module, call->address, dwarf_diename(&scopes[i]), &at, true);
            at = place_of_call(unit, &scopes[i]);
        } else if (tag == DW_TAG_subprogram) {
            add_frame(r, module, call->address, dwarf_diename(&scopes[i]), &at, false);
            found = true;
        }
    }
    free(scopes);
    return found;
}

static void add_call(resolving *r, Dwfl *dwfl, const symbols_call *call)
{
    uint64_t inside = call->exact ? call->address : call->address - 1;
    Dwfl_Module *module = dwfl_addrmodule(dwfl, inside);
    Dwarf_Addr bias = 0;
    Dwarf_Die split = {0}, *unit = module ? unit_at(module, inside, &bias) : NULL;
    place at = unit ? place_of(unit, inside - bias) : (place){0};
    if (!unit || !add_known_frames(r, module, call, whole_unit(unit, &split), inside - bias, at)) {
        const char *name = module ? dwfl_module_addrname(module, inside) : NULL;
        add_frame(r, module, call->address, name, &at, false);
    }
}

void symbols_find(Dwfl *dwfl, uint64_t address, symbols_report *report)
{
    resolving r = {.report = report};
    *report = (symbols_report){.blame = -1};
    add_call(&r, dwfl, &(symbols_call){.address = address});
}

/* Between the step and the end of its stack there are only the runner's own calls. */
static void drop_callers_of_the_step(symbols_report *report)
{
    while (report->blame >= 0 && !report->frames[report->frame_count - 1].in_module) {
        report->frame_count--;
    }
}

void symbols_resolve(const link_crash *crash, const link_object *objects, int object_count,
                     symbols_report *report)
{
    symbols_call calls[SYMBOLS_CALL_MAX];
    resolving r = {.report = report};
    *report = (symbols_report){.blame = -1};
    Dwfl *dwfl = symbols_open(objects, object_count);
    if (!dwfl) {
        return;
    }
    int count = symbols_unwind(dwfl, crash, calls, SYMBOLS_CALL_MAX);
    for (int i = 0; i < count; i++) {
        add_call(&r, dwfl, &calls[i]);
    }
    drop_callers_of_the_step(report);
    if (report->blame >= 0) {
        symbols_source_line(r.blamed, report->frames[report->blame].line, report->source,
                            sizeof report->source);
    }
    dwfl_end(dwfl);
}
