/* `reprise ctl`: one request to a running host, its answer as lines or as JSON. */
#include "cmd_ctl.h"

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "control/control.h"
#include "debug_choices.h"
#include "history_text.h"
#include "option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NOBODY = 3 };
enum { ANSWER_TIMEOUT_MS = 60000, PATH_BYTES = 512, SAVE_LOOK_US = 30000 };

typedef struct ctl_command {
    const char *name, *arguments;
    int least, most;
    const char *help;
} ctl_command;

static const ctl_command commands[] = {
    {"status", "", 0, 0, "what the program does now"},
    {"play", "", 0, 0, "go on"},
    {"pause", "", 0, 0, "hold at this frame"},
    {"toggle", "", 0, 0, "play or pause"},
    {"step", "[N]", 0, 1, "pause, then N frames on (1)"},
    {"back", "[N]", 0, 1, "pause, then N frames back (1)"},
    {"rewind", "", 0, 0, "run backwards; play or pause ends it"},
    {"seek", "FRAME", 1, 1, "go to a frame or bookmark and pause"},
    {"bookmark", "[NAME]", 0, 1, "names this frame"},
    {"unbookmark", "NAME", 1, 1, "takes a bookmark away"},
    {"bookmarks", "", 0, 0, "lists them"},
    {"speed", "N", 1, 1, "1: normal, 1/4: a quarter, 4: four times"},
    {"mark", "", 0, 0, "first: loop from here; second: to here; third: end the loop"},
    {"loop", "FROM TO", 2, 2, "repeat the frames after FROM up to TO"},
    {"unloop", "", 0, 0, "end the loop"},
    {"take-over", "", 0, 0, "in a loop: live input from here on"},
    {"retry", "", 0, 0, "after a failure: the same input again"},
    {"skip", "", 0, 0, "after a failure: go on without that input"},
    {"reset", "NAME", 1, 1, "a variable gets the initial value that the source has for it now"},
    {"revert", "[BUILD]", 0, 1, "run an earlier build again (the one before)"},
    {"reload", "[NAME=TYPE…]", 0, 32,
     "what the last build brought over; or one of the ways on, below; or answers about types"},
    {"watch", "[FROM] [TO]", 0, 2,
     "watched values, of these frames; else of the loop, or this frame"},
    {"checks", "", 0, 0, "where rp_check values differ from those of the build before"},
    {"save", "[FILE] [SECONDS]", 0, 2,
     "what history holds, or its last seconds, as a take; --wait"},
    {"debug", "NAME=MODES", 0, 32, "debug modes of an allocator or a scope; or --list them"},
    {"memory", "REPORT", 1, 3, "tree, leaks, fragmentation, ledger; mark A; growth A B"},
    {"quit", "", 0, 0, "end the host"},
};

typedef struct ctl_options {
    const char *name, *socket;
    bool json, help, list, wait;
    const char *way; /* of reload */
    char **rest;
    int rest_count;
} ctl_options;

static int complain(int code)
{
    fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
    return code;
}

