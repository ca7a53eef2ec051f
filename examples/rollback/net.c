#include "net.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const uint64_t ms_ns = 1000000;

uint64_t net_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * ms_ns + (uint64_t)now.tv_nsec;
}

static struct sockaddr_in address_of(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int net_socket(uint16_t *port)
{
    struct sockaddr_in address = address_of(*port);
    socklen_t length = sizeof address;
    int made = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0 || bind(made, (struct sockaddr *)&address, length) != 0 ||
        getsockname(made, (struct sockaddr *)&address, &length) != 0) {
        if (made >= 0) {
            close(made);
        }
        return -1;
    }
    *port = ntohs(address.sin_port);
    return made;
}

/* ---- trouble ---- */

static uint32_t dice(net_trouble *t, uint32_t sides)
{
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return (uint32_t)((t->random >> 20) % sides);
}

static void put(net *n, const void *bytes, size_t size_bytes)
{
    net_trouble *t = &n->trouble;
    uint64_t wait_ms = t->delay_ms + (t->jitter_ms ? dice(t, t->jitter_ms + 1) : 0);
    for (int i = 0; i < NET_WAITING; i++) {
        if (!n->waiting[i].due_ns) {
            n->waiting[i].due_ns = net_now_ns() + wait_ms * ms_ns;
            n->waiting[i].size_bytes = size_bytes;
            memcpy(n->waiting[i].bytes, bytes, size_bytes);
            return;
        }
    } /* no place: lost, as on any line that is full */
}

void net_send(net *n, const void *bytes, size_t size_bytes)
{
    if (size_bytes > NET_PACKET_BYTES || dice(&n->trouble, 100) < n->trouble.loss_percent) {
        return;
    }
    put(n, bytes, size_bytes);
    if (dice(&n->trouble, 100) < n->trouble.twice_percent) {
        put(n, bytes, size_bytes);
    }
}

void net_tick(net *n)
{
    struct sockaddr_in peer = address_of(n->peer_port);
    uint64_t now_ns = net_now_ns();
    for (int i = 0; i < NET_WAITING; i++) {
        net_waiting *w = &n->waiting[i];
        if (w->due_ns && w->due_ns <= now_ns) {
            /* What cannot be sent is lost: the next packet says it again. */
            (void)!sendto(n->socket, w->bytes, w->size_bytes, 0, (struct sockaddr *)&peer,
                          sizeof peer);
            w->due_ns = 0;
        }
    }
}

/* ---- receiving ---- */

size_t net_receive(net *n, void *bytes, size_t capacity_bytes)
{
    struct sockaddr_in from;
    for (;;) {
        socklen_t length = sizeof from;
        ssize_t got =
            recvfrom(n->socket, bytes, capacity_bytes, 0, (struct sockaddr *)&from, &length);
        if (got <= 0) {
            return 0;
        }
        if (from.sin_port == htons(n->peer_port)) {
            return (size_t)got;
        }
    }
}

void net_wait(const net *n, uint64_t until_ns)
{
    struct pollfd fd = {.fd = n->socket, .events = POLLIN};
    uint64_t now_ns = net_now_ns();
    for (int i = 0; i < NET_WAITING; i++) {
        uint64_t due_ns = n->waiting[i].due_ns;
        until_ns = due_ns && due_ns < until_ns ? due_ns : until_ns;
    }
    if (until_ns > now_ns) {
        uint64_t left_ns = until_ns - now_ns;
        struct timespec left = {.tv_sec = (time_t)(left_ns / (1000 * ms_ns)),
                                .tv_nsec = (long)(left_ns % (1000 * ms_ns))};
        ppoll(&fd, 1, &left, NULL);
    }
}
