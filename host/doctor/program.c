/* What kind of program a file is, by its ELF headers and symbols. */
#include "doctor/doctor.h"

#include "base/bits.h"
#include "base/text.h"

#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *doctor_kind_name(doctor_kind kind)
{
    static const char *const names[] = {"unknown", "pie",        "non-pie",
                                        "static",  "static-pie", "library"};
    return names[kind];
}

/* A symbol that each program under the sanitizer has, its run-time linked in or not. */
static const char *const sanitizer_symbols[RP_SURVEY_SANITIZERS] = {
    [RP_SURVEY_ASAN] = "__asan_init",
    [RP_SURVEY_TSAN] = "__tsan_init",
    [RP_SURVEY_MSAN] = "__msan_init",
};

static void take_symbol(doctor_program *program, const char *name)
{
    for (int i = 0; i < RP_SURVEY_SANITIZERS; i++) {
        program->sanitizers[i] = program->sanitizers[i] || strcmp(name, sanitizer_symbols[i]) == 0;
    }
    program->has_region = program->has_region || strcmp(name, "rp_region_create") == 0;
}

static void read_symbols(Elf *elf, Elf_Scn *section, const GElf_Shdr *header,
                         doctor_program *program)
{
    Elf_Data *data = elf_getdata(section, NULL);
    size_t count = data && header->sh_entsize ? data->d_size / header->sh_entsize : 0;
    for (size_t i = 0; i < count; i++) {
        GElf_Sym symbol;
        const char *name = gelf_getsym(data, (int)i, &symbol)
                               ? elf_strptr(elf, header->sh_link, symbol.st_name)
                               : NULL;
        if (name) {
            take_symbol(program, name);
        }
    }
}

/* DF_1_PIE tells a program from a library, both of which are shared objects. */
static bool has_pie_flag(Elf_Scn *section)
{
    Elf_Data *data = elf_getdata(section, NULL);
    GElf_Dyn entry;
    for (int i = 0; data && gelf_getdyn(data, i, &entry) && entry.d_tag != DT_NULL; i++) {
        if (entry.d_tag == DT_FLAGS_1) {
            return entry.d_un.d_val & DF_1_PIE;
        }
    }
    return false;
}

static void read_build_id(Elf_Scn *section, char *text, size_t capacity)
{
    Elf_Data *data = elf_getdata(section, NULL);
    GElf_Nhdr note;
    size_t name_at, bytes_at, at = 0;
    while (data && (at = gelf_getnote(data, at, &note, &name_at, &bytes_at)) > 0) {
        const char *name = (const char *)data->d_buf + name_at;
        const uint8_t *bytes = (const uint8_t *)data->d_buf + bytes_at;
        if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 || memcmp(name, "GNU", 4) != 0) {
            continue;
        }
        rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
        for (size_t i = 0; i < note.n_descsz; i++) {
            rp_text_add(&buffer, "%02x", bytes[i]);
        }
    }
}

static bool read_sections(Elf *elf, doctor_program *program)
{
    bool pie = false;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
        GElf_Shdr header;
        if (!gelf_getshdr(section, &header)) {
            continue;
        }
        if (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM) {
            read_symbols(elf, section, &header, program);
        } else if (header.sh_type == SHT_DYNAMIC) {
            pie = pie || has_pie_flag(section);
        } else if (header.sh_type == SHT_NOTE) {
            read_build_id(section, program->build_id, sizeof program->build_id);
        }
    }
    return pie;
}

static bool has_interpreter(Elf *elf)
{
    size_t count = 0;
    GElf_Phdr header;
    elf_getphdrnum(elf, &count);
    for (size_t i = 0; i < count; i++) {
        if (gelf_getphdr(elf, (int)i, &header) && header.p_type == PT_INTERP) {
            return true;
        }
    }
    return false;
}

static doctor_kind kind_of(const GElf_Ehdr *header, bool interpreter, bool pie)
{
    if (header->e_type == ET_EXEC) {
        return interpreter ? DOCTOR_NOT_PIE : DOCTOR_STATIC;
    }
    if (header->e_type != ET_DYN) {
        return DOCTOR_UNKNOWN;
    }
    return interpreter ? DOCTOR_PIE : pie ? DOCTOR_STATIC_PIE : DOCTOR_LIBRARY;
}

bool doctor_program_read(const char *path, doctor_program *program)
{
    *program = (doctor_program){.kind = DOCTOR_UNKNOWN};
    rp_text_copy(program->path, sizeof program->path, path);
    elf_version(EV_CURRENT);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    Elf *elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ_MMAP, NULL);
    GElf_Ehdr header;
    bool good = elf && elf_kind(elf) == ELF_K_ELF && gelf_getclass(elf) == ELFCLASS64 &&
                gelf_getehdr(elf, &header);
    if (good) {
        bool pie = read_sections(elf, program);
        program->kind = kind_of(&header, has_interpreter(elf), pie);
    }
    elf_end(elf);
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

static bool resolve(const char *path, char *resolved, size_t capacity)
{
    char *real = access(path, X_OK) == 0 ? realpath(path, NULL) : NULL;
    bool good = real && rp_text_copy(resolved, capacity, real);
    free(real);
    return good;
}

bool doctor_program_find(const char *word, char *path, size_t capacity)
{
    const char *folder = getenv("PATH");
    if (strchr(word, '/')) {
        return resolve(word, path, capacity);
    }
    while (folder && *folder && *word) {
        char candidate[1024];
        size_t length = strcspn(folder, ":");
        snprintf(candidate, sizeof candidate, "%.*s/%s", length ? (int)length : 1,
                 length ? folder : ".", word);
        if (resolve(candidate, path, capacity)) {
            return true;
        }
        folder += length + (folder[length] == ':');
    }
    return false;
}