static void print_help(void)
{
    puts("usage: reprise ctl [OPTIONS] COMMAND [ARGUMENTS] [OPTIONS]\n"
         "\n"
         "Drives a program that `reprise run` shows. Without --name: the one that runs.\n"
         "\n"
         "commands");
    for (size_t i = 0; i < RP_COUNT_OF(commands); i++) {
        char left[40];
        rp_text_buffer text = rp_text_buffer_over(left, sizeof left);
        rp_text_add(&text, "%s %s", commands[i].name, commands[i].arguments);
        printf("  %-15s %s\n", left, commands[i].help);
    }
    puts("\n"
         "options\n"
         "  --name NAME     the program's name: \"game\" for ./game.so\n"
         "  --socket PATH   its control socket\n"
         "  --json          print the answer as one line of JSON\n"
         "  --list          with debug: what was chosen, and which modes each allocator has\n"
         "  --wait          with save: until it is written\n"
         "  --again         with reload: the recorded input runs again under the refused build\n"
         "  --since         with reload: the same, from the last kept frame that it can take\n"
         "  --restart       with reload: a new world under it\n"
         "  --keep          with reload: the old build stays\n"
         "  --regardless    with reload: what cannot be told or converted stays as it is\n"
         "  --help          this text\n"
         "\n"
         "exit codes\n"
         "  0 done   1 refused by the program   2 wrong usage   3 nobody there\n"
         "\n"
         "examples\n"
         "  reprise ctl --name game loop 120 240\n"
         "  reprise ctl save bug.take 10\n"
         "  reprise ctl debug physics=end-of-page '*=canary,fill'\n"
         "  reprise ctl memory tree\n"
         "  reprise ctl memory mark before; reprise ctl memory mark after\n"
         "  reprise ctl memory growth before after --json");
}

/* ---- what was asked ------------------------------------------------------------------------- */

static const char *way_of(const char *option)
{
    static const char *const ways[] = {"--again", "--since", "--restart", "--keep", "--regardless"};
    for (size_t i = 0; i < RP_COUNT_OF(ways); i++) {
        if (!strcmp(option, ways[i])) {
            return ways[i] + 2;
        }
    }
    return NULL;
}

/* Options stand before and behind the command; the other words move to the front of argv. */
static rp_status read_options(int argc, char **argv, ctl_options *options)
{
    options->rest = argv + 1;
    for (int i = 1; i < argc; i++) {
        bool number = argv[i][0] == '-' && argv[i][1] >= '0' && argv[i][1] <= '9';
        if (argv[i][0] != '-' || number) {
            options->rest[options->rest_count++] = argv[i];
        } else if (!strcmp(argv[i], "--json")) {
            options->json = true;
        } else if (!strcmp(argv[i], "--list")) {
            options->list = true;
        } else if (!strcmp(argv[i], "--wait")) {
            options->wait = true;
        } else if (way_of(argv[i])) {
            options->way = way_of(argv[i]);
        } else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            options->help = true;
        } else if (!option_takes_value("--name", argc, argv, &i, &options->name) &&
                   !option_takes_value("--socket", argc, argv, &i, &options->socket)) {
            return rp_fail(RP_E_ARGUMENT,
                           "ctl: %s: no such option, or its value is missing: see `reprise "
                           "ctl --help`",
                           argv[i]);
        }
    }
    if (!options->rest_count && !options->help) {
        return rp_fail(RP_E_ARGUMENT,
                       "ctl: no command: say what to do, as in `reprise ctl status`");
    }
    return RP_OK;
}

static const ctl_command *command_named(const char *name)
{
    for (size_t i = 0; i < RP_COUNT_OF(commands); i++) {
        if (!strcmp(commands[i].name, name)) {
            return &commands[i];
        }
    }
    return NULL;
}

static bool read_number(const char *text, json_int_t *number)
{
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno;
}

/* "4" is four frames a tick: a 1, b 4. "1/4" is one frame each four ticks: a 4, b 1. */
static bool read_speed(const char *text, json_int_t number[2])
{
    bool slow = !strncmp(text, "1/", 2);
    number[0] = number[1] = 1;
    return read_number(slow ? text + 2 : text, &number[slow ? 0 : 1]) && number[slow ? 0 : 1] > 0;
}

