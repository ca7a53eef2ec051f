/* Reading and adding answers about types. */
#include "type_answers.h"

#include <base/bits.h>
#include <base/error.h>
#include <os/os.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "# reprise.types"

enum { FILE_MOST_BYTES = 1 << 20, WORD_MOST_BYTES = 200 };

void type_answers_drop(type_answers *answers)
{
    while (answers->first) {
        rp_type_answer *next = (rp_type_answer *)(uintptr_t)answers->first->next;
        free(answers->first);
        answers->first = next;
    }
    free(answers->text);
    *answers = (type_answers){0};
}

static char *trimmed(char *text)
{
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length && strchr(" \t\r", text[length - 1])) {
        text[--length] = 0;
    }
    return text;
}

static bool is_word(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == '=') {
            return false;
        }
    }
    return length > 0 && length <= WORD_MOST_BYTES;
}

static rp_status take_line(type_answers *answers, char *line, const char *name, int number)
{
    line = trimmed(line);
    if (!*line || *line == '#') {
        return RP_OK;
    }
    char *sign = strchr(line, '=');
    if (sign) {
        *sign = 0;
    }
    const char *what = trimmed(line), *type = sign ? trimmed(sign + 1) : "";
    if (!is_word(what) || !is_word(type)) {
        return rp_fail(RP_E_FORMAT,
                       "%s:%d: no answer: write what = type, as in World.user = struct Enemy", name,
                       number);
    }
    rp_type_answer *answer = malloc(sizeof *answer);
    if (!answer) {
        return rp_fail(RP_E_MEMORY, "%s: no memory for its answers", name);
    }
    *answer = (rp_type_answer){what, type, answers->first}; /* the last of a name counts */
    answers->first = answer;
    return RP_OK;
}

rp_status type_answers_parse(const char *text, size_t length, const char *name,
                             type_answers *answers)
{
    *answers = (type_answers){.text = malloc(length + 1)};
    if (!answers->text) {
        return rp_fail(RP_E_MEMORY, "%s: no memory for its answers", name);
    }
    memcpy(answers->text, text, length);
    answers->text[length] = 0;
    rp_status status = strlen(answers->text) == length
                           ? RP_OK
                           : rp_fail(RP_E_FORMAT, "%s: it is no text: look at the file", name);
    char *line = answers->text;
    for (int number = 1; !status && line; number++) {
        char *end = strchr(line, '\n');
        if (end) {
            *end = 0;
        }
        status = take_line(answers, line, name, number);
        line = end ? end + 1 : NULL;
    }
    if (status) {
        type_answers_drop(answers);
    }
    return status;
}

rp_status type_answers_read(const char *path, type_answers *answers)
{
    *answers = (type_answers){0};
    rp_os_bytes bytes = {0};
    rp_status status = path ? rp_os_file_read(path, FILE_MOST_BYTES, &bytes) : RP_E_NOT_FOUND;
    if (status == RP_E_NOT_FOUND) {
        return RP_OK;
    }
    if (!status) {
        status = type_answers_parse((const char *)bytes.data, bytes.size_bytes, path, answers);
    }
    rp_os_file_free(&bytes);
    return status;
}

/* What stands in the file, then the line, in one buffer; null without memory. */
static char *with_line(const rp_os_bytes *old, const char *what, const char *type)
{
    const char *head = old->size_bytes ? "" : HEAD "\n";
    /* An editor may have left the last line open. */
    const char *gap = old->size_bytes && old->data[old->size_bytes - 1] != '\n' ? "\n" : "";
    size_t room = old->size_bytes + sizeof HEAD + strlen(what) + strlen(type) + sizeof "\n\n = \n";
    char *text = malloc(room);
    if (text) {
        if (old->size_bytes) {
            memcpy(text, old->data, old->size_bytes);
        }
        snprintf(text + old->size_bytes, room - old->size_bytes, "%s%s%s = %s\n", head, gap, what,
                 type);
    }
    return text;
}

/* Complete or not at all: half a line would be another answer, and half a head another's file. */
static rp_status write_with_line(const char *path, const rp_os_bytes *old, const char *what,
                                 const char *type)
{
    char *text = with_line(old, what, type);
    if (!text) {
        return rp_fail(RP_E_MEMORY, "%s: no memory for its answers", path);
    }
    char *followed = realpath(path, NULL); /* a link to the file stays one */
    size_t added = strlen(text + old->size_bytes);
    rp_status status = rp_os_file_write(followed ? followed : path, text, old->size_bytes + added);
    free(followed);
    free(text);
    return status;
}

rp_status type_answers_add(const char *path, const char *what, const char *type)
{
    if (!is_word(what) || !is_word(type)) {
        return rp_fail(RP_E_ARGUMENT,
                       "types: an answer is NAME=TYPE, as in World.user='struct Enemy'");
    }
    rp_os_bytes old = {0};
    rp_status status = rp_os_file_read(path, FILE_MOST_BYTES, &old);
    if (status && status != RP_E_NOT_FOUND) {
        return status;
    }
    bool is_there = !status;
    bool ours = is_there && old.size_bytes >= sizeof HEAD - 1 &&
                memcmp(old.data, HEAD, sizeof HEAD - 1) == 0;
    status =
        is_there && !ours
            ? rp_fail(RP_E_BUSY,
                      "%s: it does not begin with \"%s\", so it may be another's: move it away, or "
                      "name another file with --types",
                      path, HEAD)
            : write_with_line(path, &old, what, type);
    rp_os_file_free(&old);
    return status;
}
