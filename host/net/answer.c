/* Heads of HTTP answers: parsed, and compared with what was asked for. */
#include "net/net.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- lines ---- */

typedef struct words {
    const char *at, *end;
} words;

static void skip_blanks(words *w)
{
    while (w->at < w->end && (*w->at == ' ' || *w->at == '\t')) {
        w->at++;
    }
}

static bool take_number(words *w, uint64_t *number)
{
    const char *start = w->at;
    *number = 0;
    for (; w->at < w->end && *w->at >= '0' && *w->at <= '9'; w->at++) {
        if (*number > (UINT64_MAX / 2 - 9) / 10) {
            return false;
        }
        *number = *number * 10 + (uint64_t)(*w->at - '0');
    }
    return w->at > start;
}

static bool take_text(words *w, const char *text)
{
    size_t length = strlen(text);
    bool is = (size_t)(w->end - w->at) >= length && strncasecmp(w->at, text, length) == 0;
    w->at += is ? length : 0;
    return is;
}

static bool at_end(words *w)
{
    skip_blanks(w);
    return w->at == w->end;
}

/* "bytes 0-499/1234", "bytes 0-499/" followed by a star. */
static bool take_range(words *w, net_answer *answer)
{
    bool has = take_text(w, "bytes");
    skip_blanks(w);
    if (!has || !take_number(w, &answer->first) || !take_text(w, "-") ||
        !take_number(w, &answer->last) || !take_text(w, "/")) {
        return false;
    }
    if (take_text(w, "*")) {
        answer->size_bytes = UINT64_MAX;
    } else if (!take_number(w, &answer->size_bytes)) {
        return false;
    }
    answer->has_range = at_end(w) && answer->first <= answer->last;
    return answer->has_range;
}

/* What goes back to the server in a head of ours must be one line of plain characters. */
static void keep_text(const words *w, char *to, size_t capacity)
{
    size_t length = (size_t)(w->end - w->at);
    bool plain = length < capacity;
    for (size_t i = 0; i < length && plain; i++) {
        plain = w->at[i] >= ' ' && w->at[i] < 127;
    }
    memcpy(to, w->at, plain ? length : 0);
    to[plain ? length : 0] = 0;
}

static void take_status(words *w, net_answer *answer)
{
    uint64_t status;
    *answer = (net_answer){0};
    while (w->at < w->end && *w->at != ' ') {
        w->at++;
    }
    skip_blanks(w);
    answer->garbled = !take_number(w, &status) || status < 100 || status > 999;
    answer->status = answer->garbled ? 0 : (int)status;
}

static void take_field(words *w, net_answer *answer)
{
    if (take_text(w, "content-range:")) {
        skip_blanks(w);
        answer->garbled |= answer->has_range || !take_range(w, answer);
    } else if (take_text(w, "content-length:")) {
        skip_blanks(w);
        answer->garbled |= !take_number(w, &answer->length) || !at_end(w);
        answer->has_length = true;
    } else if (take_text(w, "content-encoding:")) {
        skip_blanks(w);
        answer->encoded = !at_end(w) && !(take_text(w, "identity") && at_end(w));
    } else if (take_text(w, "etag:")) {
        skip_blanks(w);
        if (w->at < w->end && *w->at == '"') { /* W/"…" names no bytes */
            keep_text(w, answer->tag, sizeof answer->tag);
        }
    } else if (take_text(w, "last-modified:")) {
        skip_blanks(w);
        keep_text(w, answer->changed, sizeof answer->changed);
    }
}

void net_answer_line(net_answer *answer, const char *line, size_t length)
{
    words w = {line, line + length};
    while (w.end > w.at && strchr("\r\n \t", w.end[-1]) && w.end[-1]) {
        w.end--;
    }
    if (take_text(&w, "http/")) {
        take_status(&w, answer);
    } else {
        take_field(&w, answer);
    }
}

/* ---- is it what was asked for? ---- */

static net_verdict say(net_verdict verdict, char *why, size_t why_bytes, const char *text)
{
    snprintf(why, why_bytes, "%s", text);
    return verdict;
}

