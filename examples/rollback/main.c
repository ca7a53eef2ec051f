/* Rollback netcode: two peers play over a bad line and come to the same frames.
 *
 *     example_rollback --frames 600 --delay 60 --jitter 40 --loss 10      both, as two processes
 *     example_rollback --player 0 --port 7000 --peer 7001                 one of the two
 *
 * game.c is the game, net.c the line, peer.c what rollback is: that is the one to read.
 */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct options {
    uint32_t both, player, port, peer_port, seed;
    peer_options peer;
} options;

static const struct {
    const char *name, *what;
    size_t offset;
    unsigned long most;
} table[] = {
    {"--player", "0 or 1: be one of the two", offsetof(options, player), 1},
    {"--port", "on 127.0.0.1, with --player", offsetof(options, port), 65535},
    {"--peer", "the other's port", offsetof(options, peer_port), 65535},
    {"--frames", "how many to play", offsetof(options, peer.frame_count), FRAMES_MOST},
    {"--rate", "frames a second", offsetof(options, peer.rate_hz), 1000},
    {"--loss", "percent of packets that are lost", offsetof(options, peer.trouble.loss_percent),
     90},
    {"--twice", "percent that come twice", offsetof(options, peer.trouble.twice_percent), 90},
    {"--delay", "ms that each waits", offsetof(options, peer.trouble.delay_ms), 1000},
    {"--jitter", "ms more, at random, so that they overtake each other",
     offsetof(options, peer.trouble.jitter_ms), 1000},
    {"--seed", "of loss and jitter", offsetof(options, seed), 1000000},
    {"--spoil", "frame in which player 1 cheats", offsetof(options, peer.spoil_frame), FRAMES_MOST},
};
enum { OPTIONS = sizeof table / sizeof *table };

static int usage(void)
{
    fprintf(stderr, "usage: example_rollback [OPTION NUMBER]...\n");
    for (int i = 0; i < OPTIONS; i++) {
        fprintf(stderr, "  %-9s %s, up to %lu\n", table[i].name, table[i].what, table[i].most);
    }
    return 2;
}

static bool read_option(options *o, const char *name, const char *text)
{
    for (int i = 0; i < OPTIONS && text; i++) {
        char *end;
        unsigned long value = strtoul(text, &end, 10);
        if (strcmp(name, table[i].name) == 0 && end != text && !*end && value <= table[i].most) {
            *(uint32_t *)(void *)((char *)o + table[i].offset) = (uint32_t)value;
            o->both = o->both && strcmp(name, "--player") != 0;
            return true;
        }
    }
    return false;
}

static int play(const options *o, uint32_t me, int socket, uint16_t peer_port)
{
    static peer p; /* large */
    p.options = o->peer;
    p.options.me = me;
    p.options.trouble.random = (o->seed + 1) * 2 + me + 88172645463325252u;
    p.net.socket = socket;
    p.net.peer_port = peer_port;
    return peer_play(&p);
}

/* Before the deck is open, since a child would hold the world as well. */
static int play_both(const options *o)
{
    uint16_t ports[PLAYERS] = {0, 0};
    int sockets[PLAYERS] = {net_socket(&ports[0]), net_socket(&ports[1])}, status = 0;
    if (sockets[0] < 0 || sockets[1] < 0) {
        perror("example_rollback: socket");
        return 1;
    }
    pid_t child = fork();
    if (child < 0) {
        perror("example_rollback: fork");
        return 1;
    }
    if (child == 0) {
        _exit(play(o, 1, sockets[1], ports[0]));
    }
    int mine = play(o, 0, sockets[0], ports[1]);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
        return 1;
    }
    return mine > WEXITSTATUS(status) ? mine : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    options o = {.both = 1, .peer = {.frame_count = 600, .rate_hz = 60}};
    for (int i = 1; i < argc; i += 2) {
        if (!read_option(&o, argv[i], argv[i + 1])) {
            return usage();
        }
    }
    if (!o.peer.frame_count || !o.peer.rate_hz) {
        return usage();
    }
    if (o.both) {
        return play_both(&o);
    }
    uint16_t port = (uint16_t)o.port;
    int socket = net_socket(&port);
    if (socket < 0 || !o.peer_port) {
        return usage();
    }
    return play(&o, o.player, socket, (uint16_t)o.peer_port);
}
