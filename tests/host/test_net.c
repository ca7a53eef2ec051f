/* Takes over the network, without one: answers of servers that are right, wrong, slow to come round
 * and hostile, and what a source makes of them. tests/e2e/net.sh has real servers. */
#include "net/net.h"

#include "support/test.h"

#include <base/bits.h>
#include <base/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- answers ---- */

typedef struct judged {
    const char *head;
    uint64_t got;
    net_verdict verdict;
    const char *why;
} judged;

/* To a request for bytes 100 to 199 of 1000, whose first answer named "a". */
static const judged table[] = {
    {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 100-199/1000\r\nETag: \"a\"\r\n", 100, NET_GOOD,
     ""},
    {"HTTP/2 206\ncontent-range:  bytes 100-199/1000 \n", 100, NET_GOOD, ""},
    {"HTTP/1.1 302 Found\r\nContent-Length: 5\r\n\r\nHTTP/1.1 206 OK\r\nContent-Range: bytes "
     "100-199/1000\r\n",
     100, NET_GOOD, ""},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 100-199/1000\r\n", 60, NET_AGAIN, "was cut"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 100-199/1000\r\n", 101, NET_BAD, "another length"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 0-99/1000\r\n", 100, NET_BAD, "another part"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 100-198/1000\r\n", 99, NET_BAD, "another part"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 100-999/1000\r\n", 100, NET_BAD, "another part"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 100-199/*\r\n", 100, NET_BAD, "which part it sent"},
    {"HTTP/1.1 206 P\r\n", 100, NET_BAD, "which part it sent"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 100-199/2000\r\n", 100, NET_BAD, "it changed"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 100-199/1000\r\nETag: \"b\"\r\n", 100, NET_BAD,
     "it changed"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 100-199/1000\r\nContent-Length: 7\r\n", 100, NET_BAD,
     "another length"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 199-100/1000\r\n", 100, NET_BAD, "makes no sense"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 1e2-199/1000\r\n", 100, NET_BAD, "makes no sense"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 100-99999999999999999999/1000\r\n", 100, NET_BAD,
     "makes no sense"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 100-199/1000\r\nContent-Range: bytes 0-1/2\r\n", 100,
     NET_BAD, "makes no sense"},
    {"HTTP/1.1 206 P\r\nContent-Range: bytes 100-199/1000\r\nContent-Encoding: gzip\r\n", 100,
     NET_BAD, "packs what it sends"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n", 1000, NET_BAD, "it changed"},
    {"HTTP/1.1 404 Not Found\r\n", 9, NET_BAD, "no such file (status 404)"},
    {"HTTP/1.1 403 Forbidden\r\n", 9, NET_BAD, "no permission"},
    {"HTTP/1.1 416 Range\r\n", 0, NET_BAD, "ends before it should"},
    {"HTTP/1.1 503 Busy\r\n", 9, NET_AGAIN, "cannot answer now"},
    {"HTTP/1.1 429 Slow\r\n", 9, NET_AGAIN, "cannot answer now"},
    {"HTTP/1.1 999 Denied\r\n", 9, NET_BAD, "refuses (status 999)"},
    {"HTTP/1.1 9999 What\r\n", 9, NET_BAD, "makes no sense"},
    {"HTTP/1.1\r\n", 9, NET_BAD, "makes no sense"},
    {"SSH-2.0-OpenSSH\r\n", 0, NET_AGAIN, "is no HTTP"},
};

static net_answer parse(const char *head)
{
    net_answer answer = {0};
    for (const char *line = head; *line;) {
        size_t length = strcspn(line, "\n");
        length += line[length] == '\n';
        net_answer_line(&answer, line, length);
        line += length;
    }
    return answer;
}

TEST(an_answer_counts_when_it_is_the_one_to_the_request)
{
    net_version version = {.size_bytes = 1000, .condition = "\"a\""};
    char why[200];
    for (size_t i = 0; i < RP_COUNT_OF(table); i++) {
        net_answer answer = parse(table[i].head);
        net_verdict verdict =
            net_answer_judge(&answer, 100, 100, table[i].got, &version, why, sizeof why);
        ck_assert_msg(verdict == table[i].verdict && strstr(why, table[i].why), "%s: %d %s",
                      table[i].head, verdict, why);
    }
}

