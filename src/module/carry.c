/* Applying a plan: values first, then every word that leads into the old build. Layer: module. */
#include "module/carry.h"

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "module/convert.h"

#include <string.h>

rp_status rp_carry_copy(const rp_plan *plan, uint64_t new_base, void *tls_block,
                        rp_carry_read_fn *read, void *context, rp_carry_report *report)
{
    const rp_plan_copy *copies = rp_plan_copies(plan);
    for (uint32_t i = 0; i < plan->copy_count; i++) {
        const rp_plan_copy *copy = &copies[i];
        if (copy->thread && !tls_block) {
            return rp_fail(RP_E_MODULE,
                           "variable '%s': build %u has no thread-local data: it was not "
                           "loaded as planned: build the module again",
                           rp_plan_name(plan, copy->name), plan->new_build);
        }
        uint64_t block = copy->thread ? (uint64_t)(uintptr_t)tls_block : new_base;
        void *to = (void *)(uintptr_t)(block + copy->new_offset);
        if (!read(context, copy->old_address, to, (size_t)copy->size_bytes)) {
            return rp_fail(RP_E_NOT_FOUND,
                           "variable '%s': its value in build %u is not in the saved "
                           "state: it cannot be carried over: restart the program",
                           rp_plan_name(plan, copy->name), plan->old_build);
        }
        report->carried++;
    }
    return RP_OK;
}

typedef struct pointer_pass {
    const rp_plan *plan;
    uint64_t low, span;         /* the old build */
    uint64_t tls_low, tls_span; /* its thread-local data; 0: none */
    uint64_t new_base, new_tls;
    rp_carry_report *report;
} pointer_pass;

/* The old thread-local block lies elsewhere, often in the midst of the heap, so it has bounds of
 * its own: one that spanned both would make every pointer a suspect. */
static void find_tls_bounds(pointer_pass *pass)
{
    const rp_plan_move *moves = rp_plan_moves(pass->plan);
    uint64_t low = UINT64_MAX, high = 0;
    for (uint32_t i = 0; i < pass->plan->move_count; i++) {
        if (moves[i].thread) {
            uint64_t end = moves[i].old_address + moves[i].size_bytes + 1; /* one past counts too */
            low = moves[i].old_address < low ? moves[i].old_address : low;
            high = end > high ? end : high;
        }
    }
    pass->tls_low = high ? low : 0;
    pass->tls_span = high ? high - low : 0;
}

