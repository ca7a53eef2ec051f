/* One of two peers: makes frames with the other's inputs as far as they are known, guesses the
 * rest, and rolls back where it guessed wrong.
 *
 *   frames   1 … confirmed        both inputs are known: final, the same at both peers
 *            … current            made with a guess: the other still does what it did last
 *            current + 1          the next one; not before the other's inputs are near enough
 *
 * Every packet repeats all inputs that were not acknowledged, so nothing is asked for again. */
#ifndef EXAMPLE_ROLLBACK_PEER_H
#define EXAMPLE_ROLLBACK_PEER_H

#include "game.h"
#include "net.h"

#include <reprise/deck.h>

enum { FRAMES_MOST = 20000, AHEAD_MOST = 8, PACKET_INPUTS = 64 };

typedef struct peer_options {
    uint32_t me, frame_count, rate_hz;
    uint32_t spoil_frame; /* 0: none; else player 1 cheats there, to see it found */
    net_trouble trouble;
} peer_options;

typedef struct peer {
    peer_options options;
    net net;
    rp_deck *deck;
    game *game;
    uint8_t inputs[PLAYERS][FRAMES_MOST + 1]; /* by frame; as far as they are known */
    uint32_t known[PLAYERS];                  /* the newest frame whose input is */
    uint32_t current, confirmed, acknowledged;
    uint64_t hashes[FRAMES_MOST + 1]; /* of confirmed states */
    uint32_t told_frame;              /* the newest state that the other told a hash of */
    uint64_t told_hash, heard_ns;
    bool other_finished, desynced;
    uint32_t rollbacks, frames_again, deepest, sounds;
} peer;

/* Plays to the end. Exit codes: 0; 1: an error, or the other went away; 3: the two differ. */
int peer_play(peer *p);

#endif
