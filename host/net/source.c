/* Ranges of an address as the source of a take: blocks that are kept, requests that are made again.
 */
#include "net/net.h"

#include <base/bits.h>
#include <base/error.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { NAME_BYTES = 200, SLOW_MS = 1000 };

typedef struct net_block {
    uint64_t number_plus_1; /* 0: none */
    uint64_t used;          /* when; the least goes first */
    uint8_t *bytes;
} net_block;

struct net_source {
    const net_class *class;
    void *handle;
    char name[NAME_BYTES]; /* for errors: without password and query */
    net_version version;
    uint8_t *whole; /* of a server that knows no ranges */
    net_block blocks[NET_BLOCKS];
    uint8_t *room;       /* NET_AHEAD_BLOCKS blocks */
    uint64_t clock;      /* of uses */
    uint64_t next_block; /* behind the last request */
    uint64_t ahead;      /* blocks that the last request was for */
    net_source_stats stats;
    struct timespec begun;
    bool says; /* progress was shown */
};

/* ---- names ---- */

bool net_is_address(const char *path)
{
    return strncasecmp(path, "https://", 8) == 0 || strncasecmp(path, "http://", 7) == 0;
}

/* A password or a signature is nobody's business who reads an error. */
static void name_of(const char *url, char *name)
{
    const char *host = strstr(url, "://") + 3, *slash = host + strcspn(host, "/?#");
    const char *at = memrchr(host, '@', (size_t)(slash - host));
    host = at ? at + 1 : host;
    snprintf(name, NAME_BYTES, "%.*s%.*s", (int)(strstr(url, "://") + 3 - url), url,
             (int)rp_min_size(strcspn(host, "?#"), NAME_BYTES - 16), host);
    for (char *c = name; *c; c++) {
        *c = (unsigned char)*c < ' ' || *c == 127 ? '?' : *c;
    }
}

/* ---- requests ---- */

static void wait_before(int attempt)
{
    long ms = 150L << (2 * (attempt - 1)); /* 0.15, 0.6, 2.4 s */
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
    }
}

static rp_status fail(const net_source *s, const net_request *request, const char *why)
{
    int status = request->answer.status;
    bool changed = strncmp(why, "it changed", 10) == 0;
    bool absent = !request->why[0] && (status == 404 || status == 410);
    return rp_fail(changed  ? RP_E_CHANGED
                   : absent ? RP_E_NOT_FOUND
                            : RP_E_SYSTEM,
                   "%s: %s", s->name, why);
}

static void say_progress(net_source *s)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long ms =
        (long)(now.tv_sec - s->begun.tv_sec) * 1000 + (now.tv_nsec - s->begun.tv_nsec) / 1000000;
    if (ms > SLOW_MS && isatty(STDERR_FILENO)) {
        s->says = true;
        fprintf(stderr, "\r%s: %.1f MiB read\033[K", s->name, (double)s->stats.bytes / (1 << 20));
    }
}

/* Until there is an answer that is good, or none will be. */
static rp_status ask(net_source *s, net_request *request, const net_version *version,
                     net_verdict *verdict)
{
    char why[300];
    int stalls = 0;
    for (int attempt = 0; attempt < NET_TRIES && stalls < 2; attempt++) {
        if (attempt) {
            wait_before(attempt);
            s->stats.tries++;
        }
        free(request->whole);
        request->whole = NULL;
        request->got_bytes = 0;
        request->answer = (net_answer){0};
        request->why[0] = 0;
        request->stalled = false;
        s->class->get(s->handle, request);
        stalls += request->stalled;
        if (request->why[0]) {
            *verdict = request->can_try_again ? NET_AGAIN : NET_BAD;
            snprintf(why, sizeof why, "%s", request->why);
        } else {
            *verdict = net_answer_judge(&request->answer, request->first, request->wanted_bytes,
                                        request->got_bytes, version, why, sizeof why);
        }
        if (*verdict == NET_GOOD || *verdict == NET_WHOLE) {
            s->stats.requests++;
            s->stats.bytes += request->got_bytes;
            say_progress(s);
            return RP_OK;
        }
        if (*verdict == NET_BAD) {
            break;
        }
    }
    free(request->whole);
    request->whole = NULL;
    return fail(s, request, why);
}

/* ---- blocks ---- */

static net_block *find_block(net_source *s, uint64_t number)
{
    for (size_t i = 0; i < NET_BLOCKS; i++) {
        if (s->blocks[i].number_plus_1 == number + 1) {
            s->blocks[i].used = ++s->clock;
            return &s->blocks[i];
        }
    }
    return NULL;
}

static bool keep_block(net_source *s, uint64_t number, const uint8_t *bytes, size_t size_bytes)
{
    net_block *oldest = &s->blocks[0];
    for (size_t i = 1; i < NET_BLOCKS; i++) {
        oldest = s->blocks[i].used < oldest->used ? &s->blocks[i] : oldest;
    }
    oldest->bytes = oldest->bytes ? oldest->bytes : malloc(NET_BLOCK_BYTES);
    if (!oldest->bytes) {
        return false;
    }
    memcpy(oldest->bytes, bytes, size_bytes);
    oldest->number_plus_1 = number + 1;
    oldest->used = ++s->clock;
    return true;
}