/* ---- a server in this process ---- */

typedef struct server {
    uint8_t *bytes;
    uint64_t size_bytes;
    bool knows_no_ranges;
    int cut_every;               /* nth answer ends early; 0: none */
    int down_from, changes_from; /* requests */
    bool lies_about_size;
    const char *failure; /* of the connection */
    bool failure_passes;
    int requests, condition_count;
    uint64_t most_bytes; /* of one request */
} server;

static server *at_hand;

static void *server_open(const char *url, int stall_s)
{
    (void)url, (void)stall_s;
    return at_hand;
}

static void server_close(void *handle)
{
    (void)handle;
}

static void answer_whole(server *s, net_request *r)
{
    r->answer = (net_answer){.status = 200, .has_length = true, .length = s->size_bytes};
    if (r->takes_whole) {
        r->whole = malloc(s->size_bytes);
        memcpy(r->whole, s->bytes, s->size_bytes);
    }
    r->got_bytes = s->size_bytes;
}

static void server_get(void *handle, net_request *r)
{
    server *s = handle;
    int number = s->requests++;
    s->condition_count += r->condition[0] != 0;
    s->most_bytes = rp_max_size(s->most_bytes, r->wanted_bytes);
    if (s->failure && (number == 1 || !s->failure_passes) && number > 0) {
        snprintf(r->why, sizeof r->why, "%s", s->failure);
        r->can_try_again = s->failure_passes;
    } else if (s->down_from && number >= s->down_from) {
        r->answer.status = 503;
    } else if (s->knows_no_ranges || (s->changes_from && number >= s->changes_from)) {
        answer_whole(s, r);
    } else {
        uint64_t left = s->size_bytes > r->first ? s->size_bytes - r->first : 0;
        uint64_t due = rp_min_size(r->wanted_bytes, left);
        uint64_t told = s->lies_about_size ? s->size_bytes * 1000 : s->size_bytes;
        r->answer = (net_answer){.status = 206,
                                 .has_range = true,
                                 .first = r->first,
                                 .last = r->first + due - 1,
                                 .size_bytes = told,
                                 .tag = "\"v1\""};
        r->got_bytes = s->cut_every && number % s->cut_every == 1 ? due / 2 : due;
        memcpy(r->to, s->bytes + r->first, r->got_bytes);
    }
}

static const net_class fake = {server_open, server_get, server_close};

