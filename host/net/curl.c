/* Requests by libcurl: the plug-in reprise-net.so. */
#include "net/net.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { CONNECT_S = 10, REDIRECTIONS_MOST = 5 };

typedef struct handle {
    CURL *curl;
    char error[CURL_ERROR_SIZE];
    net_request *request; /* the one at hand */
    size_t whole_room;
    int stall_s;
    curl_off_t came; /* bytes, and when the last of them did */
    struct timespec last;
    const char *refused; /* why we ended the transfer; null: we did not */
} handle;

static size_t take_line(char *line, size_t one, size_t length, void *context)
{
    handle *h = context;
    (void)one; /* always 1 */
    net_answer_line(&h->request->answer, line, length);
    return length;
}

static bool grow_whole(handle *h, size_t more)
{
    net_request *r = h->request;
    size_t needed = (size_t)r->got_bytes + more;
    if (needed > NET_WHOLE_MOST_BYTES ||
        (r->answer.has_length && r->answer.length > NET_WHOLE_MOST_BYTES)) {
        h->refused =
            "the server knows no ranges, and it is too large to be taken whole: download it";
        return false;
    }
    if (needed > h->whole_room) {
        size_t room = needed * 2;
        uint8_t *grown = realloc(r->whole, room);
        if (!grown) {
            h->refused = "no memory is left for it";
            return false;
        }
        r->whole = grown;
        h->whole_room = room;
    }
    return true;
}

/* Bodies of errors are of no interest. */
static size_t take_body(char *bytes, size_t one, size_t length, void *context)
{
    handle *h = context;
    net_request *r = h->request;
    (void)one; /* always 1 */
    if (r->answer.status == 200 && r->takes_whole) {
        if (!grow_whole(h, length)) {
            return 0;
        }
        memcpy(r->whole + r->got_bytes, bytes, length);
    } else if (r->answer.status == 206 && length <= r->wanted_bytes - r->got_bytes) {
        memcpy(r->to + r->got_bytes, bytes, length);
    } else if (r->answer.status == 206) {
        h->refused = "the part is longer than was asked for";
        return 0;
    } else if (r->answer.status == 200) {
        h->refused = ""; /* judged by its head alone */
        return 0;
    }
    r->got_bytes += length;
    return length;
}

/* Called each second or more often. libcurl's own limit looks at the mean of five seconds. */
static int watch(void *context, curl_off_t all, curl_off_t came, curl_off_t up_all, curl_off_t up)
{
    handle *h = context;
    struct timespec now;
    (void)all, (void)up_all, (void)up;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (came != h->came) {
        h->came = came;
        h->last = now;
    }
    h->request->stalled = now.tv_sec - h->last.tv_sec > h->stall_s;
    return h->request->stalled;
}

static void *open_curl(const char *url, int stall_s)
{
    handle *h = calloc(1, sizeof *h);
    bool secure = strncasecmp(url, "https:", 6) == 0;
    if (!h || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(h->curl = curl_easy_init())) {
        free(h);
        return NULL;
    }
    CURL *c = h->curl;
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->error);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "reprise");
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "https,http");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTIONS_MOST);
    if (getenv("SSL_CERT_FILE")) { /* as other programs take it; libcurl alone does not */
        curl_easy_setopt(c, CURLOPT_CAINFO, getenv("SSL_CERT_FILE"));
    }
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)(stall_s < CONNECT_S ? stall_s : CONNECT_S));
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, h);
    h->stall_s = stall_s;
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_line);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
    return h;
}

static bool may_be_better(CURLcode code)
{
    return code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT ||
           code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
           code == CURLE_PARTIAL_FILE || code == CURLE_HTTP2_STREAM || code == CURLE_HTTP2;
}

/* What libcurl says, where that is more than its code does. */
static void say_failed(handle *h, CURLcode code)
{
    net_request *r = h->request;
    bool no_http = strstr(h->error, "HTTP/0.9");
    const char *what =
        r->stalled                               ? "no answer in time: "
        : no_http                                ? "the answer is no HTTP: "
        : code == CURLE_PARTIAL_FILE             ? "the connection was cut: "
        : code == CURLE_PEER_FAILED_VERIFICATION ? "its certificate is not accepted: "
        : code == CURLE_OPERATION_TIMEDOUT       ? "no answer in time: "
        : code == CURLE_TOO_MANY_REDIRECTS       ? "it leads in circles: "
        : code == CURLE_UNSUPPORTED_PROTOCOL     ? "it leads to where no take is read from: "
                                                 : "";
    snprintf(r->why, sizeof r->why, "%s%.200s", what,
             r->stalled    ? "silence"
             : h->error[0] ? h->error
                           : curl_easy_strerror(code));
    r->can_try_again = r->stalled || may_be_better(code);
}

static void get(void *context, net_request *request)
{
    handle *h = context;
    char range[64], condition[NET_TAG_BYTES + 16];
    struct curl_slist *head = curl_slist_append(NULL, "Accept-Encoding: identity");
    h->request = request;
    h->error[0] = 0;
    h->refused = NULL;
    h->whole_room = 0;
    h->came = 0;
    clock_gettime(CLOCK_MONOTONIC, &h->last);
    if (head && request->condition[0]) {
        snprintf(condition, sizeof condition, "If-Range: %s", request->condition);
        struct curl_slist *longer = curl_slist_append(head, condition);
        head = longer ? longer : head;
    }
    snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)request->first,
             (unsigned long long)(request->first + request->wanted_bytes - 1));
    curl_easy_setopt(h->curl, CURLOPT_RANGE, range);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, head);
    CURLcode code = curl_easy_perform(h->curl);
    if (h->refused) {
        snprintf(request->why, sizeof request->why, "%s", h->refused);
        request->can_try_again = false;
    } else if (code) {
        say_failed(h, code);
    }
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(head);
    h->request = NULL;
}

static void close_curl(void *context)
{
    handle *h = context;
    curl_easy_cleanup(h->curl);
    free(h);
}

__attribute__((visibility("default"))) extern const net_class reprise_net_class;
const net_class reprise_net_class = {.open = open_curl, .get = get, .close = close_curl};
