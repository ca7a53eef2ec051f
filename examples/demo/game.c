/* A side-scroller in ordinary C: globals, function statics, malloced lists, function pointers,
 * string literals, rand(), time(), strdup, printf. Nothing in it knows about saving or reloading,
 * and yet `reprise run` rewinds it, loops it, and swaps its code while it runs.
 *
 *     left, right   run          space   jump          R   back to the start
 *
 * Try this while it runs: fall into the gap behind the first lamp, hold F6 to go back before the
 * jump, press F7, jump, press F7. Those two seconds repeat now. Change JUMP_SPEED below to 11.5f,
 * save, and watch.
 */
#include "art.h"
#include "level.h"
#include "scenery.h"

#include <math.h>
#include <reprise/draw.h>
#include <reprise/watch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- what to play with while the game runs ---- */

/* How fast the fox leaves the ground, in tiles a second. 9.0 is too weak for the wide gap behind
 * the first lamp, whatever you do; 11.5 clears it; 20 leaves the screen. */
#define JUMP_SPEED 9.0f
#define RUN_SPEED 8.0f /* tiles a second */
#define GRAVITY 28.0f  /* tiles a second, each second */
#define GRACE_S 0.05f  /* a jump still counts this long after running off an edge … */
#define EARLY_S 0.10f  /* … and when it was asked for this long before landing */

/* ---- state: all of it is found and kept without being declared anywhere ---- */

enum { TOP = VIEW_H - LEVEL_ROWS * TILE, VOICES = 8 };

struct Player {
    float x, y, vx, vy; /* centre of the feet, in tiles; y grows downwards */
    float squash, squash_speed;
    float grace_s, early_s, dead_s, stride;
    int facing, grounded;
};

struct Enemy {
    struct Enemy *next;
    const char *name;
    void (*think)(struct Enemy *e, float dt_s);
    struct Player *target;
    float x, y, vx, vy;
    float home_x, home_y;
    float timer_s, age_s;
};

struct Coin {
    struct Coin *next;
    float x, y;
};

struct Particle {
    struct Particle *next;
    float x, y, vx, vy, life_s;
    unsigned colour;
};

struct Voice {
    float phase, pitch_hz, sweep, level, decay;
    int noisy;
};

static struct Player player;
static struct Enemy *enemies;
static struct Coin *coins;
static struct Particle *particles;
static struct Voice voices[VOICES];
static float camera_x, shake_px, home_x = 3.5f, home_y = 8, banner_s;
static char *banner;
static const char *mood = "a fine evening";
static int coins_found, coins_there, deaths, won;
static time_t began;

/* ---- small helpers ---- */

static float between(float low, float high)
{
    return low + (high - low) * (float)rand() / (float)RAND_MAX;
}

static void say(const char *text)
{
    free(banner);
    banner = strdup(text);
    banner_s = 3;
}

static void burst(float x, float y, int count, float speed, unsigned colour)
{
    while (count-- > 0) {
        struct Particle *p = malloc(sizeof *p);
        if (!p) {
            return;
        }
        float angle = between(0, 6.2832f), fast = between(0.3f, 1) * speed;
        *p = (struct Particle){particles,
                               x,
                               y,
                               cosf(angle) * fast,
                               sinf(angle) * fast - speed * 0.4f,
                               between(0.25f, 0.7f),
                               colour};
        particles = p;
    }
}

/* ---- sound: a few voices, mixed inside the step ---- */

static void play(float pitch_hz, float sweep, float level_, float decay, int noisy)
{
    static int turn; /* the voice that is taken next */
    voices[turn++ % VOICES] = (struct Voice){0, pitch_hz, sweep, level_, decay, noisy};
}

static float voice_sample(struct Voice *v, float dt_s)
{
    if (v->level < 0.001f) {
        return 0;
    }
    v->phase += v->pitch_hz * dt_s;
    v->pitch_hz *= 1 + v->sweep * dt_s;
    v->level *= 1 - v->decay * dt_s;
    float turn = v->phase - floorf(v->phase);
    float wave = v->noisy ? between(-1, 1) : 4 * fabsf(turn - 0.5f) - 1;
    return wave * v->level;
}

static void mix_sound(const rp_audio *audio)
{
    for (unsigned i = 0; i < audio->frame_count; i++) {
        float sum = 0;
        for (int v = 0; v < VOICES; v++) {
            sum += voice_sample(&voices[v], 1.0f / (float)audio->rate_hz);
        }
        for (unsigned c = 0; c < audio->channel_count; c++) {
            audio->samples[i * audio->channel_count + c] = clampf(sum, -1, 1);
        }
    }
}

