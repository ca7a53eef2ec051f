/* Reading a build from its file, without loading it: is it complete, what is it, which variables
 * and functions does it have. Everything in the file is hostile.
 *
 * Used by the host and by embedders, never inside the runner (it needs libelf).
 *
 * Layer: module.  Threads: one at a time for each rp_elf.  Design: docs/internals/module.md
 * Tests: tests/module/test_elf.c, test_symbols.c, tests/fuzz/fuzz_elf.c
 */
#ifndef RP_MODULE_ELF_H
#define RP_MODULE_ELF_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum rp_symbol_kind {
    RP_SYMBOL_FUNCTION,
    RP_SYMBOL_VARIABLE,
    RP_SYMBOL_THREAD
} rp_symbol_kind;

typedef struct rp_symbol {
    const char *name; /* as the compiler wrote it */
    const char
        *file; /* of a local symbol: its source file's name; "" for global ones, and with -flto */
    const char *scope; /* of a function's static: the function, "" where unknown or none */
    const char
        *base; /* in `name`: what the programmer wrote: "count" of "count.0" and "step.count" */
    uint32_t base_length; /* without the compiler's suffix (".0", ".constprop.0", ".lto_priv.1") */
    rp_symbol_kind kind;
    bool local, read_only, unique; /* unique: STB_GNU_UNIQUE */
    bool tweak;                    /* RP_TWEAK: an edited initial value counts at once */
    uint64_t
        address; /* virtual address in the file; of RP_SYMBOL_THREAD the offset in its TLS block */
    uint64_t size_bytes;
} rp_symbol;

typedef struct rp_elf_segment {
    uint64_t address, file_offset, file_bytes, memory_bytes, align;
    bool readable, writable, executable;
} rp_elf_segment;

enum { RP_ELF_SEGMENT_MAX = 16, RP_ELF_NEEDED_MAX = 64, RP_ELF_BUILD_ID_MAX = 32 };

typedef struct rp_elf {
    const char *path;
    uint8_t build_id[RP_ELF_BUILD_ID_MAX];
    uint32_t build_id_bytes; /* 0: none */
    uint64_t content_hash;   /* XXH3-64 of the whole file */
    uint64_t file_bytes;
    uint64_t low, high; /* virtual addresses of the loaded segments, page-rounded */
    rp_elf_segment segments[RP_ELF_SEGMENT_MAX];
    int segment_count;
    uint64_t text_low,
        text_high; /* bounds of the sections with code; string literals lie outside */
    uint64_t data_low,
        data_high; /* bounds of the writable segments, relocation-read-only data included */
    uint64_t tls_address, tls_bytes;       /* the image of the thread-local block; 0 bytes: none */
    const char *needed[RP_ELF_NEEDED_MAX]; /* names of the libraries it asks for; those past 64 are
                                              left out */
    int needed_count;
    bool has_step, has_start, has_render, has_reloaded, has_stop; /* rp_module_… in .dynsym */
    bool has_symtab;    /* else only exported names are known */
    rp_symbol *symbols; /* sorted by kind, then address */
    size_t symbol_count;
    void *impl;
} rp_elf;

/* Reads what the linker has written so far. RP_E_INCOMPLETE: not all there yet (cut off, sections
 * beyond the file's end, changed while it was read, empty); try again after the next change.
 * RP_E_FORMAT: no ELF at all (and not a beginning of one). RP_E_UNSUPPORTED: another architecture,
 * not a shared library. RP_E_MODULE: complete, but without rp_module_step. RP_E_NOT_FOUND: gone.
 * With `copy_to` not null the bytes that were checked, and no others, are written there. Files of
 * debug information that it names (-gsplit-dwarf) are read, too. */
rp_status rp_elf_open(const char *path, const char *copy_to, rp_elf **elf);
/* The same over bytes in memory, which are copied; `name` stands for the path, and no other file is
 * looked at. */
rp_status rp_elf_open_memory(const void *bytes, size_t size_bytes, const char *name, rp_elf **elf);
/* The same for files that are only looked at: any shared library, and any program that may lie
 * anywhere. */
rp_status rp_elf_open_to_read(const void *bytes, size_t size_bytes, const char *name, rp_elf **elf);
/* The same without RP_E_MODULE: an embedded program calls functions of its own choice. */
rp_status rp_elf_open_library(const char *path, rp_elf **elf);
/* The file_bytes bytes that were checked, until it is closed. */
const uint8_t *rp_elf_bytes(const rp_elf *elf);
void rp_elf_close(rp_elf *elf);
/* Why debug information of a build is not known whole: "game.dwo is not there"; "" : it is. */
const char *rp_elf_apart(const rp_elf *elf);
/* The symbol that holds a virtual address of the file; null: none. Thread-local ones are not found,
 * as their addresses are offsets. Cost: a binary search. */
const rp_symbol *rp_elf_symbol_at(const rp_elf *elf, uint64_t address);
/* By the name that the compiler wrote; a global one before a local one; null: none. Cost: a walk
 * over all symbols. */
const rp_symbol *rp_elf_symbol_named(const rp_elf *elf, const char *name);
/* The initial value of a variable: *count bytes of the file; the rest of it starts as zero. */
const uint8_t *rp_elf_initial(const rp_elf *elf, const rp_symbol *symbol, size_t *count);

/* Whether the loader changes any byte of it: its initial value holds addresses. */
bool rp_elf_has_relocations(const rp_elf *elf, const rp_symbol *symbol);

#endif
