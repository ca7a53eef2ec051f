/* Chipmunk, as Debian ships it, as a module: a pile of boxes, balls and chained pairs. One body is
 * added every few frames, and the oldest is removed once there are many.
 */
#include <chipmunk/chipmunk.h>
#include <reprise/draw.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODIES = 60, FRAMES_BETWEEN = 5 };

typedef struct thing {
    cpBody *body;
    cpShape *shape;
    cpConstraint *joint; /* to the thing before it; null: none */
    unsigned colour;
    int round;
} thing;

static cpSpace *space;
static thing things[BODIES]; /* a ring: the oldest is at `first` */
static int first, count;
static unsigned random_state = 12345;

static float random_between(float low, float high)
{
    random_state = random_state * 1664525u + 1013904223u;
    return low + (high - low) * (float)(random_state >> 8) / 16777216.0f;
}

static void add_wall(float x0, float y0, float x1, float y1)
{
    cpShape *wall = cpSegmentShapeNew(cpSpaceGetStaticBody(space), cpv(x0, y0), cpv(x1, y1), 3);
    cpShapeSetFriction(wall, 0.8);
    cpShapeSetElasticity(wall, 0.2);
    cpSpaceAddShape(space, wall);
}

static void drop_joint(thing *t)
{
    if (t->joint) {
        cpSpaceRemoveConstraint(space, t->joint);
        cpConstraintFree(t->joint);
        t->joint = NULL;
    }
}

static void remove_oldest(void)
{
    drop_joint(&things[first]);
    drop_joint(&things[(first + 1) % BODIES]); /* it may hang on the oldest */
    cpSpaceRemoveShape(space, things[first].shape);
    cpSpaceRemoveBody(space, things[first].body);
    cpShapeFree(things[first].shape);
    cpBodyFree(things[first].body);
    first = (first + 1) % BODIES;
    count--;
}

static void add_thing(uint64_t frame)
{
    if (count == BODIES) {
        remove_oldest();
    }
    thing *t = &things[(first + count) % BODIES];
    const thing *before = &things[(first + count + BODIES - 1) % BODIES];
    double size = random_between(6, 11);
    *t = (thing){.round = frame % 2 != 0, .colour = frame % 3 ? 0xf2a03d : 0x5bc0eb};
    double moment =
        t->round ? cpMomentForCircle(1, 0, size, cpvzero) : cpMomentForBox(1, 2 * size, 2 * size);
    t->body = cpSpaceAddBody(space, cpBodyNew(1, moment));
    cpBodySetPosition(t->body, cpv(random_between(60, 260), -20));
    cpBodySetAngle(t->body, random_between(0, 3));
    t->shape = t->round ? cpCircleShapeNew(t->body, size, cpvzero)
                        : cpBoxShapeNew(t->body, 2 * size, 2 * size, 0);
    cpShapeSetFriction(t->shape, 0.6);
    cpShapeSetElasticity(t->shape, 0.3);
    cpSpaceAddShape(space, t->shape);
    if (count && frame % 4 == 0) {
        t->joint = cpSlideJointNew(before->body, t->body, cpvzero, cpvzero, 10, 45);
        cpSpaceAddConstraint(space, t->joint);
    }
    count++;
}

void rp_module_start(rp_stage *stage)
{
    rp_stage_set_title(stage, "Chipmunk");
    space = cpSpaceNew();
    cpSpaceSetGravity(space, cpv(0, 300));
    cpSpaceSetIterations(space, 10);
    cpSpaceSetSleepTimeThreshold(space, 0.5);
    add_wall(20, 172, 300, 172);
    add_wall(20, 172, 4, 60);
    add_wall(300, 172, 316, 60);
}

static void draw_box(rp_canvas *canvas, const thing *t)
{
    int corners = cpPolyShapeGetCount(t->shape);
    for (int i = 0; i < corners; i++) {
        cpVect a = cpBodyLocalToWorld(t->body, cpPolyShapeGetVert(t->shape, i));
        cpVect b = cpBodyLocalToWorld(t->body, cpPolyShapeGetVert(t->shape, (i + 1) % corners));
        rp_line(canvas, (float)a.x, (float)a.y, (float)b.x, (float)b.y, t->colour);
    }
}

static void draw_thing(rp_canvas *canvas, const thing *t)
{
    cpVect at = cpBodyGetPosition(t->body);
    if (t->round) {
        double radius = cpCircleShapeGetRadius(t->shape);
        cpVect rim = cpvadd(at, cpvmult(cpBodyGetRotation(t->body), radius));
        rp_disc(canvas, (float)at.x, (float)at.y, (float)radius, t->colour);
        rp_line(canvas, (float)at.x, (float)at.y, (float)rim.x, (float)rim.y, 0x182030);
    } else {
        draw_box(canvas, t);
    }
    if (t->joint) {
        cpVect other = cpBodyGetPosition(cpConstraintGetBodyA(t->joint));
        rp_line(canvas, (float)at.x, (float)at.y, (float)other.x, (float)other.y, 0xffffff);
    }
}

void rp_module_step(rp_stage *stage)
{
    char text[32];
    if (stage->frame % FRAMES_BETWEEN == 0) {
        add_thing(stage->frame / FRAMES_BETWEEN);
    }
    double push = rp_down(stage, RP_KEY_RIGHT) - rp_down(stage, RP_KEY_LEFT);
    cpSpaceSetGravity(space, cpv(push * 200, 300));
    cpSpaceStep(space, stage->dt_s);
    rp_clear(stage->canvas, 0x182030);
    rp_fill(stage->canvas, 20, 171, 280, 4, 0x8090a0);
    rp_line(stage->canvas, 20, 172, 4, 60, 0x8090a0);
    rp_line(stage->canvas, 300, 172, 316, 60, 0x8090a0);
    for (int i = 0; i < count; i++) {
        draw_thing(stage->canvas, &things[(first + i) % BODIES]);
    }
    snprintf(text, sizeof text, "bodies %d", count);
    rp_text(stage->canvas, 4, 4, 1, 0xffffff, text);
}
