/* For the check of threads: the world is held while a collect goes on, so that a thread that writes
 * in it then is named, and its write falls into the next frame.
 */
#include "history/world_private.h"

void rp_world_check_threads(rp_world *world, rp_os_intruder_fn *tell, void *context)
{
    world->tell_intruder = tell;
    world->intruder_context = context;
}

/* All but scratch, which a collect wipes. */
static size_t add_area(const rp_world *world, rp_os_extent *areas, size_t count, uint8_t *start,
                       uint8_t *end)
{
    uint8_t *gap = world->scratch_start, *gap_end = world->scratch_end;
    if (gap < gap_end && gap < end && gap_end > start) {
        if (start < gap) {
            areas[count++] = (rp_os_extent){start, (size_t)(gap - start)};
        }
        start = gap_end;
    }
    if (start < end) {
        areas[count++] = (rp_os_extent){start, (size_t)(end - start)};
    }
    return count;
}

rp_status world_freeze(rp_world *world)
{
    if (!world->tell_intruder) {
        return RP_OK;
    }
    size_t count = 0;
    rp_region_span spans[RP_REGION_SPANS];
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (size_t i = 0; i < RP_REGION_SPANS; i++) {
        count = add_area(world, world->held_areas, count, spans[i].start,
                         spans[i].start + spans[i].size_bytes);
    }
    for (size_t i = 0; i < world->range_count; i++) {
        world_area middle = world_range_middle(&world->ranges[i]);
        count = add_area(world, world->held_areas, count, middle.start,
                         middle.start + middle.size_bytes);
    }
    return rp_os_freeze(&(rp_os_hold){.areas = world->held_areas,
                                      .area_count = count,
                                      .pieces = world->held_pieces,
                                      .piece_capacity = RP_COUNT_OF(world->held_pieces),
                                      .tell = world->tell_intruder,
                                      .context = world->intruder_context});
}

void world_thaw(const rp_world *world)
{
    if (world->tell_intruder) {
        rp_os_thaw();
    }
}
