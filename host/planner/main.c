/* reprise-plan: reads a new build for a program that embeds the deck, and plans how its world gets
 * there.
 *
 *     reprise-plan NEW COPY-FD ANSWER-FD NUMBER OLD-FD OLD-NUMBER OLD-BASE OLD-THREAD TYPES
 * REGARDLESS
 *
 * A process of its own, so that the one that holds the world has no libdw in it, and what a damaged
 * file does to a reader it does here. The new file's checked bytes go into COPY-FD, the answer
 * (module/planned.h) into ANSWER-FD. OLD-FD -1: there is no build before; TYPES "": no file of
 * answers (docs/types.md). Started by src/deck/deck_module.c; ends with 0 where the answer is
 * whole, even if that is an error. */
#include "type_answers.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <errno.h>
#include <module/elf.h>
#include <module/planned.h>
#include <os/os.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct request {
    const char *path, *types;
    int copy_fd, answer_fd, old_fd;
    uint32_t number, old_number;
    uint64_t old_base, old_thread;
    bool regardless;
} request;

typedef struct answer {
    rp_planned head;
    rp_planned_symbol *symbols;
    char *names;
    rp_plan *plan;
} answer;

static bool write_at(int fd, uint64_t offset, const void *data, uint64_t size_bytes)
{
    const char *at = data;
    while (size_bytes) {
        ssize_t wrote = pwrite(fd, at, size_bytes, (off_t)offset);
        if (wrote <= 0) {
            rp_fail_system(RP_E_SYSTEM, errno, "reprise-plan: its answer was not written");
            return false;
        }
        at += wrote;
        offset += (uint64_t)wrote;
        size_bytes -= (uint64_t)wrote;
    }
    return true;
}

static int by_address(const void *a, const void *b)
{
    const rp_planned_symbol *left = a, *right = b;
    return left->address < right->address ? -1 : left->address > right->address;
}

/* Thread-local ones have no address in the file. */
static rp_status symbols_take(const rp_elf *elf, answer *to)
{
    size_t bytes = 1;
    for (size_t i = 0; i < elf->symbol_count; i++) {
        bytes += strlen(elf->symbols[i].name) + 1;
    }
    to->symbols = calloc(elf->symbol_count + 1, sizeof *to->symbols);
    to->names = malloc(bytes);
    if (!to->symbols || !to->names || bytes > UINT32_MAX) {
        return rp_fail(RP_E_MEMORY, "%s: no memory for its symbols", elf->path);
    }
    size_t used = 0;
    for (size_t i = 0; i < elf->symbol_count; i++) {
        const rp_symbol *symbol = &elf->symbols[i];
        if (symbol->kind != RP_SYMBOL_THREAD) {
            to->symbols[to->head.symbol_count++] =
                (rp_planned_symbol){symbol->address, symbol->size_bytes, (uint32_t)used,
                                    symbol->kind == RP_SYMBOL_FUNCTION};
            used = (size_t)(stpcpy(to->names + used, symbol->name) + 1 - to->names);
        }
    }
    to->names[used++] = 0;
    to->head.names_bytes = used;
    qsort(to->symbols, to->head.symbol_count, sizeof *to->symbols, by_address);
    return RP_OK;
}

/* In one process such a variable is the same in all builds, which lies in the first one's data. */
static rp_status unique_refuse(const rp_elf *elf)
{
    for (size_t i = 0; i < elf->symbol_count; i++) {
        if (elf->symbols[i].unique && elf->symbols[i].kind == RP_SYMBOL_VARIABLE) {
            return rp_fail(RP_E_MODULE,
                           "%s: variable %.100s is a unique symbol, which all builds in a process "
                           "share: compile with -fno-gnu-unique",
                           elf->path, elf->symbols[i].name);
        }
    }
    return RP_OK;
}

