/* What a person is told about a plan. Layer: module. */
#include "base/error.h"
#include "module/plan_build.h"
#include "module/types.h"

#include <string.h>

void rp_plan_describe(const rp_symbol *symbol, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    rp_text_add(&buffer, "'%.*s'", (int)symbol->base_length, symbol->base);
    if (*symbol->scope) {
        rp_text_add(&buffer, " of %s()", symbol->scope);
    }
    if (*symbol->file) {
        rp_text_add(&buffer, " in %s", symbol->file);
    }
}

/* Whether there is room for another line; begins it. */
static bool begin_line(plan_build *build)
{
    if (build->plan.report_count == PLAN_REPORT_LINES) {
        build->report_left_out++;
        return false;
    }
    build->plan.report_count++;
    rp_text_add(&build->report, "%s", build->report.length ? "\n" : "");
    return true;
}

__attribute__((format(printf, 3, 4))) static void report(plan_build *build, const rp_symbol *symbol,
                                                         const char *format, ...)
{
    if (begin_line(build)) {
        char name[160];
        rp_plan_describe(symbol, name, sizeof name);
        rp_text_add(&build->report, "%s: ", name);
        va_list arguments;
        va_start(arguments, format);
        rp_text_add_v(&build->report, format, arguments);
        va_end(arguments);
    }
}

static void report_stripped(plan_build *build, const rp_elf *elf, uint32_t number)
{
    if (!elf->has_symtab && begin_line(build)) {
        rp_text_add(
            &build->report,
            "build %u is stripped: only its exported variables are known, statics start anew: "
            "link without -s",
            number);
    }
}

static void report_types(plan_build *build, const rp_elf *elf, uint32_t number, types_state state)
{
    static const char *const reasons[] = {
        [TYPES_NONE] = "has no debug information: compile with -g",
        [TYPES_APART] = "lacks a file of its debug information: ",
        [TYPES_DAMAGED] = "has damaged debug information: build it again"};
    if (state != TYPES_KNOWN && begin_line(build)) {
        rp_text_add(&build->report, "types are not compared: build %u %s", number, reasons[state]);
        if (state == TYPES_APART) {
            rp_text_add(&build->report, "%s: build it anew, with its .dwo files beside it",
                        rp_elf_apart(elf));
        }
    }
}

static void tell_type(void *context, const char *text)
{
    plan_build *build = context;
    if (begin_line(build)) {
        rp_text_add(&build->report, "%s", text);
    }
}

static rp_status judge_types(plan_build *build)
{
    const type_table *old_types, *new_types;
    rp_status status = rp_types_of(build->old_elf, &old_types);
    if (status == RP_OK) {
        status = rp_types_of(build->new_elf, &new_types);
    }
    if (status != RP_OK) {
        return status;
    }
    types_state old_state = rp_types_state(old_types), new_state = rp_types_state(new_types);
    build->types_known = old_state == TYPES_KNOWN && new_state == TYPES_KNOWN;
    if (build->types_known) {
        build->plan.changed = (uint32_t)rp_types_compare(old_types, new_types, tell_type, build);
    } else if (old_state != TYPES_KNOWN) {
        report_types(build, build->old_elf, build->plan.old_build, old_state);
    } else {
        report_types(build, build->new_elf, build->plan.new_build, new_state);
    }
    return RP_OK;
}

static bool is_variable(const rp_symbol *symbol)
{
    return symbol->kind != RP_SYMBOL_FUNCTION && !symbol->read_only;
}

bool rp_plan_is_copied(const plan_build *build, const match_entry *entry)
{
    return entry->state == MATCH_FOUND && !entry->anew && is_variable(entry->symbol) &&
           is_variable(entry->partner) &&
           (entry->symbol->kind != RP_SYMBOL_THREAD || build->old_tls_address);
}

static uint64_t word_at(const uint8_t *bytes, size_t count, size_t offset)
{
    uint64_t word = 0;
    if (offset < count) {
        memcpy(&word, bytes + offset, count - offset < sizeof word ? count - offset : sizeof word);
    }
    return word;
}

/* Where the loader puts a pointer, GNU ld and gold write an address of the build into the file, lld
 * mostly 0. It differs from build to build and says nothing. Nothing begins within the ELF header.
 */
