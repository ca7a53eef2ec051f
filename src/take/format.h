/* The structs of a take and their bytes, made from format_table.h.
 *
 *   header | ENVIRONMENT | BUILD FILE… OBJECTS RANGES | PAGES… FRAME BASE | PAGES… FRAME | … |
 * INDEX trailer
 *
 * In the file every number is little-endian, every struct as long as in memory. All of it is
 * described in docs/format/take.md, which is made from the same tables.
 *
 * Layer: take.  Threads: none.  Tests: tests/take/test_take.c
 */
#ifndef RP_TAKE_FORMAT_H
#define RP_TAKE_FORMAT_H

#include "base/text.h"
#include "take/format_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_TAKE_MEMBER_u32(name, count) uint32_t name;
#define RP_TAKE_MEMBER_i32(name, count) int32_t name;
#define RP_TAKE_MEMBER_u64(name, count) uint64_t name;
#define RP_TAKE_MEMBER_text(name, count) char name[count];
#define RP_TAKE_MEMBER_bytes(name, count) uint8_t name[count];
#define RP_TAKE_MEMBER(type, name, count, text) RP_TAKE_MEMBER_##type(name, count)
#define RP_TAKE_SIZE_u32(count) 4
#define RP_TAKE_SIZE_i32(count) 4
#define RP_TAKE_SIZE_u64(count) 8
#define RP_TAKE_SIZE_text(count) (count)
#define RP_TAKE_SIZE_bytes(count) (count)
#define RP_TAKE_SIZE(type, name, count, text) +RP_TAKE_SIZE_##type(count)
#define RP_TAKE_STRUCT(name, fields, text)                  \
    typedef struct rp_take_##name {                         \
        fields(RP_TAKE_MEMBER)                              \
    } rp_take_##name;                                       \
    enum { RP_TAKE_BYTES_##name = 0 fields(RP_TAKE_SIZE) }; \
    _Static_assert(sizeof(rp_take_##name) == RP_TAKE_BYTES_##name, "no padding");

RP_TAKE_STRUCTS(RP_TAKE_STRUCT)

#define RP_TAKE_FRAME_NONE UINT64_MAX /* of a bookmark: it was taken away */

#define RP_TAKE_STRUCT_NUMBER(name, fields, text) RP_TAKE_STRUCT_##name,
typedef enum rp_take_struct {
    RP_TAKE_STRUCTS(RP_TAKE_STRUCT_NUMBER) RP_TAKE_STRUCT_COUNT
} rp_take_struct;

#define RP_TAKE_TYPE_NUMBER(NAME, number, name, most, plain, packed, text) RP_TAKE_##NAME = number,
typedef enum rp_take_type {
    RP_TAKE_RECORDS(RP_TAKE_TYPE_NUMBER) RP_TAKE_OPTIONAL = 0x8000
} rp_take_type;

enum { RP_TAKE_THIN = 1, RP_TAKE_HASHED = 2 }; /* rp_take_frame.flags */
enum {
    RP_TAKE_INPUTS_ALONE = 1,
    RP_TAKE_STRIPPED = 2,
    RP_TAKE_EMBEDDED = 4
};                                                              /* rp_take_environment.flags */
enum { RP_TAKE_IS_ZERO, RP_TAKE_IS_CONTENT, RP_TAKE_IS_DELTA }; /* what a page of a frame has */
enum {
    RP_TAKE_ROLE_MODULE = 1,
    RP_TAKE_ROLE_DEBUG = 2,
    RP_TAKE_ROLE_LIBRARY = 3,
    RP_TAKE_ROLE_SOURCE = 4
};
enum {
    RP_TAKE_BLOCK_PAGES = 16, /* contents of one PAGES record */
    RP_TAKE_FILE_PART_BYTES = 4 << 20,
    RP_TAKE_INPUT_MOST_BYTES = 65536,
    RP_TAKE_OBJECT_MOST = 4096,
    RP_TAKE_RANGE_MOST = 65536,
    RP_TAKE_ARCHITECTURE = 62
};

extern const uint8_t rp_take_magic[8], rp_take_end_magic[8];

typedef struct rp_take_field {
    const char *name;
    enum { RP_TAKE_u32, RP_TAKE_i32, RP_TAKE_u64, RP_TAKE_text, RP_TAKE_bytes } type;
    uint32_t size_bytes;
    const char *text;
} rp_take_field;

typedef struct rp_take_layout {
    const char *name;
    const char *text;
    const rp_take_field *fields;
    uint32_t field_count, size_bytes;
} rp_take_layout;

typedef struct rp_take_kind {
    const char *name;
    uint32_t type;
    rp_take_struct layout;
    uint64_t unpacked_most_bytes;
    const char *plain, *packed, *text; /* what follows; what it is */
} rp_take_kind;

const rp_take_layout *rp_take_layout_of(rp_take_struct which);
/* Null for a type that is not known. */
const rp_take_kind *rp_take_kind_of(uint32_t type);
/* All kinds in their order; null behind the last. */
const rp_take_kind *rp_take_kind_at(size_t index);

/* Between a struct in memory and its bytes in the file, which may lie anywhere. Decoding ends each
 * text with a zero and fills what follows that with zeros. */
void rp_take_encode(rp_take_struct which, const void *from, uint8_t *bytes);
void rp_take_decode(rp_take_struct which, const uint8_t *bytes, void *to);

/* "name value" of each field, one a line, each line begun with `indent`. */
void rp_take_describe(rp_take_struct which, const void *from, const char *indent,
                      rp_text_buffer *text);

/* The checksums of the tables' texts. `head`: the record's head, encoded. */
uint64_t rp_take_header_checksum(const uint8_t *header);
uint64_t rp_take_trailer_checksum(const uint8_t *trailer, uint64_t take_id);
uint64_t rp_take_record_checksum(uint64_t take_id, uint64_t offset, const uint8_t *head,
                                 const void *body, size_t body_bytes);

/* Part of a state's hash that a page is; 0 for a page of zeros. */
uint64_t rp_take_page_hash(uint32_t page, const void *content);

static inline void rp_take_put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline void rp_take_put_u64(uint8_t *to, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline uint32_t rp_take_get_u32(const uint8_t *from)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        value |= (uint32_t)from[i] << (8 * i);
    }
    return value;
}

static inline uint64_t rp_take_get_u64(const uint8_t *from)
{
    return rp_take_get_u32(from) | (uint64_t)rp_take_get_u32(from + 4) << 32;
}

#endif