static rp_status plan_make(const request *r, const rp_elf *old, const rp_elf *new, answer *to)
{
    type_answers answers;
    rp_status status = type_answers_read(r->types[0] ? r->types : NULL, &answers);
    if (status) {
        return status;
    }
    const rp_plan_options options = {
        .answers = answers.first, .regardless = r->regardless, .refusal = &to->head.refusal};
    status = rp_plan_make(old, r->old_number, r->old_base, r->old_thread, new, r->number, &options,
                          &to->plan);
    type_answers_drop(&answers);
    return status;
}

static rp_status plan_from(const request *r, const rp_elf *new, answer *to)
{
    char path[RP_OS_MEMFILE_PATH_BYTES];
    rp_elf *old;
    rp_os_memfile_path(r->old_fd, path);
    rp_status status = rp_elf_open_library(path, &old);
    if (!status) {
        status = plan_make(r, old, new, to);
        rp_elf_close(old);
    }
    return status;
}

static rp_status make(const request *r, answer *to)
{
    rp_elf *elf;
    rp_status status = rp_elf_open_library(r->path, &elf);
    if (status) {
        return status;
    }
    to->head.content_hash = elf->content_hash;
    status = unique_refuse(elf);
    if (!status) {
        status = symbols_take(elf, to);
    }
    if (!status && r->old_fd >= 0) {
        status = plan_from(r, elf, to);
    }
    if (!status && !write_at(r->copy_fd, 0, rp_elf_bytes(elf), elf->file_bytes)) {
        status = rp_error_last()->status;
    }
    rp_elf_close(elf);
    return status;
}

/* The magic last: what is cut off is no answer. */
static bool tell(const request *r, answer *a)
{
    rp_planned *head = &a->head;
    head->version = RP_PLANNED_VERSION;
    head->symbols_offset = rp_align_up(sizeof *head, 8);
    head->names_offset =
        head->symbols_offset + (uint64_t)head->symbol_count * sizeof(rp_planned_symbol);
    head->plan_offset = rp_align_up(head->names_offset + head->names_bytes, RP_PAGE_BYTES);
    head->plan_bytes = a->plan ? a->plan->total_bytes : 0;
    head->total_bytes = head->plan_offset + head->plan_bytes;
    bool good = write_at(r->answer_fd, 0, head, sizeof *head);
    if (good && head->status == RP_OK) {
        good = write_at(r->answer_fd, head->symbols_offset, a->symbols,
                        (uint64_t)head->symbol_count * sizeof(rp_planned_symbol)) &&
               write_at(r->answer_fd, head->names_offset, a->names, head->names_bytes) &&
               write_at(r->answer_fd, head->plan_offset, a->plan, head->plan_bytes) &&
               ftruncate(r->answer_fd, (off_t)rp_align_up(head->total_bytes, RP_PAGE_BYTES)) == 0;
    }
    head->magic = RP_PLANNED_MAGIC;
    return good && write_at(r->answer_fd, 0, head, sizeof *head);
}

int main(int argc, char **argv)
{
    if (argc != 11) {
        fprintf(stderr, "reprise-plan: %d arguments: it is started by librereprise alone\n",
                argc - 1);
        return 2;
    }
    const request r = {.path = argv[1],
                       .copy_fd = atoi(argv[2]),
                       .answer_fd = atoi(argv[3]),
                       .number = (uint32_t)strtoul(argv[4], NULL, 10),
                       .old_fd = atoi(argv[5]),
                       .old_number = (uint32_t)strtoul(argv[6], NULL, 10),
                       .old_base = strtoull(argv[7], NULL, 16),
                       .old_thread = strtoull(argv[8], NULL, 16),
                       .types = argv[9],
                       .regardless = argv[10][0] == '1'};
    answer a = {0};
    a.head.status = make(&r, &a);
    if (a.head.status) {
        rp_text_copy(a.head.text, sizeof a.head.text, rp_error_last()->text);
        a.head.symbol_count = 0;
    }
    bool told = tell(&r, &a);
    free(a.symbols);
    free(a.names);
    rp_plan_free(a.plan);
    return told ? 0 : 1;
}