/* ---- enemies: one function for each kind of behaviour ---- */

static void creep(struct Enemy *e, float dt_s)
{
    float ahead = e->x + (e->vx > 0 ? 0.5f : -0.5f);
    if (solid(ahead, e->y - 0.3f) || !solid(ahead, e->y + 0.3f)) {
        e->vx = -e->vx;
    }
    e->x += e->vx * dt_s;
}

static void hop(struct Enemy *e, float dt_s)
{
    e->timer_s -= dt_s;
    e->vy += GRAVITY * 0.6f * dt_s;
    if (!solid(e->x + e->vx * dt_s, e->y - 0.3f)) {
        e->x += e->vx * dt_s;
    }
    e->y += e->vy * dt_s;
    if (e->vy > 0 && solid(e->x, e->y)) {
        e->y = floorf(e->y);
        e->vx = e->vy = 0;
        if (e->timer_s < 0) {
            float towards = e->target->x > e->x ? 1.0f : -1.0f;
            float landing = e->x + towards * 2;
            e->vx = solid(landing, e->y + 0.3f) ? towards * 2.6f : 0;
            e->vy = -7;
            e->timer_s = between(0.9f, 1.6f);
        }
    }
}

static void hover(struct Enemy *e, float dt_s)
{
    e->timer_s += dt_s;
    float dx = e->target->x - e->x;
    int hunting = fabsf(dx) < 4 && e->target->dead_s <= 0;
    float goal_x = hunting ? e->target->x : e->home_x + 2 * sinf(e->timer_s * 0.7f);
    float goal_y = hunting ? e->target->y - 1.6f : e->home_y;
    e->vx += clampf(goal_x - e->x, -2, 2) * 3 * dt_s;
    e->vy += clampf(goal_y - e->y, -2, 2) * 3 * dt_s;
    e->vx *= 1 - 1.2f * dt_s;
    e->vy *= 1 - 1.2f * dt_s;
    e->x += e->vx * dt_s;
    e->y += (e->vy + 0.8f * sinf(e->timer_s * 5)) * dt_s;
}

static void kill_player(const char *how)
{
    char *text = NULL;
    float y = fminf(player.y - 0.5f, LEVEL_ROWS - 0.5f); /* where it can be seen */
    player.dead_s = 0.9f;
    deaths++;
    mood = how;
    shake_px = 7;
    burst(player.x, y, 26, 9, 0xf58a3c);
    burst(player.x, y, 10, 6, 0xfff4e4);
    play(420, -2.6f, 0.30f, 3.2f, 0);
    play(100, 0, 0.16f, 7, 1);
    if (asprintf(&text, "%s (jump speed %.1f)", how, (double)JUMP_SPEED) > 0) {
        say(text);
    }
    free(text);
    printf("demo: %s at %.1f, death %d\n", how, (double)player.x, deaths);
}

/* True when the enemy is gone. */
static int meet(struct Enemy *e)
{
    if (player.dead_s > 0 || fabsf(player.x - e->x) > 0.7f || player.y < e->y - 0.75f ||
        player.y - 0.9f > e->y) {
        return 0;
    }
    if (player.vy > 0.5f && player.y < e->y - 0.1f) {
        player.vy = -JUMP_SPEED * 0.75f;
        player.squash_speed = 6;
        burst(e->x, e->y - 0.3f, 16, 5, e->think == hop ? 0x5cc46a : 0xc779d0);
        play(190, 5, 0.22f, 8, 0);
        play(90, 0, 0.10f, 12, 1);
        return 1;
    }
    kill_player(e->name);
    return 0;
}

static void step_enemies(float dt_s)
{
    struct Enemy **link = &enemies;
    while (*link) {
        struct Enemy *e = *link;
        e->think(e, dt_s);
        e->age_s += dt_s;
        if (meet(e)) {
            *link = e->next;
            free(e);
        } else {
            link = &e->next;
        }
    }
}

/* ---- building the level from its text ---- */

/* What an enemy is when it comes into the world; in the order of "sfb" in the map. */
static const struct Enemy kinds[] = {
    {.name = "slimed by a slug", .think = creep, .target = &player, .vx = -1.2f},
    {.name = "kissed by a frog", .think = hop, .target = &player},
    {.name = "bitten by a bat", .think = hover, .target = &player},
};

static void add_enemy(char letter, float x, float y)
{
    static const char letters[] = "sfb";
    const char *found = strchr(letters, letter);
    struct Enemy *e = found ? malloc(sizeof *e) : NULL;
    if (e) {
        *e = kinds[found - letters];
        e->next = enemies;
        e->x = e->home_x = x;
        e->y = e->home_y = y;
        enemies = e;
    }
}

