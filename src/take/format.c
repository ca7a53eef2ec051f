/* Layouts of the tables, between memory and bytes, checksums. */
#include "take/format.h"

#include "base/assert.h"
#include "base/bits.h"
#include "history/page.h"

#include <string.h>
#include <xxhash.h>

const uint8_t rp_take_magic[8] = {0x89, 'R', 'P', 'T', 'A', 'K', 'E', '\n'};
const uint8_t rp_take_end_magic[8] = {'R', 'P', 'T', 'A', 'K', 'E', 'N', 'D'};

#define FIELD(kind, title, count, said)        \
    {.name = #title,                           \
     .type = RP_TAKE_##kind,                   \
     .size_bytes = RP_TAKE_SIZE_##kind(count), \
     .text = said},
#define FIELDS(name, table, said) static const rp_take_field fields_of_##name[] = {table(FIELD)};
RP_TAKE_STRUCTS(FIELDS)

#define LAYOUT(title, table, said)                  \
    {.name = #title,                                \
     .text = said,                                  \
     .fields = fields_of_##title,                   \
     .field_count = RP_COUNT_OF(fields_of_##title), \
     .size_bytes = RP_TAKE_BYTES_##title},
static const rp_take_layout layouts[] = {RP_TAKE_STRUCTS(LAYOUT)};

#define KIND(NAME, number, title, most, plainly, packedly, said) \
    {.name = #NAME,                                              \
     .type = number,                                             \
     .layout = RP_TAKE_STRUCT_##title,                           \
     .unpacked_most_bytes = most,                                \
     .plain = plainly,                                           \
     .packed = packedly,                                         \
     .text = said},
static const rp_take_kind kinds[] = {RP_TAKE_RECORDS(KIND)};

const rp_take_layout *rp_take_layout_of(rp_take_struct which)
{
    RP_ASSERT(which < RP_TAKE_STRUCT_COUNT);
    return &layouts[which];
}

const rp_take_kind *rp_take_kind_at(size_t index)
{
    return index < RP_COUNT_OF(kinds) ? &kinds[index] : NULL;
}

const rp_take_kind *rp_take_kind_of(uint32_t type)
{
    for (size_t i = 0; i < RP_COUNT_OF(kinds); i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* The fields have no padding between them, so each has the same offset on both sides. */
void rp_take_encode(rp_take_struct which, const void *from, uint8_t *bytes)
{
    const rp_take_layout *layout = rp_take_layout_of(which);
    const uint8_t *at = from;
    for (uint32_t i = 0; i < layout->field_count; i++) {
        const rp_take_field *field = &layout->fields[i];
        if (field->type == RP_TAKE_u64) {
            uint64_t value;
            memcpy(&value, at, sizeof value);
            rp_take_put_u64(bytes, value);
        } else if (field->type == RP_TAKE_u32 || field->type == RP_TAKE_i32) {
            uint32_t value;
            memcpy(&value, at, sizeof value);
            rp_take_put_u32(bytes, value);
        } else {
            memcpy(bytes, at, field->size_bytes);
        }
        at += field->size_bytes;
        bytes += field->size_bytes;
    }
}

static void decode_text(const uint8_t *bytes, uint8_t *to, size_t size_bytes)
{
    const uint8_t *end = memchr(bytes, 0, size_bytes - 1);
    size_t length = end ? (size_t)(end - bytes) : size_bytes - 1;
    memcpy(to, bytes, length);
    memset(to + length, 0, size_bytes - length);
}

void rp_take_decode(rp_take_struct which, const uint8_t *bytes, void *to)
{
    const rp_take_layout *layout = rp_take_layout_of(which);
    uint8_t *at = to;
    for (uint32_t i = 0; i < layout->field_count; i++) {
        const rp_take_field *field = &layout->fields[i];
        if (field->type == RP_TAKE_u64) {
            uint64_t value = rp_take_get_u64(bytes);
            memcpy(at, &value, sizeof value);
        } else if (field->type == RP_TAKE_u32 || field->type == RP_TAKE_i32) {
            uint32_t value = rp_take_get_u32(bytes);
            memcpy(at, &value, sizeof value);
        } else if (field->type == RP_TAKE_text) {
            decode_text(bytes, at, field->size_bytes);
        } else {
            memcpy(at, bytes, field->size_bytes);
        }
        at += field->size_bytes;
        bytes += field->size_bytes;
    }
}

/* What comes from a file must not drive the terminal that it is shown on. */
static void describe_text(const char *from, rp_text_buffer *text)
{
    for (; *from; from++) {
        rp_text_add(text, "%c", (unsigned char)*from < ' ' || *from == 127 ? '?' : *from);
    }
}

static void describe_value(const rp_take_field *field, const uint8_t *at, rp_text_buffer *text)
{
    uint64_t number = 0;
    switch (field->type) {
    case RP_TAKE_text:
        describe_text((const char *)at, text);
        break;
    case RP_TAKE_bytes:
        for (uint32_t i = 0; i < field->size_bytes; i++) {
            rp_text_add(text, "%02x", at[i]);
        }
        break;
    case RP_TAKE_i32:
        memcpy(&number, at, sizeof(uint32_t));
        rp_text_add(text, "%d", (int)(int32_t)number);
        break;
    default:
        memcpy(&number, at, field->size_bytes);
        rp_text_add(text, number > 0xffffff ? "%#llx" : "%llu", (unsigned long long)number);
    }
}

void rp_take_describe(rp_take_struct which, const void *from, const char *indent,
                      rp_text_buffer *text)
{
    const rp_take_layout *layout = rp_take_layout_of(which);
    const uint8_t *at = from;
    for (uint32_t i = 0; i < layout->field_count; i++) {
        rp_text_add(text, "%s%s ", indent, layout->fields[i].name);
        describe_value(&layout->fields[i], at, text);
        rp_text_add(text, "\n");
        at += layout->fields[i].size_bytes;
    }
}

/* ---- checksums --------------------------------------------------------------------------------
 */

uint64_t rp_take_header_checksum(const uint8_t *header)
{
    return XXH3_64bits(header, RP_TAKE_BYTES_header - sizeof(uint64_t));
}

uint64_t rp_take_trailer_checksum(const uint8_t *trailer, uint64_t take_id)
{
    return XXH3_64bits_withSeed(trailer, RP_TAKE_BYTES_trailer - sizeof(uint64_t), take_id);
}

/* The offset is part of it, so that a record that was moved or copied is none. */
uint64_t rp_take_record_checksum(uint64_t take_id, uint64_t offset, const uint8_t *head,
                                 const void *body, size_t body_bytes)
{
    uint8_t front[sizeof offset + RP_TAKE_BYTES_record - sizeof(uint64_t)];
    rp_take_put_u64(front, offset);
    memcpy(front + sizeof offset, head, sizeof front - sizeof offset);
    return XXH3_64bits_withSeed(body, body_bytes,
                                XXH3_64bits_withSeed(front, sizeof front, take_id));
}

uint64_t rp_take_page_hash(uint32_t page, const void *content)
{
    return rp_page_is_zero(content) ? 0 : XXH3_64bits_withSeed(content, RP_PAGE_BYTES, page);
}