static server server_of(uint64_t size_bytes)
{
    server s = {.bytes = malloc(size_bytes), .size_bytes = size_bytes};
    for (uint64_t i = 0; i < size_bytes; i++) {
        s.bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    return s;
}

static net_source *open_at(server *s, rp_take_source *source)
{
    net_source *net;
    at_hand = s;
    ck_ok(net_source_open("https://user:secret@host.example/a.take?key=1", &fake, source, &net));
    ck_assert_str_eq(source->name, "https://host.example/a.take");
    return net;
}

static void expect_reads(const server *s, const rp_take_source *source, int count)
{
    static uint8_t read[NET_BLOCK_BYTES * 3];
    uint64_t random = test_seed();
    for (int i = 0; i < count; i++) {
        uint64_t offset = test_random(&random) % s->size_bytes;
        uint64_t most = rp_min_size(sizeof read, s->size_bytes - offset);
        uint64_t length = test_random(&random) % (most + 1);
        ck_ok(source->read(source->context, offset, read, length));
        ck_assert_int_eq(memcmp(read, s->bytes + offset, length), 0);
    }
}

TEST(ranges_are_read_as_the_file_is_and_kept)
{
    server s = server_of(NET_BLOCK_BYTES * 40 + 777);
    rp_take_source source;
    net_source *net = open_at(&s, &source);
    ck_assert_uint_eq(source.size_bytes, s.size_bytes);
    expect_reads(&s, &source, 300);
    ck_assert_int_le(s.requests, 41);
    ck_assert_int_eq(s.condition_count, s.requests - 1);
    ck_assert_int_eq(source.read(source.context, s.size_bytes - 1, s.bytes, 2), RP_E_FORMAT);
    net_source_close(net);
    free(s.bytes);
}

TEST(who_reads_on_is_given_more_at_a_time)
{
    server s = server_of(NET_BLOCK_BYTES * 200);
    rp_take_source source;
    uint8_t byte;
    net_source *net = open_at(&s, &source);
    for (uint64_t at = 0; at < s.size_bytes; at += 1000) {
        ck_ok(source.read(source.context, at, &byte, 1));
        ck_assert_int_eq(byte, s.bytes[at]);
    }
    ck_assert_int_le(s.requests, 20);
    ck_assert_uint_eq(s.most_bytes, (uint64_t)NET_AHEAD_BLOCKS * NET_BLOCK_BYTES);
    net_source_close(net);
    free(s.bytes);
}

TEST(a_cut_is_asked_for_again)
{
    server s = server_of(NET_BLOCK_BYTES * 6);
    s.cut_every = 3;
    rp_take_source source;
    net_source *net = open_at(&s, &source);
    expect_reads(&s, &source, 40);
    ck_assert_uint_ge(net_source_stats_get(net).tries, 1);
    net_source_close(net);
    free(s.bytes);
}

TEST(a_server_that_knows_no_ranges_is_taken_whole)
{
    server s = server_of(100000);
    s.knows_no_ranges = true;
    rp_take_source source;
    net_source *net = open_at(&s, &source);
    expect_reads(&s, &source, 50);
    ck_assert_int_eq(s.requests, 1);
    net_source_close(net);
    free(s.bytes);
}

static void expect_failure(server *s, rp_status status, const char *why)
{
    rp_take_source source;
    uint8_t byte;
    net_source *net = open_at(s, &source);
    ck_assert_int_eq(source.read(source.context, NET_BLOCK_BYTES * 5, &byte, 1), status);
    ck_assert_msg(strstr(rp_error_last()->text, why), "%s", rp_error_last()->text);
    ck_assert_ptr_null(strstr(rp_error_last()->text, "secret"));
    ck_assert_ptr_null(strstr(rp_error_last()->text, "key"));
    net_source_close(net);
    free(s->bytes);
}

TEST(what_goes_wrong_on_the_way_is_named)
{
    server s = server_of(NET_BLOCK_BYTES * 8);
    s.down_from = 1;
    expect_failure(&s, RP_E_SYSTEM, "cannot answer now (status 503)");
    ck_assert_int_eq(s.requests, 1 + NET_TRIES);
    s = server_of(NET_BLOCK_BYTES * 8);
    s.changes_from = 1;
    expect_failure(&s, RP_E_CHANGED, "it changed while it was read: open it again");
    ck_assert_int_eq(s.requests, 2);
    s = server_of(NET_BLOCK_BYTES * 8);
    s.failure = "its certificate is not accepted: expired";
    expect_failure(&s, RP_E_SYSTEM, "its certificate is not accepted");
    ck_assert_int_eq(s.requests, 2);
}

TEST(a_size_that_is_a_lie_ends_in_an_error)
{
    server s = server_of(NET_BLOCK_BYTES * 2);
    s.lies_about_size = true;
    expect_failure(&s, RP_E_SYSTEM, "another part than was asked for");
}

TEST(a_connection_that_comes_back_is_used_again)
{
    server s = server_of(NET_BLOCK_BYTES * 4);
    s.failure = "the connection was reset";
    s.failure_passes = true;
    rp_take_source source;
    net_source *net = open_at(&s, &source);
    expect_reads(&s, &source, 20);
    net_source_close(net);
    free(s.bytes);
}

TEST(what_is_no_address_is_none)
{
    rp_take_source source;
    net_source *net;
    ck_assert(net_is_address("https://a/b") && net_is_address("HTTP://a/b"));
    ck_assert(!net_is_address("a.take") && !net_is_address("ftp://a") &&
              !net_is_address("https:/a"));
    ck_assert_int_eq(net_source_open("file:///etc/passwd", &fake, &source, &net), RP_E_ARGUMENT);
}