static void add_coin(float x, float y)
{
    struct Coin *c = malloc(sizeof *c);
    if (c) {
        *c = (struct Coin){coins, x, y};
        coins = c;
        coins_there++;
    }
}

static void build_level(void)
{
    for (int row = 0; row < LEVEL_ROWS; row++) {
        for (int column = 0; column < LEVEL_COLUMNS; column++) {
            float x = (float)column + 0.5f, y = (float)row + 1;
            if (level[row][column] == 'o') {
                add_coin(x, y - 0.5f);
            } else {
                add_enemy(level[row][column], x, y);
            }
        }
    }
}

static void empty_level(void)
{
    while (enemies) {
        struct Enemy *next = enemies->next;
        free(enemies);
        enemies = next;
    }
    while (coins) {
        struct Coin *next = coins->next;
        free(coins);
        coins = next;
    }
    coins_there = coins_found = won = 0;
}

static void come_home(void)
{
    player = (struct Player){.x = home_x, .y = home_y, .facing = 1, .squash = 0.5f};
    play(300, 3, 0.10f, 6, 0);
}

/* ---- the player ---- */

static int body_hits(float x, float y)
{
    return solid(x - 0.32f, y - 0.001f) || solid(x + 0.32f, y - 0.001f) ||
           solid(x - 0.32f, y - 0.85f) || solid(x + 0.32f, y - 0.85f);
}

static void move_sideways(float dt_s)
{
    float x = player.x + player.vx * dt_s;
    if (!body_hits(x, player.y)) {
        player.x = x;
    } else if (!body_hits(x, floorf(player.y)) && player.y - floorf(player.y) < 0.2f) {
        player.x = x; /* the toes catch an edge that they missed by a little */
        player.y = floorf(player.y);
    } else {
        player.vx = 0;
    }
}

static void land(void)
{
    if (player.vy > 5) {
        player.squash_speed = -player.vy * 0.7f;
        burst(player.x, player.y, 7, 2.2f, 0xe9d3b0);
        play(140, -2, 0.12f, 16, 0);
    }
    player.vy = 0;
    player.grounded = 1;
    player.grace_s = GRACE_S;
}

static void move_upright(float dt_s)
{
    float y = player.y + player.vy * dt_s;
    player.grounded = 0;
    if (!body_hits(player.x, y)) {
        player.y = y;
    } else if (player.vy > 0) {
        player.y = floorf(y);
        land();
    } else {
        player.vy = 0;
    }
}

static void jump(void)
{
    player.vy = -JUMP_SPEED;
    player.squash_speed = 7;
    player.grace_s = player.early_s = 0;
    burst(player.x, player.y, 8, 2.5f, 0xe9d3b0);
    play(260, 6.5f, 0.16f, 7, 0);
}

static void step_player(const rp_stage *stage, float dt_s)
{
    int push = rp_down(stage, RP_KEY_RIGHT) - rp_down(stage, RP_KEY_LEFT);
    float rate = push ? 34.0f : 44.0f, goal = (float)push * RUN_SPEED;
    player.vx += clampf(goal - player.vx, -rate * dt_s, rate * dt_s);
    player.facing = push ? push : player.facing;
    player.early_s = rp_pressed(stage, RP_KEY_SPACE) ? EARLY_S : player.early_s - dt_s;
    player.grace_s -= dt_s;
    if (player.early_s > 0 && player.grace_s > 0) {
        jump();
    }
    player.vy = clampf(player.vy + GRAVITY * dt_s, -40, 18);
    move_sideways(dt_s);
    move_upright(dt_s);
    player.stride += fabsf(player.vx) * dt_s;
    player.squash_speed += (-260 * player.squash - 17 * player.squash_speed) * dt_s;
    player.squash = clampf(player.squash + player.squash_speed * dt_s, -0.45f, 0.45f);
    if (player.y > LEVEL_ROWS + 1.5f) {
        kill_player("missed the edge");
    }
}

static void step_coins(void)
{
    struct Coin **link = &coins;
    while (*link) {
        struct Coin *c = *link;
        if (fabsf(c->x - player.x) < 0.7f && fabsf(c->y - (player.y - 0.5f)) < 0.8f) {
            coins_found++;
            burst(c->x, c->y, 9, 3.5f, 0xffe27a);
            play(990, 0, 0.13f, 9, 0);
            play(1480, 0, 0.10f, 5, 0);
            *link = c->next;
            free(c);
        } else {
            link = &c->next;
        }
    }
}

