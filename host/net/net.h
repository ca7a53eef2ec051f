/* Takes over the network: a source (src/take/io.h) that reads ranges of an address by HTTP, so that
 * any web server or object store serves takes.
 *
 *   rp_take_source.read ── blocks of 128 KiB, kept ──► request ── retried ──► curl.c, a plug-in
 *                                                        └── answer.c: is it what was asked for?
 *
 * A take is read while it lies still: each answer must name the size and the version (ETag, or the
 * time of the last change) of the first one. A server that knows no ranges sends all of it, which
 * is kept in memory up to 256 MiB. Everything that the other side says is hostile.
 *
 * libcurl is in a plug-in, as it brings two dozen libraries that no other command needs.
 *
 * Layer: host.  Threads: one.  Users: take_file.c  Tests: tests/host/test_net.c,
 * tests/fuzz/fuzz_http.c, tests/e2e/net.sh
 */
#ifndef HOST_NET_H
#define HOST_NET_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <take/io.h>

enum {
    NET_BLOCK_BYTES = 128 << 10,
    NET_BLOCKS = 128,      /* that are kept */
    NET_AHEAD_BLOCKS = 16, /* at most in one request */
    NET_WHOLE_MOST_BYTES = 256 << 20,
    NET_TRIES = 4,
    NET_STALL_S = 20, /* without a byte; REPRISE_NET_STALL_S says otherwise */
    NET_TAG_BYTES = 160,
};

/* ---- answer.c: what a server says ---- */

typedef struct net_answer {
    int status; /* 0: none yet */
    bool has_range, has_length, encoded;
    bool garbled;                     /* a line that matters makes no sense */
    uint64_t first, last, size_bytes; /* of Content-Range; size UINT64_MAX: not said */
    uint64_t length;                  /* Content-Length */
    char tag[NET_TAG_BYTES];          /* ETag, where it is a strong one */
    char changed[64];                 /* Last-Modified */
} net_answer;

/* A line of the head with its end; a status line begins anew, as behind a redirection. */
void net_answer_line(net_answer *answer, const char *line, size_t length);

/* What is known of the take since the first answer. */
typedef struct net_version {
    uint64_t size_bytes;
    char condition[NET_TAG_BYTES]; /* for If-Range; "": the server names no version */
} net_version;

typedef enum net_verdict {
    NET_GOOD,
    NET_WHOLE, /* all of it from its beginning, as the server knows no ranges */
    NET_AGAIN, /* it may be better another time */
    NET_BAD    /* it will not be */
} net_verdict;

/* Whether an answer with `got_bytes` of body is the one to a request for [first, first + wanted)
 * or, at the end of the take, less. `version`: null for the first request. `why`: what is wrong. */
net_verdict net_answer_judge(const net_answer *answer, uint64_t first, uint64_t wanted_bytes,
                             uint64_t got_bytes, const net_version *version, char *why,
                             size_t why_bytes);
/* The version that the first answer names. */
void net_answer_version(const net_answer *answer, uint64_t whole_bytes, net_version *version);

/* ---- curl.c ---- */

typedef struct net_request {
    uint64_t first, wanted_bytes;
    const char *condition; /* "": none */
    uint8_t *to;           /* wanted_bytes of room */
    bool takes_whole;      /* a whole take instead goes to `whole`, which is the caller's to free */
    uint8_t *whole;
    uint64_t got_bytes;
    net_answer answer;
    bool can_try_again; /* where it failed: a cut, a server that is busy */
    bool stalled;       /* it was silent for too long: tried once more, not four times */
    char why[300];      /* "": there is an answer */
} net_request;

/* What the plug-in is to the host; the symbol `reprise_net_class`. */
typedef struct net_class {
    void *(*open)(const char *url, int stall_s); /* null: no memory */
    void (*get)(void *handle, net_request *request);
    void (*close)(void *handle);
} net_class;

/* Null with the record set where it is not installed. */
const net_class *net_class_load(void);

/* ---- source.c ---- */

typedef struct net_source net_source;

bool net_is_address(const char *path); /* "https://…", "http://…" */
/* `source->name` and `*out` live until the close. RP_E_ARGUMENT: no address. RP_E_NOT_FOUND: the
 * server has no such thing, or there is no plug-in. RP_E_TIMEOUT, RP_E_SYSTEM: what went wrong on
 * the way; while reading also RP_E_CHANGED. `class`: null for that of the plug-in. */
rp_status net_source_open(const char *url, const net_class *class, rp_take_source *source,
                          net_source **out);
void net_source_close(net_source *source); /* null is nothing */

typedef struct net_source_stats {
    uint64_t requests, bytes; /* answered */
    uint64_t tries;           /* that were made again */
} net_source_stats;
net_source_stats net_source_stats_get(const net_source *source);

#endif
