/* The game: two players move along a line and shoot at each other. All of it lies on the deck's
 * heap, and a step reads nothing but it and the input: that is what rollback asks of a program. */
#ifndef EXAMPLE_ROLLBACK_GAME_H
#define EXAMPLE_ROLLBACK_GAME_H

#include <reprise/memory.h>
#include <stdint.h>

enum { PLAYERS = 2, FIELD = 2000 };

/* What one player does in one frame, as it goes over the wire. */
enum { INPUT_LEFT = 1, INPUT_RIGHT = 2, INPUT_SHOOT = 4 };
typedef struct game_input {
    uint8_t of[PLAYERS];
} game_input;

typedef struct shot {
    struct shot *next;
    int32_t place, speed;
    uint32_t owner;
} shot;

typedef struct game {
    rp_allocator *heap;
    int32_t place[PLAYERS];
    uint32_t score[PLAYERS], reload[PLAYERS];
    uint32_t frame;
    shot *shots;
} game;

game *game_make(rp_allocator *heap);
/* Makes one frame; returns how many shots hit, for the ear. */
int game_step(game *g, const game_input *input);

#endif