static rp_status read_numbers(const ctl_command *command, char *const *words, int count,
                              bool as_json, json_t **request)
{
    json_int_t number[2] = {0, 0};
    bool is_speed = !strcmp(command->name, "speed"), good = true;
    for (int i = 1; i < count; i++) {
        good = good &&
               (is_speed ? read_speed(words[i], number) : read_number(words[i], &number[i - 1]));
    }
    if (!good) {
        return rp_fail(RP_E_ARGUMENT,
                       "ctl: %s: needs whole numbers from 0 on: use `reprise ctl %s %s`",
                       command->name, command->name, command->arguments);
    }
    *request = json_pack("{s:s}", "cmd", command->name);
    if (as_json && (!strcmp(command->name, "watch") || !strcmp(command->name, "checks"))) {
        json_object_set_new(*request, "json", json_true());
    }
    if (count > 1) {
        json_object_set_new(*request, "a", json_integer(number[0]));
    }
    if (count > 2 || is_speed) {
        json_object_set_new(*request, "b", json_integer(number[1]));
    }
    return RP_OK;
}

/* ---- memory ---- */

static const ctl_command reports[] = {
    {"tree", "", 0, 0, ""},   {"leaks", "", 0, 0, ""},    {"fragmentation", "", 0, 0, ""},
    {"ledger", "", 0, 0, ""}, {"mark", "NAME", 1, 1, ""}, {"growth", "NAME NAME", 2, 2, ""},
};

static rp_status read_memory(char *const *words, int count, bool json, json_t **request)
{
    for (size_t i = 0; i < RP_COUNT_OF(reports); i++) {
        const ctl_command *report = &reports[i];
        if (strcmp(report->name, words[1]) != 0) {
            continue;
        }
        if (count - 2 != report->least) {
            return rp_fail(RP_E_ARGUMENT,
                           "ctl: memory %s: wrong number of arguments: use `reprise ctl memory "
                           "%s%s%s`",
                           report->name, report->name, report->least ? " " : "", report->arguments);
        }
        *request = json_pack("{s:s, s:s, s:b}", "cmd", "memory", "what", words[1], "json", json);
        static const char *const keys[3][2] = {{"", ""}, {"name", ""}, {"from", "to"}};
        for (int k = 2; k < count; k++) {
            json_object_set_new(*request, keys[report->least][k - 2], json_string(words[k]));
        }
        return RP_OK;
    }
    return rp_fail(RP_E_ARGUMENT,
                   "ctl: memory %s: no such report: there are tree, leaks, fragmentation, ledger, "
                   "mark NAME and growth NAME NAME",
                   words[1]);
}

/* Settings in several words count as one. Unknown modes are refused here, as `reprise run` does. */
static rp_status read_debug(char *const *words, int count, const ctl_options *options,
                            json_t **request)
{
    debug_choices_text chosen = {0};
    for (int i = 1; i < count; i++) {
        rp_status status = debug_choices_add(&chosen, words[i]);
        if (status) {
            return status;
        }
    }
    if (!chosen.text[0] && !options->list) {
        return rp_fail(RP_E_ARGUMENT, "ctl: debug: nothing to set: use `reprise ctl debug "
                                      "NAME=MODES`, or `reprise ctl debug --list`");
    }
    *request = json_pack("{s:s, s:s, s:b, s:b}", "cmd", "debug", "settings", chosen.text, "list",
                         options->list, "json", options->json);
    return *request ? RP_OK
                    : rp_fail(RP_E_ARGUMENT, "ctl: debug: the name is no text in UTF-8: give "
                                             "another, or a pattern with '?' in it");
}

/* "World.user=struct Enemy": what a reload asked for. */
static rp_status read_reload(char *const *words, int count, const ctl_options *options,
                             json_t **request)
{
    json_t *answers = json_object();
    for (int i = 1; i < count; i++) {
        char *sign = strchr(words[i], '=');
        if (!sign || json_object_set_new(answers, (*sign = 0, words[i]), json_string(sign + 1))) {
            json_decref(answers);
            return rp_fail(RP_E_ARGUMENT,
                           "ctl: reload: %s: an answer is NAME=TYPE: as in `reprise ctl reload "
                           "World.user=Enemy`",
                           words[i]);
        }
    }
    *request = json_pack("{s:s, s:b, s:s?, s:o}", "cmd", "reload", "json", options->json, "way",
                         options->way, "answers", answers);
    return RP_OK;
}