static bool may_be_address(uint64_t word, const rp_elf *elf)
{
    return word >= elf->low + 64 && word < elf->high;
}

static bool initialiser_differs(const plan_build *build, const match_entry *entry)
{
    size_t old_count, new_count;
    const uint8_t *old_bytes = rp_elf_initial(build->old_elf, entry->symbol, &old_count);
    const uint8_t *new_bytes = rp_elf_initial(build->new_elf, entry->partner, &new_count);
    size_t end = old_count > new_count ? old_count : new_count;
    for (size_t offset = 0; offset < end; offset += sizeof(uint64_t)) {
        uint64_t old_word = word_at(old_bytes, old_count, offset);
        uint64_t new_word = word_at(new_bytes, new_count, offset);
        bool whole = (entry->symbol->address + offset) % sizeof(uint64_t) == 0 &&
                     end - offset >= sizeof(uint64_t);
        bool addresses = whole && may_be_address(old_word, build->old_elf) &&
                         may_be_address(new_word, build->new_elf);
        if (old_word != new_word && !addresses) {
            return true;
        }
    }
    return false;
}

static void fill_refusal(const plan_build *build, const match_entry *entry, const char *why)
{
    rp_refusal *refusal = build->options ? build->options->refusal : NULL;
    if (refusal) {
        *refusal = (rp_refusal){
            .kind = RP_REFUSAL_VARIABLE, .count = 1, .size_bytes = entry->symbol->size_bytes};
        rp_plan_describe(entry->symbol, refusal->what, sizeof refusal->what);
        rp_text_copy(refusal->why, sizeof refusal->why, why);
    }
}

/* Starts anew where that was asked for; else the plan is refused. */
static rp_status refuse(plan_build *build, match_entry *entry, const char *why)
{
    if (build->options && build->options->regardless) {
        entry->anew = true;
        report(build, entry->symbol, "starts anew: %s", why);
        return RP_OK;
    }
    char name[160];
    rp_plan_describe(entry->symbol, name, sizeof name);
    fill_refusal(build, entry, why);
    return rp_fail(RP_E_CHANGED,
                   "variable %s: %s: its value cannot be carried over: undo the change, give the "
                   "variable another name, or restart the program",
                   name, why);
}

static rp_status refuse_size(plan_build *build, match_entry *entry)
{
    char why[200];
    rp_text_buffer text = rp_text_buffer_over(why, sizeof why);
    rp_text_add(&text, "%llu bytes in build %u, %llu bytes in build %u: its type changed",
                (unsigned long long)entry->symbol->size_bytes, build->plan.old_build,
                (unsigned long long)entry->partner->size_bytes, build->plan.new_build);
    return refuse(build, entry, why);
}

static void judge_initialiser(plan_build *build, match_entry *entry)
{
    if (entry->symbol->size_bytes == entry->partner->size_bytes && !entry->conversion &&
        initialiser_differs(build, entry)) {
        entry->anew = entry->partner->tweak;
        report(build, entry->symbol, "%s",
               entry->anew ? "has its new initial value"
                           : "runs on with its value; the new initial value waits for `reset`");
    }
}

static void report_conversion(plan_build *build, const match_entry *entry)
{
    char storage[240];
    rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
    if (rp_types_variable_differs(build->old_elf, entry->symbol, build->new_elf, entry->partner,
                                  &text)) {
        size_t skip = strspn(storage, ": ");
        report(build, entry->symbol, "converted: %s", storage + skip);
    }
}

static rp_status judge_copied(plan_build *build, match_entry *entry)
{
    if (build->with_types) {
        rp_types_variable(&build->types, entry->symbol, entry->partner, &entry->type,
                          &entry->conversion);
        const rp_plan_conversion *conversion = types_conversion(&build->types, entry->conversion);
        if (build->types.status != RP_OK) {
            return build->types.status;
        }
        if (entry->conversion && conversion->refusal) {
            return refuse(build, entry, rp_types_name_at(&build->types, conversion->refusal));
        }
        if (entry->conversion && (conversion->old_bytes != entry->symbol->size_bytes ||
                                  conversion->new_bytes != entry->partner->size_bytes)) {
            return refuse_size(build, entry); /* the debug information says something else */
        }
    }
    if (!entry->conversion && entry->symbol->size_bytes != entry->partner->size_bytes) {
        return refuse_size(build, entry);
    }
    if (entry->conversion) {
        report_conversion(build, entry);
    }
    if (entry->by_order) {
        report(build, entry->symbol,
               "one of several of this name, told apart by the compiler's order: compile with -g "
               "to be "
               "sure");
    }
    judge_initialiser(build, entry);
    return RP_OK;
}

