/* Values of rp_check as the take has them: what its build stated, without running it. */
#include "verify/verify.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <stdlib.h>
#include <string.h>

/* ---- where they stand ---- */

/* Of a frame record, where the CHECKS record behind it is that frame's. */
static rp_status note_where(recorded *r, uint64_t record, uint64_t other)
{
    rp_take_checks head;
    const rp_take_index_frame *frame = rp_take_frame_at(r->take, record);
    rp_status status = rp_take_other_read(r->take, other, &head, NULL, NULL);
    if (!status && frame && head.frame == frame->frame && head.build == frame->build) {
        ((uint64_t *)(void *)r->places.data)[record - r->first] = other + 1;
    }
    return status;
}

rp_status recorded_open(recorded *r, rp_take *take, uint64_t first, uint64_t last)
{
    const rp_take_index_other *other;
    *r = (recorded){.take = take, .first = first, .last = last};
    size_t bytes = (size_t)(last - first + 1) * sizeof(uint64_t);
    rp_status status = rp_take_array_init(&r->places, bytes);
    status = status ? status : rp_take_array_need(&r->places, bytes);
    status = status ? status : rp_take_array_init(&r->tail, LINK_CHECK_MAX * RP_TAKE_BYTES_checked);
    for (uint64_t i = 0; !status && (other = rp_take_other_at(take, i)); i++) {
        uint64_t record = other->frame_index - 1;
        if (other->type == RP_TAKE_CHECKS && other->frame_index && record >= first &&
            record <= last) {
            status = note_where(r, record, i);
        }
    }
    return status;
}

void recorded_close(recorded *r)
{
    rp_take_array_finish(&r->places);
    rp_take_array_finish(&r->tail);
    *r = (recorded){0};
}

static uint64_t place_of(const recorded *r, uint64_t record)
{
    return ((const uint64_t *)(const void *)r->places.data)[record - r->first];
}

bool recorded_has(const recorded *r, uint64_t record)
{
    return place_of(r, record) != 0;
}

/* ---- what they are ---- */

rp_status recorded_read(recorded *r, uint64_t record, link_watched *to)
{
    rp_take_checks head;
    r->tail.used_bytes = 0;
    rp_status status = rp_take_other_read(r->take, place_of(r, record) - 1, &head, NULL, &r->tail);
    memset(to, 0, sizeof *to);
    if (status) {
        return status;
    }
    to->check_count = (uint32_t)(r->tail.used_bytes / RP_TAKE_BYTES_checked);
    for (uint32_t i = 0; i < to->check_count && i < LINK_CHECK_MAX; i++) {
        rp_take_checked from;
        rp_take_decode(RP_TAKE_STRUCT_checked, r->tail.data + i * (size_t)RP_TAKE_BYTES_checked,
                       &from);
        link_check *check = &to->checks[i];
        *check =
            (link_check){.kind = from.kind, .value = from.value, .size_bytes = from.size_bytes};
        rp_text_copy(check->name, sizeof check->name, from.name);
        memcpy(check->start, from.start, sizeof check->start);
    }
    return RP_OK;
}