/* Who reads on is given more at a time. */
static uint64_t blocks_to_ask(net_source *s, uint64_t number)
{
    uint64_t all = (s->version.size_bytes + NET_BLOCK_BYTES - 1) / NET_BLOCK_BYTES;
    uint64_t wanted = number == s->next_block ? rp_min_size(s->ahead * 2, NET_AHEAD_BLOCKS) : 1;
    uint64_t count = 1;
    while (count < wanted && number + count < all && !find_block(s, number + count)) {
        count++;
    }
    s->next_block = number + count;
    s->ahead = count;
    return count;
}

static rp_status fetch(net_source *s, uint64_t number)
{
    uint64_t first = number * NET_BLOCK_BYTES, count = blocks_to_ask(s, number);
    uint64_t bytes = rp_min_size(count * NET_BLOCK_BYTES, s->version.size_bytes - first);
    net_request request = {
        .first = first, .wanted_bytes = bytes, .condition = s->version.condition, .to = s->room};
    net_verdict verdict;
    rp_status status = ask(s, &request, &s->version, &verdict);
    for (uint64_t i = 0; !status && i < count; i++) {
        uint64_t at = i * NET_BLOCK_BYTES;
        if (!keep_block(s, number + i, s->room + at,
                        (size_t)rp_min_size(bytes - at, NET_BLOCK_BYTES))) {
            status = rp_fail(RP_E_MEMORY, "%s: no memory is left", s->name);
        }
    }
    return status;
}

static rp_status read_net(void *context, uint64_t offset, void *data, size_t size_bytes)
{
    net_source *s = context;
    uint8_t *to = data;
    if (offset > s->version.size_bytes || size_bytes > s->version.size_bytes - offset) {
        return rp_fail(RP_E_FORMAT, "%s: ends before byte %llu", s->name,
                       (unsigned long long)offset + size_bytes);
    }
    if (s->whole) {
        memcpy(to, s->whole + offset, size_bytes);
        return RP_OK;
    }
    while (size_bytes) {
        uint64_t number = offset / NET_BLOCK_BYTES, skip = offset % NET_BLOCK_BYTES;
        net_block *block = find_block(s, number);
        if (!block) {
            rp_status status = fetch(s, number);
            if (status) {
                return status;
            }
            continue;
        }
        size_t length = rp_min_size(size_bytes, NET_BLOCK_BYTES - skip);
        memcpy(to, block->bytes + skip, length);
        to += length, offset += length, size_bytes -= length;
    }
    return RP_OK;
}

/* ---- open ---- */

static int stall_seconds(void)
{
    const char *text = getenv("REPRISE_NET_STALL_S");
    long seconds = text ? strtol(text, NULL, 10) : 0;
    return seconds > 0 && seconds < 3600 ? (int)seconds : NET_STALL_S;
}

/* The first request says how large it is, and brings the first block along. */
static rp_status ask_first(net_source *s)
{
    net_request request = {
        .wanted_bytes = NET_BLOCK_BYTES, .condition = "", .to = s->room, .takes_whole = true};
    net_verdict verdict;
    rp_status status = ask(s, &request, NULL, &verdict);
    if (status) {
        return status;
    }
    net_answer_version(&request.answer, request.got_bytes, &s->version);
    if (verdict == NET_WHOLE) {
        s->whole = request.whole ? request.whole : calloc(1, 1);
        return s->whole ? RP_OK : rp_fail(RP_E_MEMORY, "%s: no memory is left", s->name);
    }
    s->next_block = s->ahead = 1;
    return keep_block(s, 0, s->room, (size_t)request.got_bytes)
               ? RP_OK
               : rp_fail(RP_E_MEMORY, "%s: no memory is left", s->name);
}

rp_status net_source_open(const char *url, const net_class *class, rp_take_source *source,
                          net_source **out)
{
    *out = NULL;
    if (!net_is_address(url)) {
        return rp_fail(RP_E_ARGUMENT, "%s: is no address: begin it with https://", url);
    }
    class = class ? class : net_class_load();
    if (!class) {
        return rp_error_last()->status;
    }
    net_source *s = calloc(1, sizeof *s);
    if (s) {
        s->class = class;
        s->room = malloc((size_t)NET_AHEAD_BLOCKS * NET_BLOCK_BYTES);
        s->handle = s->room ? class->open(url, stall_seconds()) : NULL;
    }
    if (!s || !s->handle) {
        net_source_close(s);
        return rp_fail(RP_E_MEMORY, "no memory is left for a connection");
    }
    name_of(url, s->name);
    clock_gettime(CLOCK_MONOTONIC, &s->begun);
    rp_status status = ask_first(s);
    if (status) {
        net_source_close(s);
        return status;
    }
    *source = (rp_take_source){
        .context = s, .name = s->name, .size_bytes = s->version.size_bytes, .read = read_net};
    *out = s;
    return RP_OK;
}

void net_source_close(net_source *s)
{
    if (!s) {
        return;
    }
    if (s->says) {
        fputs("\r\033[K", stderr);
    }
    if (s->handle) {
        s->class->close(s->handle);
    }
    for (size_t i = 0; i < NET_BLOCKS; i++) {
        free(s->blocks[i].bytes);
    }
    free(s->whole);
    free(s->room);
    free(s);
}

net_source_stats net_source_stats_get(const net_source *source)
{
    return source->stats;
}
