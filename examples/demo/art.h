/* The demo's pictures, as text: one character a pixel. Give the fox a hat and save.
 */
#ifndef DEMO_ART_H
#define DEMO_ART_H

#include <reprise/stage.h>

#include <math.h>

struct Sprite {
    int width, height;
    const char *rows[16];
};

/* clang-format off */
static const struct Sprite fox_stands = {14, 16, {
    ".k........k...",
    "kok......kok..",
    "kopk....kpok..",
    "koook..koook..",
    "kooookkooook..",
    "koooooooooook.",
    "kooooooooooook",
    "kookwooookwook",
    "kookkooookkook",
    "kwwwooooowwwkk",
    ".kwwwwwkkwwwk.",
    "..kkrrrrrrkk..",
    "..kroowwwork..",
    "..koowwwwook..",
    "..kddk..kddk..",
    "..kkk....kkk..",
}};

static const struct Sprite fox_strides = {14, 16, {
    ".k........k...",
    "kok......kok..",
    "kopk....kpok..",
    "koook..koook..",
    "kooookkooook..",
    "koooooooooook.",
    "kooooooooooook",
    "kookwooookwook",
    "kookkooookkook",
    "kwwwooooowwwkk",
    ".kwwwwwkkwwwk.",
    "..kkrrrrrrkk..",
    ".kkroowwwork..",
    "kddkowwwwodkk.",
    "kkkk.kkkkkddk.",
    "..........kkk.",
}};

static const struct Sprite fox_leaps = {14, 16, {
    ".k........k...",
    "kok......kok..",
    "kopk....kpok..",
    "koook..koook..",
    "kooookkooook..",
    "koooooooooook.",
    "kookkooookkook",
    "kookwooookwook",
    "kookkooookkook",
    "kwwwooooowwwkk",
    ".kwwwwwkkwwwk.",
    "..kkrrrrrrkk..",
    "kkrroowwworkkk",
    "kddoowwwwooddk",
    ".kkkookkookkk.",
    "....kk..kk....",
}};

static const struct Sprite slug = {14, 9, {
    "..........k.k.",
    "..kkkk....kvk.",
    ".kvvvvk..kvvvk",
    "kvvuuvvkkvwkvk",
    "kvuvvuvvkvvvvk",
    "kvvvvuvvvvvvk.",
    "kvvuuvvvvvvk..",
    "kuuuuuuuuuuuk.",
    ".kkkkkkkkkkk..",
}};

static const struct Sprite frog = {14, 10, {
    "..kk....kk....",
    ".kwwk..kwwk...",
    ".kwkkkkkwkk...",
    "kgggggggggggk.",
    "kggggggggggggk",
    "kgkkkkkkkkkkgk",
    "kgyyyyyyyyyygk",
    ".kgyyyyyyyygk.",
    "kggkkyyyykkggk",
    "kkkk.kkkk.kkkk",
}};

static const struct Sprite bat_up = {16, 9, {
    "kk............kk",
    "kbbk..k..k..kbbk",
    "kbbbkkbkkbkkbbbk",
    ".kbbbbbbbbbbbbk.",
    ".kbbbwkbbkwbbbk.",
    "..kkbbbbbbbbkk..",
    "....kbwbbwbk....",
    ".....kbbbbk.....",
    "......kkkk......",
}};

static const struct Sprite bat_down = {16, 9, {
    "......k..k......",
    ".....kbkkbk.....",
    "..kkkbbbbbbkkk..",
    ".kbbbwkbbkwbbbk.",
    "kbbbbbbbbbbbbbbk",
    "kbbkkbwbbwbkkbbk",
    "kbk..kbbbbk..kbk",
    "kk....kkkk....kk",
    "................",
}};

static unsigned ink(char c)
{
    switch (c) {
    case 'k': return 0x2b1b3d;
    case 'o': return 0xf58a3c;
    case 'd': return 0xb9552f;
    case 'p': return 0xffc2a0;
    case 'w': return 0xfff4e4;
    case 'r': return 0xe23d55;
    case 'v': return 0xc779d0;
    case 'u': return 0x8a4aa8;
    case 'g': return 0x5cc46a;
    case 'y': return 0xf4f0a0;
    case 'b': return 0x5a4a9c;
    default: return 0;
    }
}
/* clang-format on */

/* Draws with the feet at x, y; `wide` and `tall` stretch the picture. */
static void sprite(rp_canvas *canvas, const struct Sprite *s, float x, float y, float wide,
                   float tall, int flip)
{
    int w = (int)((float)s->width * wide + 0.5f), h = (int)((float)s->height * tall + 0.5f);
    for (int j = 0; j < h; j++) {
        for (int i = 0; i < w; i++) {
            int column = i * s->width / w, row = j * s->height / h;
            char c = s->rows[row][flip ? s->width - 1 - column : column];
            int px = (int)floorf(x) - w / 2 + i, py = (int)floorf(y) - h + j;
            if (c != '.' && px >= 0 && py >= 0 && px < canvas->width_px && py < canvas->height_px) {
                canvas->pixels[py * canvas->stride_px + px] = ink(c);
            }
        }
    }
}

#endif
