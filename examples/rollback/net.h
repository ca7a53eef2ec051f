/* Datagrams to one peer on this machine, over a line that can be made as bad as one likes: packets
 * are lost, come late, twice and in another order, by a seed. */
#ifndef EXAMPLE_ROLLBACK_NET_H
#define EXAMPLE_ROLLBACK_NET_H

#include <stddef.h>
#include <stdint.h>

enum { NET_PACKET_BYTES = 256, NET_WAITING = 512 };

typedef struct net_trouble {
    uint32_t loss_percent, twice_percent;
    uint32_t delay_ms, jitter_ms; /* each packet waits delay … delay + jitter */
    uint64_t random;              /* state; not 0 */
} net_trouble;

typedef struct net_waiting {
    uint64_t due_ns; /* 0: the place is free */
    size_t size_bytes;
    uint8_t bytes[NET_PACKET_BYTES];
} net_waiting;

typedef struct net {
    int socket;
    uint16_t peer_port;
    net_trouble trouble;
    net_waiting waiting[NET_WAITING]; /* packets that are on their way */
} net;

/* A socket on 127.0.0.1; port 0: any that is free. Returns it, with *port what it is; -1: none. */
int net_socket(uint16_t *port);
void net_send(net *n, const void *bytes, size_t size_bytes);
/* Sends what is due. */
void net_tick(net *n);
/* The next packet that came; 0: none. */
size_t net_receive(net *n, void *bytes, size_t capacity_bytes);
/* Waits for a packet, until `until_ns` at the latest, or until something is due. */
void net_wait(const net *n, uint64_t until_ns);
uint64_t net_now_ns(void);

#endif
