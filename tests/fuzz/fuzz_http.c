/* Heads of HTTP answers, and what is made of them: the judgement of an answer, the name of its
 * version. The input is a head; its last bytes say what was asked for. Entry point for libFuzzer
 * and for plain drivers. */
#include "net/net.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const net_answer *answer, uint64_t first, uint64_t wanted, uint64_t got,
                  const net_version *version)
{
    char why[200];
    net_verdict verdict = net_answer_judge(answer, first, wanted, got, version, why, sizeof why);
    bool good = verdict == NET_GOOD || verdict == NET_WHOLE;
    if (good != (why[0] == 0)) {
        abort(); /* each refusal has its reason */
    }
    /* Nothing is good that would be read beyond what came. */
    if (verdict == NET_GOOD &&
        (got > wanted || answer->first != first || answer->last - answer->first + 1 != got ||
         answer->last >= answer->size_bytes || answer->encoded || answer->status != 206)) {
        abort();
    }
    if (verdict == NET_WHOLE && (version || got != answer->length || answer->status != 200)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    net_answer answer = {0};
    net_version version;
    uint64_t first = size ? data[size - 1] * 100u : 0, wanted = size > 1 ? data[size - 2] + 1u : 1;
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t length = end ? (size_t)(end - data) - at + 1 : size - at;
        char *line = malloc(length); /* exactly, so that a byte too many is seen */
        memcpy(line, data + at, length);
        net_answer_line(&answer, line, length);
        free(line);
        at += length;
    }
    net_answer_version(&answer, 1000, &version);
    if (strpbrk(version.condition, "\r\n") || strlen(version.condition) >= NET_TAG_BYTES) {
        abort(); /* it becomes a line of the next request */
    }
    uint64_t span = answer.has_range ? answer.last - answer.first + 1 : wanted;
    judge(&answer, first, wanted, wanted, NULL);
    judge(&answer, first, wanted, wanted, &version);
    judge(&answer, answer.first, span, span, &version);
    judge(&answer, answer.first, span, span / 2, NULL);
    judge(&answer, 0, wanted, answer.length, NULL);
    return 0;
}
