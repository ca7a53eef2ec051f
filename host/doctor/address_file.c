/* Reading, writing and checking the project file. See address_file.h. */
#include "doctor/address_file.h"

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "os/os.h"
#include "region/region.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char title[] = "reprise-address";
enum { LINE_BYTES = 512, MOST_RANDOM_BITS = 32 };

const char *address_mode_id(rp_os_subject_mode mode)
{
    static const char *const ids[] = {"as-is", "no-randomisation", "legacy-layout",
                                      "unlimited-stack"};
    return ids[mode];
}

/* ---- reading ---- */

typedef enum value_kind { NUMBER64, NUMBER32, TEXT } value_kind;

#define FIELD(name, kind, member)                                                       \
    {                                                                                   \
        name, kind, offsetof(address_file, member), sizeof(((address_file *)0)->member) \
    }

static const struct {
    const char *name;
    value_kind kind;
    size_t offset, size;
} fields[] = {
    FIELD("base", NUMBER64, base),
    FIELD("end", NUMBER64, end),
    FIELD("reserve", NUMBER64, reserve_bytes),
    FIELD("page", NUMBER32, page_bytes),
    FIELD("address-bits", NUMBER32, address_bits),
    FIELD("randomisation-bits", NUMBER32, randomisation_bits),
    FIELD("architecture", TEXT, architecture),
    FIELD("kernel", TEXT, kernel),
    FIELD("kind", TEXT, kind),
    FIELD("build-id", TEXT, build_id),
    FIELD("date", TEXT, date),
    FIELD("reprise", TEXT, version),
    FIELD("program", TEXT, program),
};

static bool read_number(const char *text, uint64_t most, uint64_t *number)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 0);
    *number = n;
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno && n <= most;
}