/* Pointers into a constant table move with its elements. */
static void judge_constant(plan_build *build, match_entry *entry)
{
    if (build->with_types && entry->state == MATCH_FOUND &&
        entry->symbol->kind == RP_SYMBOL_VARIABLE) {
        uint32_t type;
        rp_types_variable(&build->types, entry->symbol, entry->partner, &type, &entry->conversion);
        const rp_plan_conversion *conversion = types_conversion(&build->types, entry->conversion);
        if (conversion->old_bytes != entry->symbol->size_bytes ||
            conversion->new_bytes != entry->partner->size_bytes) {
            entry->conversion = 0;
        }
    }
}

static rp_status judge_old(plan_build *build, match_entry *entry)
{
    if (!is_variable(entry->symbol)) {
        judge_constant(build, entry);
        return RP_OK;
    }
    if (entry->state == MATCH_NONE) {
        build->plan.removed++;
        report(build, entry->symbol, "removed; its value is gone");
    } else if (entry->state == MATCH_AMBIGUOUS) {
        build->plan.ambiguous++;
        report(
            build, entry->symbol,
            "starts anew: one of several of this name that cannot be told apart: compile with -g");
    } else if (!is_variable(entry->partner)) {
        report(build, entry->symbol, "is a constant now and has its new value");
    } else if (!rp_plan_is_copied(build, entry)) {
        report(build, entry->symbol, "starts anew: the old thread-local data is not known");
    } else {
        return judge_copied(build, entry);
    }
    return RP_OK;
}

static void judge_new(plan_build *build, const match_entry *entry)
{
    if (is_variable(entry->symbol) && entry->state == MATCH_NONE) {
        build->plan.added++;
        report(build, entry->symbol, "new; it has its initial value");
    }
    if (entry->symbol->unique) {
        report(build, entry->symbol,
               "is unique in the whole process (STB_GNU_UNIQUE): compile with -fno-gnu-unique");
    }
}

/* Whether any type has to be looked at: none, for most edits. */
static bool needs_types(const plan_build *build)
{
    bool differs = build->plan.changed != 0;
    for (size_t i = 0; i < build->old_side.count && !differs; i++) {
        const match_entry *entry = &build->old_side.entries[i];
        differs = entry->state == MATCH_FOUND && entry->symbol->kind != RP_SYMBOL_FUNCTION &&
                  rp_types_variable_differs(build->old_elf, entry->symbol, build->new_elf,
                                            entry->partner, NULL);
    }
    bool wanted = build->options && build->options->survey;
    return build->types_known && (differs || wanted);
}

static rp_status begin_types(plan_build *build)
{
    rp_status status = judge_types(build);
    if (status == RP_OK && needs_types(build)) {
        build->with_types = true;
        status = rp_types_build_init(&build->types, build->old_elf, build->new_elf,
                                     build->options ? build->options->answers : NULL);
        build->types.all = build->options && build->options->survey;
    }
    return status;
}

rp_status rp_plan_judge(plan_build *build)
{
    rp_status types = begin_types(build);
    if (types != RP_OK) {
        return types;
    }
    report_stripped(build, build->old_elf, build->plan.old_build);
    report_stripped(build, build->new_elf, build->plan.new_build);
    for (size_t i = 0; i < build->old_side.count; i++) {
        rp_status status = judge_old(build, &build->old_side.entries[i]);
        if (status != RP_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < build->new_side.count; i++) {
        judge_new(build, &build->new_side.entries[i]);
    }
    if (build->with_types) {
        rp_status status = rp_types_complete(&build->types, build->old_base);
        if (status != RP_OK) {
            return status;
        }
    }
    if (build->report_left_out) {
        rp_text_add(&build->report, "\n… and %u more", build->report_left_out);
        build->plan.report_count++;
    }
    return RP_OK;
}