/* The host may stand in another folder than who asks. */
static rp_status read_save(char *const *words, int count, json_t **request)
{
    char path[2 * PATH_BYTES], here[PATH_BYTES];
    json_int_t seconds = 0;
    if (count > 2 && (!read_number(words[2], &seconds) || !seconds)) {
        return rp_fail(RP_E_ARGUMENT, "ctl: save: %s: give a number of seconds", words[2]);
    }
    bool whole = count > 1 && words[1][0] == '/';
    if (count > 1 && !whole && !getcwd(here, sizeof here)) {
        return rp_fail(RP_E_ARGUMENT,
                       "ctl: save: this folder's path is too long: give a whole one");
    }
    if (count > 1) {
        snprintf(path, sizeof path, "%s%s%s", whole ? "" : here, whole ? "" : "/", words[1]);
    }
    *request = json_pack("{s:s, s:s?, s:I}", "cmd", "save", "file", count > 1 ? path : NULL,
                         "seconds", seconds);
    return *request ? RP_OK : rp_fail(RP_E_ARGUMENT, "ctl: save: the path is no text in UTF-8");
}

static rp_status read_bookmark(const ctl_command *command, char *const *words, int count,
                               json_t **request)
{
    *request = json_pack("{s:s, s:s?}", "cmd", command->name, "name", count > 1 ? words[1] : NULL);
    return *request
               ? RP_OK
               : rp_fail(RP_E_ARGUMENT, "ctl: %s: the name is no text in UTF-8", command->name);
}

static rp_status read_request(const ctl_options *options, json_t **request)
{
    char *const *words = options->rest;
    int count = options->rest_count;
    const ctl_command *command = command_named(words[0]);
    if (!command) {
        return rp_fail(RP_E_ARGUMENT, "ctl: %s: no such command: see `reprise ctl --help`",
                       words[0]);
    }
    if (count - 1 < command->least || count - 1 > command->most) {
        return rp_fail(
            RP_E_ARGUMENT, "ctl: %s: wrong number of arguments: use `reprise ctl %s%s%s`",
            command->name, command->name, command->arguments[0] ? " " : "", command->arguments);
    }
    if (!strcmp(command->name, "debug")) {
        return read_debug(words, count, options, request);
    }
    if (options->way && strcmp(command->name, "reload") != 0) {
        return rp_fail(RP_E_ARGUMENT, "ctl: --%s: it belongs to `reprise ctl reload`",
                       options->way);
    }
    bool by_name = !strcmp(command->name, "seek") && words[1][0] != '-' &&
                   words[1][strspn(words[1], "0123456789")];
    if (by_name || strstr(command->name, "bookmark")) {
        return read_bookmark(command, words, count, request);
    }
    if (!strcmp(command->name, "reset")) {
        *request = json_pack("{s:s, s:s}", "cmd", "reset", "name", words[1]);
        return *request ? RP_OK : rp_fail(RP_E_ARGUMENT, "ctl: reset: the name is no text");
    }
    if (!strcmp(command->name, "reload")) {
        return read_reload(words, count, options, request);
    }
    if (options->wait && strcmp(command->name, "save") != 0) {
        return rp_fail(RP_E_ARGUMENT, "ctl: --wait: it belongs to `reprise ctl save`");
    }
    if (!strcmp(command->name, "save")) {
        return read_save(words, count, request);
    }
    if (!strcmp(command->name, "memory")) {
        return read_memory(words, count, options->json, request);
    }
    return read_numbers(command, words, count, options->json, request);
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void print_value(const json_t *value)
{
    if (json_is_string(value)) {
        fputs(json_string_value(value), stdout);
        return;
    }
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    fputs(text ? text : "?", stdout);
    free(text);
}

static void print_bookmarks(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *mark = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(mark, "name"));
        printf("%-10" JSON_INTEGER_FORMAT " %s\n",
               json_integer_value(json_object_get(mark, "frame")), name ? name : "");
    }
}