static void step_particles(float dt_s)
{
    struct Particle **link = &particles;
    while (*link) {
        struct Particle *p = *link;
        p->life_s -= dt_s;
        p->vy += 14 * dt_s;
        p->x += p->vx * dt_s;
        p->y += p->vy * dt_s;
        if (p->life_s < 0) {
            *link = p->next;
            free(p);
        } else {
            link = &p->next;
        }
    }
}

static void step_places(void)
{
    int column = (int)player.x, row = (int)(player.y - 0.5f);
    if (column < 0 || column >= LEVEL_COLUMNS || row < 0 || row >= LEVEL_ROWS) {
        return;
    }
    float x = (float)column + 0.5f;
    if (level[row][column] == 'P' && home_x < x) {
        home_x = x;
        home_y = (float)row + 1;
        play(520, 0, 0.12f, 3, 0);
        play(780, 0, 0.10f, 3, 0);
        burst(x, home_y - 2, 14, 3, 0xffe9a8);
    } else if (level[row][column] == 'G' && !won) {
        won = 1;
        mood = "home before dark";
        say("home! press R to run again");
        burst(x, home_y - 2, 60, 8, 0xffe27a);
        printf("demo: home with %d of %d coins after %ld s\n", coins_found, coins_there,
               (long)(time(NULL) - began));
    }
}

static void step_camera(float dt_s)
{
    float goal = player.x * TILE - VIEW_W * 0.42f + player.vx * 5;
    camera_x += (goal - camera_x) * clampf(4 * dt_s, 0, 1);
    camera_x = clampf(camera_x, 0, (float)(LEVEL_COLUMNS * TILE - VIEW_W));
    shake_px *= 1 - 7 * dt_s;
    banner_s -= dt_s;
}

/* In a loop the fox's path is drawn: this build's in colour, the build's before in grey. */
static void watch_player(void)
{
    rp_watch_origin(-floorf(camera_x), TOP);
    if (player.dead_s <= 0) {
        rp_watch_point("fox", player.x * TILE, player.y * TILE - 7);
        rp_watch("fox.vy", player.vy);
    }
}

/* ---- the picture: drawn from the state alone, changes nothing ---- */

static void draw_level(rp_canvas *canvas, float left, float top, float seconds)
{
    int first = (int)(left / TILE), last = first + VIEW_W / TILE + 2;
    for (int column = first > 1 ? first - 1 : 0; column < last && column < LEVEL_COLUMNS;
         column++) {
        for (int row = 0; row < LEVEL_ROWS; row++) {
            float x = (float)(column * TILE) - left, y = (float)(row * TILE) + top;
            switch (level[row][column]) {
            case '#':
                draw_ground(canvas, column, row, x, y);
                break;
            case '=':
                draw_stone(canvas, column, x, y);
                break;
            case 'P':
                draw_lamp(canvas, x, y, (float)column < home_x);
                break;
            case 'G':
                draw_flag(canvas, x, y, seconds);
                break;
            default:
                break;
            }
        }
    }
}

static void draw_player(rp_canvas *canvas, float x, float y, float seconds)
{
    float back = -(float)player.facing;
    const struct Sprite *pose = &fox_stands;
    if (player.dead_s > 0) {
        return;
    }
    if (!player.grounded) {
        pose = &fox_leaps;
    } else if (fabsf(player.vx) > 0.5f && (int)(player.stride * 1.6f) % 2) {
        pose = &fox_strides;
    }
    for (int i = 1; i <= 5; i++) { /* the tail lags behind */
        float sway = sinf(seconds * 5 + (float)i * 0.6f) * 0.5f - player.vy * 0.18f;
        rp_disc(canvas, x + back * (3 + (float)i * 2.4f), y - 4 + (float)i * (sway - 0.5f),
                i == 5 ? 1.6f : 2.9f, i < 4 ? 0xf58a3c : 0xfff4e4);
    }
    float bob = player.grounded ? fabsf(sinf(player.stride * 3.2f)) * 1.5f : 0;
    sprite(canvas, pose, x, y - bob + 1, 1 - player.squash * 0.8f, 1 + player.squash,
           player.facing < 0);
}

static void draw_coin(rp_canvas *canvas, float x, float y, float turn)
{
    for (float j = -5; j < 5; j++) {
        float half = sqrtf(29 - (j + 0.5f) * (j + 0.5f)) * (0.15f + turn * 0.85f);
        rp_fill(canvas, x - half, y + j, 2 * half, 1, j > 2 ? 0xd9922a : 0xffc93c);
        rp_fill(canvas, x + half * 0.4f, y + j, half * 0.6f, 1, 0xd9922a);
        if (j > -4 && j < 2) {
            rp_fill(canvas, x - half * 0.5f, y + j, half * 0.35f, 1, 0xfff2b0);
        }
    }
}