static bool is_plain(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool read_field(address_file *file, size_t which, const char *value)
{
    char *at = (char *)file + fields[which].offset;
    uint64_t number;
    switch (fields[which].kind) {
    case NUMBER64:
        return read_number(value, UINT64_MAX, (uint64_t *)(void *)at);
    case NUMBER32:
        if (!read_number(value, UINT32_MAX, &number)) {
            return false;
        }
        *(uint32_t *)(void *)at = (uint32_t)number;
        return true;
    default:
        memset(at, 0, fields[which].size);
        return is_plain(value) && rp_text_copy(at, fields[which].size, value);
    }
}

/* The next word of "as-is 200 200 199"; null where there is none. Words stand one space apart. */
static char *next_word(char **at)
{
    char *word = *at;
    if (!word) {
        return NULL;
    }
    char *space = strchr(word, ' ');
    *at = space ? space + 1 : NULL;
    if (space) {
        *space = 0;
    }
    return word;
}

static bool read_mode(address_file *file, char *value)
{
    const char *id = next_word(&value), *word;
    uint64_t numbers[3];
    for (size_t i = 0; i < RP_COUNT_OF(numbers); i++) {
        word = next_word(&value);
        if (!word || !read_number(word, UINT32_MAX, &numbers[i])) {
            return false;
        }
    }
    for (int mode = 0; mode < RP_OS_SUBJECT_MODES && !value; mode++) {
        if (strcmp(id, address_mode_id((rp_os_subject_mode)mode)) == 0) {
            file->modes[mode] =
                (address_counts){(uint32_t)numbers[0], (uint32_t)numbers[1], (uint32_t)numbers[2]};
        }
    }
    return !value;
}

static bool read_line(address_file *file, char *line)
{
    char *value = strchr(line, ' ');
    if (!line[0] || line[0] == '#') {
        return true;
    }
    if (!value || value == line) {
        return false;
    }
    *value++ = 0;
    if (strcmp(line, "mode") == 0) {
        return read_mode(file, value);
    }
    for (size_t i = 0; i < RP_COUNT_OF(fields); i++) {
        if (strcmp(line, fields[i].name) == 0) {
            return read_field(file, i, value);
        }
    }
    return true;
}

/* Copies the next line, terminated; false at the end of the bytes or where it is too long or holds
 * a zero: `*good` says which. */
static bool next_line(const char **at, const char *end, char line[LINE_BYTES], bool *good)
{
    if (*at == end) {
        return false;
    }
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    size_t length = (size_t)((newline ? newline : end) - *at);
    *good = newline && length < LINE_BYTES && !memchr(*at, 0, length);
    if (!*good) {
        return false;
    }
    memcpy(line, *at, length);
    line[length] = 0;
    *at = newline + 1;
    return true;
}

static rp_status check_title(const char *name, const char *line)
{
    size_t length = sizeof title - 1;
    uint64_t version;
    if (strncmp(line, title, length) != 0 || line[length] != ' ' ||
        !read_number(line + length + 1, UINT32_MAX, &version)) {
        return rp_fail(RP_E_FORMAT,
                       "%s: its first line is not \"%s %d\": it is not ours, remove it "
                       "or name another file",
                       name, title, ADDRESS_FILE_VERSION);
    }
    if (version != ADDRESS_FILE_VERSION) {
        return rp_fail(RP_E_FORMAT,
                       "%s: is of version %llu, and this program reads version %d: use the reprise "
                       "that wrote it, or survey again",
                       name, (unsigned long long)version, ADDRESS_FILE_VERSION);
    }
    return RP_OK;
}

static bool is_complete(const address_file *file)
{
    return file->base && file->base < file->end && file->reserve_bytes &&
           file->reserve_bytes <= file->end - file->base && file->page_bytes &&
           file->architecture[0];
}

rp_status address_file_parse(const char *name, const char *bytes, size_t size_bytes,
                             address_file *file)
{
    const char *at = bytes, *end = bytes + size_bytes;
    char line[LINE_BYTES] = "";
    bool good = true;
    unsigned number = 1;
    *file = (address_file){0};
    rp_status status = check_title(name, next_line(&at, end, line, &good) ? line : "");
    if (status) {
        return status;
    }
    while (good) {
        number++;
        if (!next_line(&at, end, line, &good)) {
            break;
        }
        good = read_line(file, line);
    }
    if (!good) {
        return rp_fail(RP_E_FORMAT,
                       "%s:%u: cannot be read: it is damaged, survey again with `reprise doctor "
                       "--survey`",
                       name, number);
    }
    if (!is_complete(file)) {
        return rp_fail(
            RP_E_FORMAT,
            "%s: base, end, reserve, page or architecture is missing or cannot be: survey "
            "again with `reprise doctor --survey`",
            name);
    }
    return RP_OK;
}

rp_status address_file_read(const char *path, address_file *file)
{
    rp_os_bytes bytes;
    rp_status status = rp_os_file_read(path, ADDRESS_FILE_BYTES_MAX, &bytes);
    if (status) {
        return status;
    }
    status = address_file_parse(path, (const char *)bytes.data, bytes.size_bytes, file);
    rp_os_file_free(&bytes);
    return status;
}

/* ---- writing ---- */

static void print_field(const address_file *file, size_t which, rp_text_buffer *text)
{
    const char *at = (const char *)file + fields[which].offset, *name = fields[which].name;
    if (fields[which].kind == NUMBER64) {
        rp_text_add(text, "%s 0x%" PRIx64 "\n", name, *(const uint64_t *)(const void *)at);
    } else if (fields[which].kind == NUMBER32) {
        rp_text_add(text, "%s %" PRIu32 "\n", name, *(const uint32_t *)(const void *)at);
    } else if (at[0]) {
        rp_text_add(text, "%s %s\n", name, at);
    }
}

size_t address_file_print(const address_file *file, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    rp_text_add(&buffer,
                "%s %d\n"
                "# Written by `reprise doctor --survey`, read by `reprise run`: see\n"
                "# docs/static-address.md. A mode's numbers: runs, base free, base proved.\n",
                title, ADDRESS_FILE_VERSION);
    for (size_t i = 0; i < RP_COUNT_OF(fields); i++) {
        print_field(file, i, &buffer);
    }
    for (int mode = 0; mode < RP_OS_SUBJECT_MODES; mode++) {
        const address_counts *c = &file->modes[mode];
        rp_text_add(&buffer, "mode %s %" PRIu32 " %" PRIu32 " %" PRIu32 "\n",
                    address_mode_id((rp_os_subject_mode)mode), c->run_count, c->free_count,
                    c->proved_count);
    }
    return buffer.length + 1 < capacity ? buffer.length : 0;
}

/* Whether what stands there may be replaced: one of ours, whole or damaged, of no later version. */
static rp_status check_ours(const char *path)
{
    rp_os_bytes bytes;
    char line[LINE_BYTES] = "";
    bool good;
    rp_status status = rp_os_file_read(path, ADDRESS_FILE_BYTES_MAX, &bytes);
    if (status == RP_E_NOT_FOUND) {
        return RP_OK;
    }
    if (!status) {
        const char *at = (const char *)bytes.data, *end = at + bytes.size_bytes;
        status = check_title(path, next_line(&at, end, line, &good) ? line : "");
        rp_os_file_free(&bytes);
    }
    if (status) {
        rp_error why = *rp_error_last();
        return rp_fail(RP_E_TAKEN, "not written over: %s", why.text);
    }
    return RP_OK;
}

rp_status address_file_write(const char *path, const address_file *file)
{
    char text[ADDRESS_FILE_BYTES_MAX];
    rp_status status = check_ours(path);
    if (status) {
        return status;
    }
    size_t length = address_file_print(file, text, sizeof text);
    return rp_os_file_write(path, text, length);
}

/* ---- checking ---- */

static rp_status changed(const char *name, const char *what, const char *now)
{
    return rp_fail(
        RP_E_CHANGED,
        "%s: was made for %s, here it is %s: survey again with `reprise doctor --survey`, "
        "or go back to what it was made for",
        name, what, now);
}

static rp_status check_numbers(const char *name, const address_file *file)
{
    char what[96], now[96];
    if (file->base != RP_REGION_BASE) {
        snprintf(what, sizeof what, "a region at %#" PRIx64, file->base);
        snprintf(now, sizeof now, "at %#" PRIx64 " (another build of reprise)", RP_REGION_BASE);
        return changed(name, what, now);
    }
    if (file->end < RP_MODULE_LIMIT || file->reserve_bytes > RP_REGION_RESERVE_BYTES) {
        snprintf(what, sizeof what, "addresses up to %#" PRIx64, file->end);
        snprintf(now, sizeof now, "up to %#" PRIx64, RP_MODULE_LIMIT);
        return changed(name, what, now);
    }
    return RP_OK;
}

static rp_status check_machine(const char *name, const address_file *file,
                               const rp_os_machine *machine)
{
    char what[96], now[96];
    if (strcmp(file->architecture, machine->architecture) != 0) {
        return changed(name, file->architecture, machine->architecture);
    }
    if (file->page_bytes != machine->page_bytes) {
        snprintf(what, sizeof what, "pages of %" PRIu32 " bytes", file->page_bytes);
        snprintf(now, sizeof now, "%" PRIu32, machine->page_bytes);
        return changed(name, what, now);
    }
    if (machine->address_bits && machine->address_bits < 64 && file->end >> machine->address_bits) {
        snprintf(what, sizeof what, "addresses up to %#" PRIx64, file->end);
        snprintf(now, sizeof now, "a machine of %" PRIu32 " address bits", machine->address_bits);
        return changed(name, what, now);
    }
    if (machine->randomisation_bits > MOST_RANDOM_BITS &&
        machine->randomisation_bits > file->randomisation_bits) {
        snprintf(now, sizeof now, "%" PRIu32, machine->randomisation_bits);
        return changed(name, "at most 32 bits of address randomisation", now);
    }
    if (machine->address_space_limit_bytes < file->reserve_bytes) {
        snprintf(what, sizeof what, "a reserve of %" PRIu64 " MiB", file->reserve_bytes >> 20);
        snprintf(now, sizeof now, "limited to %" PRIu64 " MiB of address space (RLIMIT_AS)",
                 machine->address_space_limit_bytes >> 20);
        return changed(name, what, now);
    }
    return RP_OK;
}

rp_status address_file_check(const char *name, const address_file *file,
                             const rp_os_machine *machine)
{
    rp_status status = check_numbers(name, file);
    return status ? status : check_machine(name, file, machine);
}

rp_status address_file_check_project(const char *module_path)
{
    char path[1024];
    const char *slash = strrchr(module_path, '/');
    int folder = slash ? (int)(slash - module_path) + 1 : 0;
    rp_text_copy(path, sizeof path, ADDRESS_FILE_NAME);
    if (access(path, F_OK) != 0) {
        snprintf(path, sizeof path, "%.*s%s", folder, module_path, ADDRESS_FILE_NAME);
        if (!slash || access(path, F_OK) != 0) {
            return RP_OK;
        }
    }
    address_file file;
    rp_os_machine machine;
    rp_status status = address_file_read(path, &file);
    if (status) {
        return status;
    }
    rp_os_machine_get(&machine);
    return address_file_check(path, &file, &machine);
}
