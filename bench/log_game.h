/* A program as games are, for measuring what its history takes. Each frame it
 *
 *   moves half of its entities (96 bytes each: ids, flags, floats, what never changes in between),
 *   turns some, counts down their timers, now and then hurts one or gives it another target
 *   moves its particles: arrays of floats of which all that live change
 *   counts, draws random numbers, writes a line into a ring of messages every few frames
 *   changes four single tiles of its map, anywhere: each is a page of its own where the map is
 * large
 *
 * and leaves the rest of its world alone, which is full of bytes that do not pack. With `sweep`
 * it writes 64 random bytes into each of so many further pages a frame, all over the world in turn.
 */
#ifndef BENCH_LOG_GAME_H
#define BENCH_LOG_GAME_H

#include "base/bits.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    GAME_ENTITIES = 2048,
    GAME_PARTICLES = 4096,
    GAME_ALIVE = 800,
    GAME_MESSAGES = 512,
    GAME_TILES = 1 << 20, /* of a small map */
    GAME_TILES_MOST = 8 << 20,
};

typedef struct game_entity {
    uint32_t id, kind, flags, target;
    float position[3], velocity[3];
    float angle, spin, health, cooldown, mass, radius;
    uint32_t color, animation, parent, next;
    char name[16];
} game_entity;

typedef struct game_state {
    uint64_t frame, random, score;
    float timers[64];
    uint32_t message_count;
    char messages[GAME_MESSAGES][64];
    game_entity entities[GAME_ENTITIES];
    float x[GAME_PARTICLES], y[GAME_PARTICLES], vx[GAME_PARTICLES], vy[GAME_PARTICLES];
    float life[GAME_PARTICLES];
    uint32_t tile_count;
    uint8_t tiles[GAME_TILES_MOST]; /* those beyond the count are not there */
} game_state;

static inline uint64_t game_random(game_state *g)
{
    g->random ^= g->random << 13;
    g->random ^= g->random >> 7;
    g->random ^= g->random << 17;
    return g->random;
}

static inline float game_float(game_state *g, float limit)
{
    return (float)(game_random(g) >> 40) / (float)(1 << 24) * limit;
}

static inline size_t game_bytes(uint32_t tile_count)
{
    return offsetof(game_state, tiles) + tile_count;
}

static inline void game_start(game_state *g, uint32_t tile_count, uint8_t *rest, size_t rest_bytes)
{
    g->tile_count = tile_count;
    g->random = 88172645463325252u;
    for (uint32_t i = 0; i < GAME_ENTITIES; i++) {
        game_entity *e = &g->entities[i];
        *e = (game_entity){.id = i, .kind = i % 7, .mass = 1, .radius = game_float(g, 2)};
        for (int k = 0; k < 3; k++) {
            e->position[k] = game_float(g, 1000);
            e->velocity[k] = game_float(g, 8) - 4;
        }
        e->spin = game_float(g, 1);
        e->health = 100;
        snprintf(e->name, sizeof e->name, "entity %u", i);
    }
    for (size_t i = 0; i + 8 <= rest_bytes; i += 8) {
        uint64_t word = game_random(g);
        memcpy(rest + i, &word, sizeof word);
    }
    for (size_t i = 0; i < tile_count; i++) {
        g->tiles[i] = (uint8_t)(i / 37 % 5);
    }
}

static inline void game_entities(game_state *g, float dt)
{
    for (uint32_t i = 0; i < GAME_ENTITIES; i += 2) { /* the others rest */
        game_entity *e = &g->entities[i];
        for (int k = 0; k < 3; k++) {
            e->position[k] += e->velocity[k] * dt;
            if (e->position[k] < 0 || e->position[k] > 1000) {
                e->velocity[k] = -e->velocity[k];
            }
        }
        if (i % 8 == 0) {
            e->angle = fmodf(e->angle + e->spin * dt, 6.2831853f);
            e->animation = (e->animation + (g->frame % 6 == 0)) % 12;
        }
        if (e->cooldown > 0) {
            e->cooldown -= dt;
        }
    }
    game_entity *hurt = &g->entities[game_random(g) % GAME_ENTITIES];
    hurt->health -= 1;
    hurt->cooldown = 2;
    hurt->target = (uint32_t)(game_random(g) % GAME_ENTITIES);
    g->score += hurt->health < 50;
}

static inline void game_particles(game_state *g, float dt)
{
    for (int i = 0; i < GAME_ALIVE; i++) {
        g->vy[i] += 9.81f * dt;
        g->x[i] += g->vx[i] * dt;
        g->y[i] += g->vy[i] * dt;
        g->life[i] -= dt;
        if (g->life[i] <= 0) {
            g->x[i] = g->y[i] = 0;
            g->vx[i] = game_float(g, 10) - 5;
            g->vy[i] = -game_float(g, 10);
            g->life[i] = 1 + game_float(g, 3);
        }
    }
}

static inline void game_step(game_state *g, uint8_t *rest, size_t rest_pages, unsigned sweep)
{
    const float dt = 1.0f / 60;
    g->frame++;
    for (int i = 0; i < 64; i += 4) {
        g->timers[i] += dt;
    }
    game_entities(g, dt);
    game_particles(g, dt);
    for (int i = 0; i < 4; i++) {
        g->tiles[game_random(g) % g->tile_count]++;
    }
    if (g->frame % 8 == 0) {
        char *line = g->messages[g->message_count++ % GAME_MESSAGES];
        snprintf(line, 64, "%llu: the score is %llu", (unsigned long long)g->frame,
                 (unsigned long long)g->score);
    }
    for (unsigned i = 0; i < sweep; i++) {
        size_t page = (g->frame * sweep + i) * 7919 % rest_pages;
        for (int k = 0; k < 8; k++) {
            uint64_t word = game_random(g);
            memcpy(rest + page * RP_PAGE_BYTES + page * 64 % 4032 + (size_t)k * 8, &word, 8);
        }
    }
}

#endif
