/* The demo's backdrop: sky, clouds, hills, tiles. Drawn from the camera's place and the time alone.
 * Functions in a header, so that the game stays one `cc game.c`.
 */
#ifndef DEMO_SCENERY_H
#define DEMO_SCENERY_H

#include "level.h"

#include <reprise/draw.h>

#define SKY_TOP 0x2b2d6e
#define SKY_MIDDLE 0xd4668a
#define SKY_LOW 0xffc27a

enum { VIEW_W = 320, VIEW_H = 180 };

static float clampf(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}

static unsigned mix(unsigned a, unsigned b, float t)
{
    unsigned out = 0;
    for (int shift = 0; shift < 24; shift += 8) {
        float from = (float)(a >> shift & 255), to = (float)(b >> shift & 255);
        out |= (unsigned)(from + (to - from) * clampf(t, 0, 1)) << shift;
    }
    return out;
}

static unsigned hash(int x, int y)
{
    unsigned h = (unsigned)x * 374761393u + (unsigned)y * 668265263u;
    h = (h ^ (h >> 13)) * 1274126177u;
    return h ^ (h >> 16);
}

/* A disc that shines: four discs over each other, each a little brighter towards the middle. */
static void glow(rp_canvas *canvas, float x, float y, float radius, unsigned colour, int alpha)
{
    for (float r = radius; r > radius * 0.3f; r -= radius * 0.2f) {
        for (float j = -floorf(r); j < r; j++) {
            float half = sqrtf(r * r - j * j);
            rp_fill_blend(canvas, x - half, y + j, 2 * half, 1, colour, alpha);
        }
    }
}

static void draw_sky(rp_canvas *canvas, float camera_x)
{
    for (int y = 0; y < VIEW_H; y++) {
        float t = (float)y / 130;
        unsigned colour = t < 0.55f ? mix(SKY_TOP, SKY_MIDDLE, t / 0.55f)
                                    : mix(SKY_MIDDLE, SKY_LOW, (t - 0.55f) / 0.45f);
        rp_fill(canvas, 0, (float)y, VIEW_W, 1, colour);
    }
    for (int i = 0; i < 60; i++) {
        float x = (float)(hash(i, 1) % VIEW_W), y = (float)(hash(i, 2) % 70);
        float bright = (float)(hash(i, 3) % 120 + 60) - y * 1.6f;
        rp_fill_blend(canvas, x, y, 1, 1, 0xffffff, (int)clampf(bright, 0, 255));
    }
    float sun_x = 226 - camera_x * 0.02f;
    glow(canvas, sun_x, 84, 48, 0xffe0a0, 26);
    rp_disc(canvas, sun_x, 84, 21, 0xffe9b8);
    rp_disc(canvas, sun_x, 84, 18, 0xfff6dc);
}

static void draw_clouds(rp_canvas *canvas, float camera_x, float seconds)
{
    for (int i = 0; i < 7; i++) {
        float span = VIEW_W + 120, speed = 0.06f + (float)(hash(i, 7) % 5) * 0.012f;
        float x = fmodf((float)(hash(i, 5) % 440) - camera_x * speed + seconds * 3, span);
        x = (x < 0 ? x + span : x) - 60;
        float y = 22 + (float)(hash(i, 6) % 50), size = 5 + (float)(hash(i, 8) % 5);
        unsigned colour = mix(0xf3a6b4, 0xffd9b8, (y - 20) / 55);
        for (int k = -2; k <= 2; k++) {
            float r = size * (1 - 0.16f * (float)(k * k));
            rp_disc(canvas, x + (float)k * size * 1.1f, y - r * 0.5f, r, colour);
        }
        rp_fill(canvas, x - size * 2.6f, y, size * 5.2f, 2, mix(colour, 0xc06a94, 0.35f));
    }
}

static void draw_hills(rp_canvas *canvas, float camera_x)
{
    static const struct {
        float drift, base, tall, width;
        unsigned top, low;
    } ranges[] = {{0.10f, 104, 26, 0.021f, 0xa65f95, 0xe09a90},
                  {0.22f, 118, 20, 0.028f, 0x6d4588, 0xb0688c},
                  {0.40f, 133, 13, 0.041f, 0x3b2f66, 0x6d4580}};
    for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
        for (int x = 0; x < VIEW_W; x++) {
            float u = ((float)x + camera_x * ranges[r].drift) * ranges[r].width + (float)r * 9;
            float y =
                ranges[r].base - ranges[r].tall * (0.6f * sinf(u) + 0.4f * sinf(u * 2.3f + 1));
            if (r == 2) { /* the nearest range is a wood */
                y -= 9 * (1 - fabsf(fmodf(u * 6, 2) - 1));
            }
            rp_fill(canvas, (float)x, y, 1, 2, ranges[r].top);
            for (int j = 2; j < 90; j += 6) {
                rp_fill(canvas, (float)x, y + (float)j, 1, 6,
                        mix(ranges[r].top, ranges[r].low, (float)j / 60));
            }
        }
    }
    for (int y = 130; y < VIEW_H; y++) { /* mist in the valleys and gaps */
        rp_fill_blend(canvas, 0, (float)y, VIEW_W, 1, 0x1d1640, (y - 130) * 4);
    }
}