static const rp_plan_move *last_at_or_before(const rp_plan *plan, uint64_t address)
{
    const rp_plan_move *moves = rp_plan_moves(plan);
    uint32_t low = 0, high = plan->move_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (moves[middle].old_address <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low ? &moves[low - 1] : NULL;
}

static void leave(pointer_pass *pass, const uint64_t *word, const char *relation, const char *name)
{
    rp_carry_report *report = pass->report;
    if (report->pointers_left++ == 0) {
        rp_text_buffer text = rp_text_buffer_over(report->left_name, sizeof report->left_name);
        rp_text_add(&text, "%s%s", relation, name);
        report->left_at = (uint64_t)(uintptr_t)word;
    }
}

/* Where a place in a moved variable is now; false: it is no more. */
static bool new_place(const pointer_pass *pass, uint64_t value, const rp_plan_move *move,
                      uint32_t type, uint64_t *moved)
{
    uint64_t offset = value - move->old_address;
    if (move->conversion && offset == move->size_bytes) {
        offset = rp_plan_conversion_at(pass->plan, move->conversion)->new_bytes;
    } else if (move->conversion &&
               !rp_convert_place(pass->plan, move->conversion, offset, type, &offset)) {
        return false;
    }
    *moved = (move->thread ? pass->new_tls : pass->new_base) + move->new_offset + offset;
    return true;
}

static void move_word(pointer_pass *pass, uint64_t *word, const rp_plan_move *move)
{
    uint64_t moved;
    if (!new_place(pass, *word, move, 0, &moved)) {
        leave(pass, word, "a field that is gone in ", rp_plan_name(pass->plan, move->name));
        return;
    }
    if (*word != moved) {
        *word = moved;
    }
    pass->report->pointers_moved++;
}

static bool is_just_past(uint64_t value, const rp_plan_move *move)
{
    return move && !move->is_function && move->new_offset != RP_PLAN_NONE &&
           value == move->old_address + move->size_bytes;
}

/* A word that no symbol holds: the end of the variable before it, code, or data without a name.
 * Just past a constant a string literal begins more often than not, so there the word stays. */
static void handle_nameless(pointer_pass *pass, uint64_t *word, const rp_plan_move *before)
{
    const rp_plan *plan = pass->plan;
    uint64_t value = *word;
    bool in_data = value - plan->old_data_low < plan->old_data_high - plan->old_data_low;
    bool in_build = value - pass->low < pass->span;
    if (is_just_past(value, before) && (in_data || before->thread)) {
        move_word(pass, word, before);
    } else if (!in_build) {
        return; /* beside the thread-local variables: none of ours */
    } else if (value - plan->old_text_low < plan->old_text_high - plan->old_text_low) {
        leave(pass, word, "code without a name", "");
    } else if (in_data) {
        leave(pass, word, "data without a name", "");
    } else {
        pass->report->pointers_kept++;
    }
}

static void handle_suspect(pointer_pass *pass, uint64_t *word)
{
    const rp_plan_move *move = last_at_or_before(pass->plan, *word);
    uint64_t offset = move ? *word - move->old_address : 0;
    if (!move || (offset && offset >= move->size_bytes)) {
        handle_nameless(pass, word, move);
    } else if (move->new_offset == RP_PLAN_NONE) {
        leave(pass, word, move->is_function && offset ? "inside " : "",
              rp_plan_name(pass->plan, move->name));
    } else if (move->is_function && offset) {
        leave(pass, word, "inside ", rp_plan_name(pass->plan, move->name));
    } else {
        move_word(pass, word, move);
    }
}

typedef struct word_range {
    uint64_t *first, *end;
} word_range;

static word_range words_of(const rp_carry_span *span)
{
    uintptr_t start = (uintptr_t)span->start, end = start + span->size_bytes;
    uintptr_t first = (uintptr_t)rp_align_up(start, sizeof(uint64_t));
    uintptr_t last = (uintptr_t)rp_align_down(end, sizeof(uint64_t));
    return (word_range){(uint64_t *)first, (uint64_t *)(last > first ? last : first)};
}

void rp_carry_typed(const rp_plan *plan, uint64_t new_base, uint64_t new_tls, uint8_t *word,
                    uint32_t type, rp_carry_report *report)
{
    pointer_pass pass = {.plan = plan, .new_base = new_base, .new_tls = new_tls, .report = report};
    uint64_t value, moved;
    memcpy(&value, word, sizeof value);
    const rp_plan_move *move = last_at_or_before(plan, value);
    if (move && move->conversion && move->new_offset != RP_PLAN_NONE &&
        value - move->old_address < move->size_bytes &&
        new_place(&pass, value, move, type, &moved)) {
        memcpy(word, &moved, sizeof moved);
        report->pointers_moved++;
    }
}

void rp_carry_pointers(const rp_plan *plan, uint64_t new_base, void *tls_block,
                       const rp_carry_span *spans, size_t span_count, rp_carry_report *report)
{
    pointer_pass pass = {.plan = plan,
                         .low = plan->old_low,
                         .span = plan->old_high - plan->old_low,
                         .new_base = new_base,
                         .new_tls = (uint64_t)(uintptr_t)tls_block,
                         .report = report};
    find_tls_bounds(&pass);
    uint64_t low = pass.low, span = pass.span, tls_low = pass.tls_low, tls_span = pass.tls_span;
    for (size_t i = 0; i < span_count; i++) {
        word_range words = words_of(&spans[i]);
        for (uint64_t *word = words.first; word < words.end; word++) {
            uint64_t value = *word;
            if (__builtin_expect((value - low < span) | (value - tls_low < tls_span), 0)) {
                handle_suspect(&pass, word);
            }
        }
    }
}

void rp_carry_shift(uint64_t old_low, uint64_t old_high, int64_t distance,
                    const rp_carry_span *spans, size_t span_count, rp_carry_report *report)
{
    uint64_t span = old_high - old_low;
    for (size_t i = 0; i < span_count; i++) {
        word_range words = words_of(&spans[i]);
        for (uint64_t *word = words.first; word < words.end; word++) {
            if (*word - old_low < span) {
                *word += (uint64_t)distance;
                report->pointers_moved++;
            }
        }
    }
}