/* A report is printed as it is. */
static void print_lines(json_t *answer)
{
    const char *key;
    json_t *value, *text = json_object_get(answer, "text");
    if (text) {
        print_value(text);
        value = json_object_get(answer, "chosen");
        if (value) {
            printf("chosen: %s\n", json_string_value(value));
        }
        return;
    }
    if (json_object_size(answer) == 2 && json_object_get(answer, "bookmarks")) {
        print_bookmarks(json_object_get(answer, "bookmarks"));
        return;
    }
    bool in_words = json_object_get(answer, "history_bytes") != NULL;
    json_object_foreach(answer, key, value)
    {
        if (strcmp(key, "ok") != 0 && !(in_words && history_text_covers(key))) {
            printf("%-10s ", key);
            print_value(value);
            putchar('\n');
        }
    }
    history_text_print(answer, stdout);
}

static int show(json_t *answer, bool as_json)
{
    bool done = json_is_true(json_object_get(answer, "ok"));
    if (as_json) {
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (done) {
        print_lines(answer);
    }
    if (!done) {
        const char *why = json_string_value(json_object_get(answer, "error"));
        fprintf(stderr, "reprise: %s\n",
                why ? why : "ctl: refused: the host gave no reason: see its window");
    }
    return done ? EXIT_DONE : EXIT_REFUSED;
}

static int exit_code(rp_status status)
{
    return status == RP_E_ARGUMENT || status == RP_E_RANGE ? EXIT_USAGE : EXIT_NOBODY;
}

/* The save that `answer` began is looked after from here: the host goes on making frames meanwhile.
 * The answer becomes that of the end. */
static rp_status save_await(const char *path, json_t **answer)
{
    const char *file = json_string_value(json_object_get(*answer, "file"));
    rp_status status = RP_OK;
    bool done = false;
    while (status == RP_OK && !done) {
        json_t *now = NULL, *request = json_pack("{s:s}", "cmd", "status");
        usleep(SAVE_LOOK_US);
        status = control_ask(path, request, ANSWER_TIMEOUT_MS, &now);
        json_t *saving = json_object_get(now, "saving");
        const char *saved = json_string_value(json_object_get(saving, "file"));
        const json_t *error = json_object_get(saving, "error");
        if (status == RP_OK && (!saved || !file || strcmp(saved, file) != 0)) {
            status = rp_fail(RP_E_CLOSED,
                             "ctl: save: the host knows no more of %s: look with "
                             "`reprise info`",
                             file ? file : "it");
        }
        done = status == RP_OK && json_is_true(json_object_get(saving, "done"));
        if (done) {
            json_object_set(*answer, "saving", saving);
        }
        if (done && json_is_string(error)) {
            json_object_set_new(*answer, "ok", json_false());
            json_object_set_new(*answer, "error", json_string(json_string_value(error)));
        }
        json_decref(request);
        json_decref(now);
    }
    return status;
}

int cmd_ctl(int argc, char **argv)
{
    ctl_options options = {0};
    json_t *request = NULL, *answer = NULL;
    char path[PATH_BYTES];
    rp_status status = read_options(argc, argv, &options);
    if (options.help) {
        print_help();
        return EXIT_DONE;
    }
    if (status == RP_OK) {
        status = read_request(&options, &request);
    }
    if (status == RP_OK) {
        status = control_choose("ctl", options.name, options.socket, path, sizeof path);
    }
    if (status == RP_OK) {
        status = control_ask(path, request, ANSWER_TIMEOUT_MS, &answer);
    }
    if (status == RP_OK && options.wait && json_is_true(json_object_get(answer, "ok"))) {
        status = save_await(path, &answer);
    }
    int code = status == RP_OK ? show(answer, options.json) : complain(exit_code(status));
    json_decref(request);
    json_decref(answer);
    return code;
}