static net_verdict judge_status(const net_answer *answer, char *why, size_t why_bytes)
{
    int status = answer->status;
    bool again = status == 408 || status == 429 || status == 500 || status == 502 ||
                 status == 503 || status == 504;
    const char *what = status == 401 || status == 403   ? "it may not be read: no permission"
                       : status == 404 || status == 410 ? "the server has no such file"
                       : status == 416                  ? "it ends before it should"
                       : again                          ? "the server cannot answer now"
                                                        : "the server refuses";
    if (!status) {
        return say(NET_AGAIN, why, why_bytes, "the answer is no HTTP");
    }
    snprintf(why, why_bytes, "%s (status %d)", what, status);
    return again ? NET_AGAIN : NET_BAD;
}

static bool same_version(const net_answer *answer, const net_version *version)
{
    if (answer->size_bytes != version->size_bytes) {
        return false;
    }
    const char *named = version->condition[0] == '"' ? answer->tag : answer->changed;
    return !version->condition[0] || !named[0] || strcmp(named, version->condition) == 0;
}

static net_verdict judge_part(const net_answer *answer, uint64_t first, uint64_t wanted_bytes,
                              uint64_t got_bytes, const net_version *version, char *why,
                              size_t why_bytes)
{
    if (!answer->has_range || answer->size_bytes == UINT64_MAX) {
        return say(NET_BAD, why, why_bytes,
                   "the server does not say which part it sent, or of how much");
    }
    if (version && !same_version(answer, version)) {
        return say(NET_BAD, why, why_bytes, "it changed while it was read: open it again");
    }
    uint64_t there = answer->size_bytes > first ? answer->size_bytes - first : 0;
    uint64_t due = wanted_bytes < there ? wanted_bytes : there;
    if (answer->first != first || !due || answer->last - answer->first != due - 1) {
        return say(NET_BAD, why, why_bytes, "the server sent another part than was asked for");
    }
    if (got_bytes > due || (answer->has_length && answer->length != due)) {
        return say(NET_BAD, why, why_bytes, "the part has another length than the server says");
    }
    return got_bytes < due ? say(NET_AGAIN, why, why_bytes, "the connection was cut") : NET_GOOD;
}

/* A whole take in place of a part is welcome once, at the beginning. Later it says that what was
 * asked for is not there any more. */
static net_verdict judge_whole(const net_answer *answer, uint64_t got_bytes,
                               const net_version *version, char *why, size_t why_bytes)
{
    if (version) {
        return say(NET_BAD, why, why_bytes,
                   version->condition[0]
                       ? "it changed while it was read: open it again"
                       : "the server sends parts at one time and all of it at another");
    }
    if (answer->has_length && got_bytes < answer->length) {
        return say(NET_AGAIN, why, why_bytes, "the connection was cut");
    }
    if (!answer->has_length) {
        return say(NET_BAD, why, why_bytes,
                   "the server knows no ranges and does not say how much it sends");
    }
    return got_bytes == answer->length
               ? NET_WHOLE
               : say(NET_BAD, why, why_bytes, "it has another length than the server says");
}

net_verdict net_answer_judge(const net_answer *answer, uint64_t first, uint64_t wanted_bytes,
                             uint64_t got_bytes, const net_version *version, char *why,
                             size_t why_bytes)
{
    why[0] = 0;
    if (answer->garbled) {
        return say(NET_BAD, why, why_bytes, "the head of the answer makes no sense");
    }
    if (answer->status != 200 && answer->status != 206) {
        return judge_status(answer, why, why_bytes);
    }
    if (answer->encoded) {
        return say(NET_BAD, why, why_bytes,
                   "the server packs what it sends: have it serve .take files as they are");
    }
    return answer->status == 206
               ? judge_part(answer, first, wanted_bytes, got_bytes, version, why, why_bytes)
               : judge_whole(answer, got_bytes, version, why, why_bytes);
}

void net_answer_version(const net_answer *answer, uint64_t whole_bytes, net_version *version)
{
    *version =
        (net_version){.size_bytes = answer->status == 206 ? answer->size_bytes : whole_bytes};
    const char *named = answer->tag[0] ? answer->tag : answer->changed;
    snprintf(version->condition, sizeof version->condition, "%s", named);
}
