/* A module with a world of BENCH_WORLD_MIB mebibytes, all of it in use; a frame writes
 * BENCH_FRAME_PAGES pages of it (256), which go round. */
#include <reprise/draw.h>
#include <reprise/stage.h>
#include <stdlib.h>
#include <string.h>

#ifndef VARIANT
#define VARIANT 0
#endif

const int bench_variant = VARIANT; /* so that each build has a content of its own */
static unsigned char *world;
static size_t world_bytes, frame_pages;

void rp_module_start(rp_stage *stage)
{
    (void)stage;
    const char *wanted = getenv("BENCH_WORLD_MIB"), *written = getenv("BENCH_FRAME_PAGES");
    frame_pages = (size_t)(written ? atoi(written) : 256);
    world_bytes = (size_t)(wanted ? atoi(wanted) : 4) << 20;
    world = malloc(world_bytes);
    for (size_t i = 0; world && i < world_bytes; i += 64) {
        world[i] = (unsigned char)(i * 2654435761u >> 24) | 1;
    }
}

void rp_module_step(rp_stage *stage)
{
    size_t pages = world_bytes / 4096;
    for (size_t i = 0; i < frame_pages && world; i++) {
        world[(stage->frame * frame_pages + i) % pages * 4096]++;
    }
    rp_clear(stage->canvas, (unsigned)stage->frame * 2654435761u >> 8);
}
