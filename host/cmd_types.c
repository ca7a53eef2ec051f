/* `reprise types`: asks a running host for its survey (src/module/survey.h) and prints it.
 *
 * The answer comes over a socket and may hold anything: all of it is checked before a line is
 * printed, and no byte that a terminal obeys is passed on. */
#include "cmd_types.h"
#include "control/control.h"
#include "option.h"

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NOBODY = 3 };
enum { ANSWER_TIMEOUT_MS = 60000, PATH_BYTES = 512 };

typedef struct types_options {
    const char *name, *socket;
    bool json, help;
} types_options;

static int complain(int code)
{
    fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
    return code;
}

static void print_help(void)
{
    puts(
        "usage: reprise types [OPTIONS] [NAME]\n"
        "\n"
        "Says what the heap blocks of a program that `reprise run` shows are made of, as a reload\n"
        "would find them: NAME, \"game\" for ./game.so, or the one that runs.\n"
        "\n"
        "  known      the allocation gives its type, an answer does, or a virtual table\n"
        "  inferred   typed pointers lead there from a variable: the way is shown\n"
        "  ambiguous  nothing decides: a reload that changes a type which may be there asks\n"
        "  unknown    nothing, or only the data of libraries, leads there\n"
        "\n"
        "options\n"
        "  --name NAME     as NAME\n"
        "  --socket PATH   the program's control socket\n"
        "  --json          the answer as one line of JSON\n"
        "  --help          this text\n"
        "\n"
        "exit codes\n"
        "  0 done   1 refused by the program   2 wrong usage   3 nobody there\n"
        "\n"
        "examples\n"
        "  reprise types game\n"
        "  reprise ctl reload 'World.user=struct Enemy'   answers what is ambiguous, for good");
}

/* ---- what was asked ---- */

static rp_status read_options(int argc, char **argv, types_options *options)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            options->help = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            options->json = true;
        } else if (argv[i][0] != '-' && !options->name) {
            options->name = argv[i];
        } else if (!option_takes_value("--name", argc, argv, &i, &options->name) &&
                   !option_takes_value("--socket", argc, argv, &i, &options->socket)) {
            return rp_fail(RP_E_ARGUMENT,
                           "types: %s: no such option, or its value is missing: see `reprise "
                           "types --help`",
                           argv[i]);
        }
    }
    return RP_OK;
}

/* ---- is it an answer ---- */

static const char *const states[] = {"known", "inferred", "ambiguous", "unknown"};

static bool has_count(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool has_texts(const json_t *object, const char *key)
{
    const json_t *list = json_object_get(object, key);
    bool good = json_is_array(list);
    for (size_t i = 0; good && i < json_array_size(list); i++) {
        good = json_is_string(json_array_get(list, i));
    }
    return good;
}

static bool is_group(const json_t *group)
{
    static const char *const texts[] = {"state", "why", "type", "site", "by", "also_by"};
    bool good = json_is_object(group) && has_count(group, "blocks") && has_count(group, "bytes") &&
                has_count(group, "objects") && has_texts(group, "also") &&
                has_texts(group, "chain");
    for (size_t i = 0; good && i < RP_COUNT_OF(texts); i++) {
        good = json_is_string(json_object_get(group, texts[i]));
    }
    return good;
}

static bool is_answer(const json_t *answer)
{
    const json_t *survey = json_object_get(answer, "types");
    const json_t *totals = json_object_get(survey, "totals"),
                 *groups = json_object_get(survey, "groups");
    bool good = has_count(answer, "build") && has_count(answer, "frame") &&
                has_count(survey, "blocks") && has_count(survey, "bytes") &&
                has_count(survey, "variables") && has_count(survey, "variables_typed") &&
                has_count(survey, "left_out") && json_is_array(groups);
    for (size_t i = 0; good && i < RP_COUNT_OF(states); i++) {
        const json_t *total = json_object_get(totals, states[i]);
        good = has_count(total, "blocks") && has_count(total, "bytes");
    }
    for (size_t i = 0; good && i < json_array_size(groups); i++) {
        good = is_group(json_array_get(groups, i));
    }
    return good;
}

/* ---- the table ---- */

static long long count_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* What a terminal would obey is shown as '?': also the control characters of Latin 1, in UTF-8. */
static void put_text(FILE *to, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool obeyed = *c < ' ' || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0);
        c += obeyed && *c == 0xc2;
        fputc(obeyed ? '?' : *c, to);
    }
}

static void put_bytes(FILE *to, int width, const json_t *object)
{
    char storage[32];
    rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
    rp_text_add_bytes(&text, (uint64_t)count_of(object, "bytes"));
    fprintf(to, "%*s", width, storage);
}

static void put_list(FILE *to, const json_t *list, const char *between)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        fputs(i ? between : "", to);
        put_text(to, json_string_value(json_array_get(list, i)));
    }
}

static const struct {
    const char *why, *text;
} reasons[] = {
    {"typed allocation", "its allocation says so"},
    {"answer", "by an answer"},
    {"virtual table", "its virtual table says so"},
    {"disagree", "another pointer says:"},
    {"rival", "begin with one, and fit as well:"},
    {"size", "its size does not divide"},
    {"untyped", "only pointers without a type lead to it"},
    {"inside", "only pointers into its middle lead to it"},
    {"foreign", "only the data of libraries leads to it"},
    {"nobody", "nothing leads to it"},
};