static void draw_things(rp_canvas *canvas, float left, float top, float seconds)
{
    for (const struct Coin *c = coins; c; c = c->next) {
        draw_coin(canvas, c->x * TILE - left, c->y * TILE + top + sinf(seconds * 3 + c->x) * 1.5f,
                  fabsf(cosf(seconds * 4 + c->x * 0.5f)));
    }
    for (const struct Enemy *e = enemies; e; e = e->next) {
        const struct Sprite *s = e->think == creep ? &slug : &frog;
        float breath = 0.08f * sinf(e->age_s * 7);
        if (e->think == hover) {
            s = fmodf(e->timer_s * 4, 1) < 0.5f ? &bat_up : &bat_down;
        } else if (e->think == hop) {
            breath = clampf(-e->vy * 0.04f, -0.2f, 0.3f);
        }
        int flip = e->think == hop ? e->target->x < e->x : e->vx < 0;
        sprite(canvas, s, e->x * TILE - left, e->y * TILE + top + 1, 1 - breath, 1 + breath, flip);
    }
    for (const struct Particle *p = particles; p; p = p->next) {
        float size = p->life_s > 0.3f ? 2 : 1;
        rp_fill(canvas, p->x * TILE - left, p->y * TILE + top, size, size, p->colour);
    }
}

static void shadowed(rp_canvas *canvas, float x, float y, unsigned colour, const char *text)
{
    rp_text(canvas, x + 1, y + 1, 1, 0x2b1b3d, text);
    rp_text(canvas, x, y, 1, colour, text);
}

static void draw_hud(rp_canvas *canvas)
{
    char text[64];
    rp_disc(canvas, 10, 10, 5, 0xb9762a);
    rp_disc(canvas, 10, 10, 4, 0xffc93c);
    rp_fill(canvas, 8, 8, 1, 4, 0xfff2b0);
    snprintf(text, sizeof text, "%d/%d", coins_found, coins_there);
    shadowed(canvas, 19, 7, 0xfff4e4, text);
    snprintf(text, sizeof text, "%s - falls %d", mood, deaths);
    shadowed(canvas, VIEW_W - 8 - (float)rp_text_width(1, text), 7, 0xffd9b8, text);
    if (banner && banner_s > 0) {
        float width = (float)rp_text_width(1, banner) + 16, x = (VIEW_W - width) / 2;
        int alpha = (int)(clampf(banner_s * 2, 0, 1) * 190);
        rp_fill_blend(canvas, x, 30, width, 17, 0x2b1b3d, alpha);
        rp_fill_blend(canvas, x, 46, width, 1, 0xf58a3c, alpha);
        if (alpha > 60) {
            rp_text(canvas, x + 8, 35, 1, 0xfff4e4, banner);
        }
    }
}

/* ---- what reprise calls ---- */

void rp_module_start(rp_stage *stage)
{
    rp_stage_set_size(stage, VIEW_W, VIEW_H);
    rp_stage_set_rate(stage, 60);
    rp_stage_set_title(stage, "Fox at dusk");
    srand((unsigned)time(NULL));
    began = time(NULL);
    build_level();
    come_home();
    say("arrows run, space jumps");
}

void rp_module_step(rp_stage *stage)
{
    float dt_s = stage->dt_s;
    if (rp_pressed(stage, RP_KEY_R)) {
        home_x = 3.5f;
        home_y = 8;
        empty_level();
        build_level();
        come_home();
    }
    if (player.dead_s > 0) {
        player.dead_s -= dt_s;
        if (player.dead_s <= 0) {
            come_home();
        }
    } else {
        step_player(stage, dt_s);
        step_coins();
        step_places();
    }
    step_enemies(dt_s);
    step_particles(dt_s);
    step_camera(dt_s);
    watch_player();
    mix_sound(stage->audio);
}

void rp_module_render(rp_stage *stage)
{
    float seconds = (float)stage->time_s;
    float left = floorf(camera_x + shake_px * sinf(seconds * 71));
    float top = TOP + floorf(shake_px * 0.6f * cosf(seconds * 83));
    draw_sky(stage->canvas, camera_x);
    draw_clouds(stage->canvas, camera_x, seconds);
    draw_hills(stage->canvas, camera_x);
    draw_level(stage->canvas, left, top, seconds);
    draw_things(stage->canvas, left, top, seconds);
    draw_player(stage->canvas, player.x * TILE - left, player.y * TILE + top, seconds);
    draw_hud(stage->canvas);
}
