/* Is this file a whole shared library, or what a linker has written of one so far? Layer: module.
 *
 * GNU ld writes the ELF header last, so that an unfinished file begins with zeros; gold and others
 * give the file its full length first. Both count as incomplete. Structures are copied out before
 * they are looked at: offsets in the file may be odd. */
#include "base/error.h"
#include "module/elf_internal.h"

#include <string.h>

typedef struct file_view {
    const char *path;
    const uint8_t *data;
    uint64_t size;
} file_view;

static rp_status incomplete(const file_view *view, const char *why)
{
    return rp_fail(RP_E_INCOMPLETE, "%s: not complete: %s: wait until the linker is done",
                   view->path, why);
}

static rp_status damaged(const file_view *view, const char *why)
{
    return rp_fail(RP_E_FORMAT, "%s: damaged: %s: link it again", view->path, why);
}

static bool all_zero(const uint8_t *data, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        if (data[i]) {
            return false;
        }
    }
    return true;
}

static bool inside(const file_view *view, uint64_t offset, uint64_t size)
{
    return offset <= view->size && size <= view->size - offset;
}

static rp_status check_magic(const file_view *view)
{
    uint64_t head = view->size < sizeof(Elf64_Ehdr) ? view->size : sizeof(Elf64_Ehdr);
    if (all_zero(view->data, 0, head)) {
        return incomplete(view, head ? "its header is not written yet" : "it is empty");
    }
    if (memcmp(view->data, ELFMAG, head < SELFMAG ? head : SELFMAG) != 0) {
        return rp_fail(RP_E_FORMAT,
                       "%s: no ELF file: it begins with other bytes: name the shared library (.so)",
                       view->path);
    }
    if (head < sizeof(Elf64_Ehdr) || all_zero(view->data, EI_NIDENT, head)) {
        return incomplete(view, "its header is cut off");
    }
    return RP_OK;
}

static const char *type_name(unsigned type)
{
    switch (type) {
    case ET_REL:
        return "an object file";
    case ET_EXEC:
        return "an executable";
    case ET_CORE:
        return "a core dump";
    default:
        return NULL;
    }
}

static rp_status check_header(const file_view *view, const Elf64_Ehdr *header)
{
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_machine != EM_X86_64) {
        return rp_fail(RP_E_UNSUPPORTED,
                       "%s: made for another machine (ELF machine %u): this is x86-64: "
                       "compile it for x86-64",
                       view->path, header->e_machine);
    }
    if (header->e_type != ET_DYN) {
        const char *name = type_name(header->e_type);
        if (!name) {
            return damaged(view, "its ELF type is unknown");
        }
        return rp_fail(RP_E_UNSUPPORTED,
                       "%s: not a shared library: it is %s: link it with -shared -fPIC", view->path,
                       name);
    }
    if (header->e_version != EV_CURRENT || header->e_ident[EI_VERSION] != EV_CURRENT ||
        header->e_ehsize != sizeof(Elf64_Ehdr) || header->e_phentsize != sizeof(Elf64_Phdr)) {
        return damaged(view, "its ELF header makes no sense");
    }
    return RP_OK;
}

/* With 0xff00 sections or more the count stands in section 0, which is inside by then. */
static uint64_t section_count(const file_view *view, const Elf64_Ehdr *header)
{
    if (header->e_shnum) {
        return header->e_shnum;
    }
    Elf64_Shdr first;
    memcpy(&first, view->data + header->e_shoff, sizeof first);
    return first.sh_size;
}

static rp_status check_sections(const file_view *view, const Elf64_Ehdr *header)
{
    if (header->e_shoff == 0) {
        return incomplete(view, "it has no section headers yet (or was stripped of them)");
    }
    if (!inside(view, header->e_shoff, sizeof(Elf64_Shdr))) {
        return incomplete(view, "its section headers are cut off");
    }
    if (header->e_shentsize != sizeof(Elf64_Shdr)) {
        return damaged(view, "its section headers have another size");
    }
    uint64_t count = section_count(view, header);
    if (count > view->size / sizeof(Elf64_Shdr) ||
        !inside(view, header->e_shoff, count * sizeof(Elf64_Shdr))) {
        return incomplete(view, "its section headers are cut off");
    }
    for (uint64_t i = 0; i < count; i++) {
        Elf64_Shdr section;
        memcpy(&section, view->data + header->e_shoff + i * sizeof section, sizeof section);
        if (section.sh_type != SHT_NULL && section.sh_type != SHT_NOBITS &&
            !inside(view, section.sh_offset, section.sh_size)) {
            return incomplete(view, "a section reaches beyond its end");
        }
    }
    return count ? RP_OK : incomplete(view, "it has no section headers yet");
}

static rp_status check_program_headers(const file_view *view, const Elf64_Ehdr *header)
{
    if (!header->e_phnum || header->e_phnum == PN_XNUM) {
        return damaged(view, "it has no program headers");
    }
    if (!inside(view, header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr))) {
        return incomplete(view, "its program headers are cut off");
    }
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, view->data + header->e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type != PT_NULL && segment.p_filesz &&
            !inside(view, segment.p_offset, segment.p_filesz)) {
            return incomplete(view, "a segment reaches beyond its end");
        }
    }
    return RP_OK;
}

rp_status rp_elf_check_complete(const char *path, const uint8_t *data, size_t size_bytes)
{
    file_view view = {path, data, size_bytes};
    rp_status status = check_magic(&view);
    if (status != RP_OK) {
        return status;
    }
    Elf64_Ehdr header;
    memcpy(&header, data, sizeof header);
    status = check_header(&view, &header);
    if (status == RP_OK) {
        status = check_sections(&view, &header);
    }
    if (status == RP_OK) {
        status = check_program_headers(&view, &header);
    }
    return status;
}

rp_status rp_elf_check_object(const char *path, const uint8_t *data, size_t size_bytes)
{
    file_view view = {path, data, size_bytes};
    Elf64_Ehdr header;
    rp_status status = check_magic(&view);
    if (status != RP_OK) {
        return status;
    }
    memcpy(&header, data, sizeof header);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_type != ET_REL || header.e_ehsize != sizeof header || header.e_phnum) {
        return damaged(&view, "it is no object file of this machine");
    }
    return check_sections(&view, &header);
}
