#include "game.h"

enum { SPEED = 7, SHOT_SPEED = 23, RELOAD_FRAMES = 12, REACH = 30 };

game *game_make(rp_allocator *heap)
{
    game *g = rp_new(heap, game, 1);
    if (g) {
        g->heap = heap;
        g->place[0] = FIELD / 4;
        g->place[1] = FIELD - FIELD / 4;
    }
    return g;
}

static void shoot(game *g, uint32_t player)
{
    shot *made = rp_new(g->heap, shot, 1);
    if (made) {
        *made = (shot){g->shots, g->place[player], player ? -SHOT_SPEED : SHOT_SPEED, player};
        g->shots = made;
        g->reload[player] = RELOAD_FRAMES;
    }
}

static void move(game *g, uint32_t player, uint8_t input)
{
    int32_t place = g->place[player];
    place += SPEED * (!!(input & INPUT_RIGHT) - !!(input & INPUT_LEFT));
    g->place[player] = place < 0 ? 0 : place > FIELD ? FIELD : place;
    g->reload[player] -= g->reload[player] > 0;
    if (input & INPUT_SHOOT && !g->reload[player]) {
        shoot(g, player);
    }
}

static int hits(game *g, const shot *s)
{
    uint32_t other = 1 - s->owner;
    int32_t distance = s->place - g->place[other];
    return distance > -REACH && distance < REACH;
}

int game_step(game *g, const game_input *input)
{
    int hit_count = 0;
    g->frame++;
    for (uint32_t player = 0; player < PLAYERS; player++) {
        move(g, player, input->of[player]);
    }
    for (shot **link = &g->shots; *link;) {
        shot *s = *link;
        s->place += s->speed;
        int hit = hits(g, s);
        if (hit || s->place < 0 || s->place > FIELD) {
            g->score[s->owner] += (uint32_t)hit;
            hit_count += hit;
            *link = s->next;
            rp_free(s);
        } else {
            link = &s->next;
        }
    }
    return hit_count;
}