static void draw_grass(rp_canvas *canvas, int column, float x, float y)
{
    rp_fill(canvas, x, y, TILE, 5, 0x4fa35a);
    rp_fill(canvas, x, y, TILE, 2, 0x9fdc6c);
    for (int i = 0; i < TILE; i += 2) {
        unsigned h = hash(column * 8 + i, 77);
        rp_fill(canvas, x + (float)i, y + 5, 2, (float)(h % 3), 0x4fa35a);
        rp_fill(canvas, x + (float)i, y - (float)(h / 8 % 3), 1, 2, 0x7fc862);
    }
    if (hash(column, 9) % 4 == 0) {
        unsigned petals = hash(column, 10) & 1 ? 0xffe27a : 0xff9ac0;
        rp_fill(canvas, x + 6, y - 4, 1, 4, 0x4fa35a);
        rp_fill(canvas, x + 5, y - 6, 3, 3, petals);
        rp_fill(canvas, x + 6, y - 5, 1, 1, 0xfff4e4);
    }
}

static void draw_ground(rp_canvas *canvas, int column, int row, float x, float y)
{
    int depth = 0;
    while (depth < 3 && solid((float)column, (float)(row - depth - 1))) {
        depth++;
    }
    unsigned earth = mix(0x96604a, 0x4a2d4a, (float)depth / 3);
    rp_fill(canvas, x, y, TILE, TILE, earth);
    for (int i = 0; i < 5; i++) {
        unsigned h = hash(column * 5 + i, row);
        rp_fill(canvas, x + (float)(h % 14), y + (float)(h / 16 % 14), 2 + (float)(h / 256 % 2), 2,
                mix(earth, h & 1 ? 0x2b1b3d : 0xd9a070, 0.28f));
    }
    if (!solid((float)column - 1, (float)row)) {
        rp_fill(canvas, x, y, 2, TILE, mix(earth, 0xffc9a0, 0.35f));
    }
    if (!solid((float)column + 1, (float)row)) {
        rp_fill(canvas, x + TILE - 2, y, 2, TILE, mix(earth, 0x2b1b3d, 0.4f));
    }
    if (!depth) {
        draw_grass(canvas, column, x, y);
    }
}

static void draw_stone(rp_canvas *canvas, int column, float x, float y)
{
    rp_fill(canvas, x, y, TILE, 13, 0x7d7399);
    rp_fill(canvas, x, y, TILE, 2, 0xc4bcd8);
    rp_fill(canvas, x, y + 11, TILE, 2, 0x4a4270);
    rp_fill(canvas, x + (float)(hash(column, 4) % 6 + 4), y + 2, 1, 9, 0x5f5684);
    rp_fill(canvas, x + 15, y + 2, 1, 9, 0x5f5684);
}

static void draw_lamp(rp_canvas *canvas, float x, float y, int lit)
{
    rp_fill(canvas, x + 7, y - 16, 2, 32, 0x3b2f50);
    rp_fill(canvas, x + 5, y + 14, 6, 2, 0x3b2f50);
    if (lit) {
        glow(canvas, x + 8, y - 20, 24, 0xffe9a8, 34);
    }
    rp_fill(canvas, x + 4, y - 25, 8, 9, 0x3b2f50);
    rp_fill(canvas, x + 5, y - 23, 6, 6, lit ? 0xfff0b0 : 0x6d6390);
}

static void draw_flag(rp_canvas *canvas, float x, float y, float seconds)
{
    rp_fill(canvas, x + 3, y - 40, 2, 56, 0xe8dcc8);
    rp_disc(canvas, x + 4, y - 41, 3, 0xffe27a);
    for (int i = 0; i < 22; i++) {
        float wave = sinf((float)i * 0.35f - seconds * 6) * (float)i * 0.12f;
        rp_fill(canvas, x + 5 + (float)i, y - 38 + wave, 1, 14, i / 5 % 2 ? 0xfff4e4 : 0xe23d55);
    }
}

#endif
