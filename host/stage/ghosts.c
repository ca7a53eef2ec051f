/* Ghosts: the paths that watched points take over a loop, in a window's picture. The earlier
 * build's is a dotted line in grey, this build's a whole one in colour with a ring where it is now.
 */
#include "stage/layout.h"

#include <math.h>
#include <reprise/draw.h>

enum { GHOST_EARLIER = 0xB9C0CC, GHOST_NOW = 0xF0D442, GHOST_RIM = 0x10131A, JUMP_PX = 48 };

uint32_t stage_ghost_colour(const stage_ghost *ghost)
{
    return ghost->earlier ? GHOST_EARLIER : GHOST_NOW;
}

/* Points that are far apart are no path: what is watched was put elsewhere. */
bool stage_ghost_joined(const stage_ghost *ghost, int i)
{
    return i > 0 && isfinite(ghost->x[i]) && isfinite(ghost->x[i - 1]) &&
           fabsf(ghost->x[i] - ghost->x[i - 1]) < JUMP_PX &&
           fabsf(ghost->y[i] - ghost->y[i - 1]) < JUMP_PX;
}

typedef struct pen {
    rp_canvas *canvas;
    stage_rect shown;
    float scale;
} pen;

static bool place(const pen *p, const stage_ghost *ghost, int i, float *x, float *y)
{
    *x = (float)p->shown.x + (ghost->x[i] + 0.5f) * p->scale;
    *y = (float)p->shown.y + (ghost->y[i] + 0.5f) * p->scale;
    return isfinite(ghost->x[i]) && *x >= (float)p->shown.x && *y >= (float)p->shown.y &&
           *x < (float)(p->shown.x + p->shown.width) && *y < (float)(p->shown.y + p->shown.height);
}

static void dots(const pen *p, const stage_ghost *ghost, float radius, uint32_t colour)
{
    float x, y;
    for (int i = 0; i < ghost->count; i += ghost->earlier ? 2 : 1) {
        if (place(p, ghost, i, &x, &y)) {
            rp_disc(p->canvas, x, y, radius, colour);
        }
    }
}

/* As discs close to each other: a line of that width. */
static void path(const pen *p, const stage_ghost *ghost, float radius, uint32_t colour)
{
    float x, y, before_x, before_y;
    for (int i = 1; i < ghost->count; i++) {
        if (!stage_ghost_joined(ghost, i) || !place(p, ghost, i, &x, &y) ||
            !place(p, ghost, i - 1, &before_x, &before_y)) {
            continue;
        }
        float most = fabsf(x - before_x) + fabsf(y - before_y);
        int steps = (int)(most / radius) + 1;
        for (int k = 0; k <= steps; k++) {
            float part = (float)k / (float)steps;
            rp_disc(p->canvas, before_x + (x - before_x) * part, before_y + (y - before_y) * part,
                    radius, colour);
        }
    }
}

void stage_ghosts_draw(rp_canvas *canvas, const stage_view *view, stage_rect shown)
{
    pen p = {canvas, shown, view->width_px > 0 ? (float)shown.width / (float)view->width_px : 1};
    float thin = p.scale * 0.35f > 1 ? p.scale * 0.35f : 1;
    for (int i = 0; i < view->ghost_count && i < STAGE_GHOST_MAX; i++) {
        const stage_ghost *ghost = &view->ghosts[i];
        uint32_t colour = stage_ghost_colour(ghost);
        float x, y;
        if (ghost->earlier) {
            dots(&p, ghost, thin * 1.6f + 1, GHOST_RIM);
            dots(&p, ghost, thin * 1.6f, colour);
            continue;
        }
        path(&p, ghost, thin + 1, GHOST_RIM);
        path(&p, ghost, thin, colour);
        if (ghost->here >= 0 && ghost->here < ghost->count &&
            place(&p, ghost, ghost->here, &x, &y)) {
            rp_disc(canvas, x, y, thin * 3 + 1, GHOST_RIM);
            rp_disc(canvas, x, y, thin * 3, colour);
            rp_disc(canvas, x, y, thin * 1.5f, GHOST_RIM);
        }
    }
}