static void put_reason(FILE *to, const json_t *group)
{
    const char *why = text_of(group, "why");
    const json_t *also = json_object_get(group, "also");
    for (size_t i = 0; i < RP_COUNT_OF(reasons); i++) {
        if (strcmp(reasons[i].why, why) == 0) {
            fprintf(to, "  %s%s", reasons[i].text, json_array_size(also) ? " " : "");
        }
    }
    put_list(to, also, ", ");
    if (*text_of(group, "also_by")) {
        fputs(", by ", to);
        put_text(to, text_of(group, "also_by"));
    }
    fputc('\n', to);
}

static void put_group(FILE *to, const json_t *group)
{
    const char *type = text_of(group, "type"), *site = text_of(group, "site");
    const json_t *chain = json_object_get(group, "chain");
    fprintf(to, "%10lld", count_of(group, "blocks"));
    put_bytes(to, 12, group);
    fputs("  ", to);
    put_text(to, *type ? type : "?");
    if (*site) {
        fputs("  made at ", to);
        put_text(to, site);
    }
    if (strcmp(text_of(group, "why"), "pointer") == 0) {
        fputs("  by ", to);
        put_list(to, chain, " \u2192 ");
        fputc('\n', to);
        return;
    }
    put_reason(to, group);
    if (json_array_size(chain)) {
        fputs("                        by ", to);
        put_list(to, chain, " \u2192 ");
        fputc('\n', to);
    }
    if (*text_of(group, "answer")) {
        fputs("                        answer: reprise ctl reload '", to);
        put_text(to, text_of(group, "answer"));
        fputs("'\n", to);
    }
}

static void put_state(FILE *to, const json_t *groups, const char *state)
{
    bool headed = false;
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i);
        if (strcmp(text_of(group, "state"), state) == 0) {
            if (!headed) {
                fprintf(to, "\n%s\n", state);
            }
            headed = true;
            put_group(to, group);
        }
    }
}

static void put_totals(FILE *to, const json_t *survey)
{
    fprintf(to, "%-10s%10s%12s\n", "", "blocks", "bytes");
    for (size_t i = 0; i < RP_COUNT_OF(states); i++) {
        const json_t *total = json_object_get(json_object_get(survey, "totals"), states[i]);
        fprintf(to, "%-10s%10lld", states[i], count_of(total, "blocks"));
        put_bytes(to, 12, total);
        fputc('\n', to);
    }
    fprintf(to, "%-10s%10lld", "all", count_of(survey, "blocks"));
    put_bytes(to, 12, survey);
    fprintf(to, "   and %lld variables, the types of %lld known\n", count_of(survey, "variables"),
            count_of(survey, "variables_typed"));
}

bool types_table(const json_t *answer, FILE *to)
{
    const json_t *survey = json_object_get(answer, "types"),
                 *groups = json_object_get(survey, "groups");
    if (!is_answer(answer)) {
        return false;
    }
    put_text(to, text_of(answer, "name"));
    fprintf(to, " \u00b7 build %lld \u00b7 frame %lld\n\n", count_of(answer, "build"),
            count_of(answer, "frame"));
    put_totals(to, survey);
    for (size_t i = 0; i < RP_COUNT_OF(states); i++) {
        put_state(to, groups, states[i]);
    }
    if (count_of(survey, "left_out")) {
        fprintf(to, "\nand %lld blocks of more kinds than are told\n",
                count_of(survey, "left_out"));
    }
    return true;
}

/* ---- asking ---- */

static int print(const json_t *answer, bool as_json)
{
    if (!json_is_true(json_object_get(answer, "ok"))) {
        const char *why = text_of(answer, "error");
        fputs("reprise: ", stderr);
        put_text(stderr, *why ? why : "types: the program refuses, and does not say why");
        fputc('\n', stderr);
        return EXIT_REFUSED;
    }
    if (!is_answer(answer)) {
        rp_fail(RP_E_FORMAT, "types: the answer is none of `reprise types`: is the program's "
                             "reprise another version?");
        return complain(EXIT_REFUSED);
    }
    if (as_json) {
        char *text = json_dumps(answer, JSON_COMPACT);
        puts(text ? text : "{}");
        free(text);
        return EXIT_DONE;
    }
    types_table(answer, stdout);
    return EXIT_DONE;
}

int cmd_types(int argc, char **argv)
{
    types_options options = {0};
    char path[PATH_BYTES];
    json_t *answer = NULL;
    if (read_options(argc, argv, &options)) {
        return complain(EXIT_USAGE);
    }
    if (options.help) {
        print_help();
        return EXIT_DONE;
    }
    rp_status status = control_choose("types", options.name, options.socket, path, sizeof path);
    if (status) {
        return complain(status == RP_E_NOT_FOUND ? EXIT_NOBODY : EXIT_USAGE);
    }
    json_t *request = json_pack("{s:s}", "cmd", "types");
    status = control_ask(path, request, ANSWER_TIMEOUT_MS, &answer);
    json_decref(request);
    if (status) {
        return complain(status == RP_E_FORMAT ? EXIT_REFUSED : EXIT_NOBODY);
    }
    int code = print(answer, options.json);
    json_decref(answer);
    return code;
}
