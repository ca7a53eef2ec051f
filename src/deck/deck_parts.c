/* What a take needs to know of a deck. See deck_parts.h. */
#include "deck/deck_parts.h"

#include "base/assert.h"
#include "deck/deck_private.h"

rp_status rp_deck_parts_check(const rp_deck *deck)
{
    RP_ASSERT(!deck->in_frame);
    return deck_check_whole(deck, "take");
}

rp_log *rp_deck_parts_log(const rp_deck *deck)
{
    return deck->log;
}

bool rp_deck_parts_loop(const rp_deck *deck, uint64_t *from, uint64_t *to)
{
    *from = deck->loop.from;
    *to = deck->loop.to;
    return rp_loop_is_set(&deck->loop);
}

uint32_t rp_deck_parts_build_count(const rp_deck *deck)
{
    return deck->module.count;
}

const char *rp_deck_parts_module(const rp_deck *deck)
{
    return deck->module.name;
}

void rp_deck_parts_build(const rp_deck *deck, uint32_t number, rp_deck_build_part *part)
{
    const deck_build *build = deck_build_at(deck, number);
    *part = (rp_deck_build_part){.object = &build->object,
                                 .tls_address = (uint64_t)(uintptr_t)build->tls};
    rp_os_memfile_path(build->file, part->path);
}

rp_status rp_deck_parts_ranges(const rp_deck *deck, rp_deck_range_fn *each, void *context)
{
    const rp_world_range *own;
    size_t count = rp_world_ranges(deck->world, &own);
    rp_status status = RP_OK;
    count = deck->module.current ? deck->module.own_ranges : count;
    for (size_t i = 0; i < count && status == RP_OK; i++) {
        status = each(context, 0, &own[i]);
    }
    for (uint32_t number = 1; number <= deck->module.count; number++) {
        const deck_build *build = deck_build_at(deck, number);
        rp_world_range range;
        for (uint32_t i = 0; status == RP_OK && deck_build_range(build, i, &range); i++) {
            status = each(context, number, &range);
        }
    }
    return status;
}
