/* A ball, some coins. Arrows steer. Run it, play a little, then change any line and save.
 *
 * Everything below is ordinary C: globals, a list from malloc, rand(). Nothing is registered, and
 * all of it is kept when you rewind, loop or edit the code.
 */
#include <reprise/draw.h>
#include <stdio.h>
#include <stdlib.h>

#define PUSH 900.0f /* how hard the arrows push; try 300, or 3000 */
#define DRAG 2.0f   /* how quickly the ball slows down */

struct Coin {
    struct Coin *next;
    float x, y;
};

static struct Coin *coins;
static float ball_x = 160, ball_y = 90, speed_x, speed_y;
static int score;

static void add_coin(rp_canvas *canvas)
{
    struct Coin *coin = malloc(sizeof *coin);
    if (coin) {
        coin->x = 12 + (float)(rand() % (canvas->width_px - 24));
        coin->y = 24 + (float)(rand() % (canvas->height_px - 36));
        coin->next = coins;
        coins = coin;
    }
}

void rp_module_start(rp_stage *stage)
{
    rp_stage_set_title(stage, "my game");
    for (int i = 0; i < 8; i++) {
        add_coin(stage->canvas);
    }
}

static void move_ball(const rp_stage *stage)
{
    float dt = stage->dt_s, drag = 1 - DRAG * dt;
    int push_x = rp_down(stage, RP_KEY_RIGHT) - rp_down(stage, RP_KEY_LEFT);
    int push_y = rp_down(stage, RP_KEY_DOWN) - rp_down(stage, RP_KEY_UP);
    speed_x = (speed_x + (float)push_x * PUSH * dt) * drag;
    speed_y = (speed_y + (float)push_y * PUSH * dt) * drag;
    ball_x += speed_x * dt;
    ball_y += speed_y * dt;
    if (ball_x < 8 || ball_x > (float)stage->canvas->width_px - 8) {
        speed_x = -speed_x;
        ball_x += 2 * speed_x * dt;
    }
    if (ball_y < 8 || ball_y > (float)stage->canvas->height_px - 8) {
        speed_y = -speed_y;
        ball_y += 2 * speed_y * dt;
    }
}

static void take_coins(rp_canvas *canvas)
{
    for (struct Coin **link = &coins; *link;) {
        struct Coin *coin = *link;
        float dx = coin->x - ball_x, dy = coin->y - ball_y;
        if (dx * dx + dy * dy < 12 * 12) {
            *link = coin->next;
            free(coin);
            score++;
            add_coin(canvas);
        } else {
            link = &coin->next;
        }
    }
}

void rp_module_step(rp_stage *stage)
{
    char text[32];
    move_ball(stage);
    take_coins(stage->canvas);
    rp_clear(stage->canvas, 0x18202c);
    for (struct Coin *coin = coins; coin; coin = coin->next) {
        rp_disc(stage->canvas, coin->x, coin->y, 4, 0xffc93c);
    }
    rp_disc(stage->canvas, ball_x, ball_y, 8, 0xf2545b);
    rp_disc(stage->canvas, ball_x - 2, ball_y - 3, 2, 0xffd0c8);
    snprintf(text, sizeof text, "coins %d", score);
    rp_text(stage->canvas, 8, 8, 1, 0xe8ecf4, text);
}
