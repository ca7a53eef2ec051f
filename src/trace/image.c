/* Blocks of an image. Layer: trace. */
#include "trace/image.h"

#include "alloc/generic.h"
#include "alloc/registry.h"
#include "base/text.h"
#include "region/zone.h"
#include "trace/tables.h"
#include "trace/tracked.h"

#include <string.h>

#define WORLD_BYTES (RP_REGION_RESERVE_BYTES / 4 * 3)

static bool read(const rp_image *image, uint64_t address, void *to, size_t size_bytes)
{
    return image->read(image->context, address, to, size_bytes);
}

/* A pointer of the image; 0: it is null or cannot be read. */
static uint64_t pointer_at(const rp_image *image, uint64_t address)
{
    uint64_t value;
    return read(image, address, &value, sizeof value) ? value : 0;
}

static uint64_t root_of(const rp_image *image, int root)
{
    return pointer_at(image, image->base + RP_REGION_ROOTS_OFFSET + (uint64_t)root * 8);
}

static bool is_world(const rp_image *image)
{
    struct {
        uint64_t magic;
        uint32_t version, page_bytes;
    } head;
    return read(image, image->base, &head, sizeof head) && head.magic == ZONE_MAGIC &&
           head.version == ZONE_VERSION && head.page_bytes == RP_PAGE_BYTES;
}

/* ---- allocators ---- */

static bool allocator_read(const rp_image *image, uint32_t id, rp_allocator *allocator)
{
    uint64_t table = root_of(image, RP_ROOT_HEAPS);
    if (!table || !id || id > RP_ALLOCATOR_LIMIT) {
        return false;
    }
    uint64_t page =
        pointer_at(image, table + offsetof(registry, pages) + id / PAGE_IDS * sizeof(uint64_t));
    uint64_t entry = page ? pointer_at(image, page + id % PAGE_IDS * sizeof(uint64_t)) : 0;
    return entry && !(entry & 1) && read(image, entry, allocator, sizeof *allocator) &&
           allocator->magic == ALLOCATOR_MAGIC && allocator->id == id;
}

/* Returns its kind; KIND_NONE: there is none. */
static allocator_kind name_owner(const rp_image *image, uint32_t id, rp_image_block *block)
{
    rp_allocator allocator;
    if (!allocator_read(image, id, &allocator)) {
        return KIND_NONE;
    }
    allocator.name[sizeof allocator.name - 1] = 0;
    block->allocator = id;
    block->scope = allocator.scope;
    memcpy(block->name, allocator.name, sizeof block->name);
    return (allocator_kind)allocator.kind;
}

/* ---- kinds of units ---- */

typedef struct image_unit {
    rp_unit head;
    uint64_t start, size_bytes; /* of all units of the block */
} image_unit;

static bool unit_read(const rp_image *image, uint64_t index, rp_unit *unit)
{
    return read(image, image->base + RP_REGION_MAP_OFFSET + index * sizeof *unit, unit,
                sizeof *unit);
}

/* The block of units that an address lies in. */
static bool head_read(const rp_image *image, uint64_t address, image_unit *unit)
{
    uint64_t index = (address - image->base) >> RP_UNIT_SHIFT, first;
    if (!unit_read(image, index, &unit->head)) {
        return false;
    }
    first = unit->head.head;
    if (first != index && (first > index || !unit_read(image, first, &unit->head))) {
        return false;
    }
    unit->start = image->base + (first << RP_UNIT_SHIFT);
    unit->size_bytes = (uint64_t)unit->head.unit_count << RP_UNIT_SHIFT;
    return unit->head.head == first && index - first < unit->head.unit_count &&
           unit->size_bytes <= WORLD_BYTES;
}

static void find_in_slab(const rp_image *image, const image_unit *unit, uint64_t address,
                         rp_image_block *block)
{
    free_block bytes;
    if (!unit->head.size_class || unit->head.size_class >= CLASS_COUNT) {
        block->place = RP_IMAGE_FREE;
        return;
    }
    uint64_t block_bytes = rp_size_classes[unit->head.size_class].block_bytes;
    uint64_t offset = (address - unit->start) / block_bytes * block_bytes;
    block->place = RP_IMAGE_BLOCK;
    block->start = unit->start + offset;
    block->size_bytes = rp_min_size(block_bytes, unit->size_bytes - offset);
    block->live = offset >> GRAIN_SHIFT < unit->head.extra &&
                  read(image, block->start, &bytes, sizeof bytes) &&
                  bytes.mark != (block->start ^ FREE_MARK ^ (uint64_t)(uintptr_t)bytes.next);
}

static void find_large(const image_unit *unit, rp_image_block *block)
{
    large_book book;
    memcpy(&book, unit->head.words, sizeof book);
    uint64_t skip = (uint64_t)book.offset_units << RP_UNIT_SHIFT;
    if (skip < unit->size_bytes) {
        block->place = RP_IMAGE_BLOCK;
        block->live = true;
        block->start = unit->start + skip;
        block->size_bytes = unit->size_bytes - skip;
    }
}

static void find_run(const image_unit *unit, allocator_kind kind, rp_image_block *block)
{
    uint64_t skip = unit->head.flags & RP_BLOCK_GUARD_BEFORE ? RP_PAGE_BYTES : 0;
    uint64_t behind = (uint64_t)unit->head.slack_pages * RP_PAGE_BYTES +
                      (unit->head.flags & RP_BLOCK_GUARD_AFTER ? RP_PAGE_BYTES : 0);
    bool pages = kind == KIND_PAGE;
    skip += pages && unit->head.words[0] < unit->size_bytes >> RP_PAGE_SHIFT
                ? unit->head.words[0] << RP_PAGE_SHIFT
                : 0;
    if (skip + behind >= unit->size_bytes) {
        return;
    }
    block->place = pages ? RP_IMAGE_BLOCK : RP_IMAGE_RUN;
    block->live = true;
    block->start = unit->start + skip;
    block->size_bytes = unit->size_bytes - skip - behind;
}

static bool record_read(const rp_image *image, const image_unit *unit, uint64_t address,
                        tracked_record *record)
{
    unit_words words;
    tracked_slab slab;
    memcpy(&words, unit->head.words, sizeof words);
    uint64_t book = (uint64_t)(uintptr_t)words.book;
    if (unit->head.size_class == SINGLE_CLASS) {
        return read(image, book, record, sizeof *record);
    }
    if (!read(image, book, &slab, sizeof slab) || !slab.fresh || slab.fresh > SLOTS_MOST ||
        !slab.slot_bytes) {
        return false;
    }
    uint64_t index = (address - unit->start) / slab.slot_bytes;
    index = rp_min_size(index, slab.fresh - 1u);
    return read(image, book + (index + 1) * sizeof *record, record, sizeof *record);
}

static void find_tracked(const rp_image *image, const image_unit *unit, uint64_t address,
                         rp_image_block *block)
{
    tracked_record record;
    if (!record_read(image, unit, address, &record)) {
        return;
    }
    uint64_t start = (uint64_t)(uintptr_t)record.start;
    if (record.state == TRACKED_FRESH || start < unit->start ||
        start - unit->start > unit->size_bytes ||
        record.said.size_bytes > unit->size_bytes - (start - unit->start)) {
        block->place = RP_IMAGE_FREE;
        return;
    }
    block->place = RP_IMAGE_BLOCK;
    block->tracked = true;
    block->live = record.state == TRACKED_LIVE;
    block->start = start;
    block->size_bytes = record.said.size_bytes;
    block->scope = record.said.scope;
    block->site = record.said.site;
}

void rp_image_find(const rp_image *image, uint64_t address, rp_image_block *block)
{
    image_unit unit;
    *block = (rp_image_block){0};
    if (address < image->base || address - image->base >= WORLD_BYTES || !is_world(image)) {
        return;
    }
    block->place = RP_IMAGE_BOOKS;
    if (address - image->base < WORLD_TABLES_BYTES || !head_read(image, address, &unit)) {
        return;
    }
    if (unit.head.kind == RP_BLOCK_FREE || unit.head.kind == RP_BLOCK_RESERVED) {
        block->place = RP_IMAGE_FREE;
        return;
    }
    allocator_kind kind = name_owner(image, unit.head.owner, block);
    if (kind == KIND_NONE) {
        return;
    }
    switch (unit.head.kind) {
    case RP_BLOCK_SLAB:
        find_in_slab(image, &unit, address, block);
        break;
    case RP_BLOCK_LARGE:
        find_large(&unit, block);
        break;
    case RP_BLOCK_TRACKED:
        find_tracked(image, &unit, address, block);
        break;
    default:
        find_run(&unit, kind, block);
    }
}

/* ---- interned texts ---- */

/* The key of an id of one of the tables; its length, 0: there is none. */
static size_t key_read(const rp_image *image, size_t table_offset, uint32_t id, void *key,
                       size_t capacity)
{
    rp_intern table;
    rp_intern_item item;
    uint64_t tables = root_of(image, RP_ROOT_TRACE);
    uint64_t at = tables && id ? pointer_at(image, tables + table_offset) : 0;
    if (!at || !read(image, at, &table, sizeof table) || id >= table.used ||
        id / RP_INTERN_CHUNK_GRANULES >= table.chunk_limit) {
        return 0;
    }
    uint64_t chunk = pointer_at(image, (uint64_t)(uintptr_t)table.chunks +
                                           id / RP_INTERN_CHUNK_GRANULES * sizeof(uint64_t));
    uint64_t place = chunk + (uint64_t)(id % RP_INTERN_CHUNK_GRANULES) * RP_INTERN_GRANULE_BYTES;
    if (!chunk || !read(image, place, &item, sizeof item) || item.key_bytes > capacity ||
        !read(image, place + sizeof item, key, item.key_bytes)) {
        return 0;
    }
    return item.key_bytes;
}

void rp_image_site(const rp_image *image, uint32_t site, char *text, size_t capacity)
{
    char key[RP_INTERN_KEY_MOST_BYTES + 1];
    size_t length = key_read(image, offsetof(rp_trace_tables, sites), site, key, sizeof key - 1);
    key[length] = 0;
    rp_text_copy(text, capacity, key[0] == '{' ? "" : key);
}

static bool path_add(const rp_image *image, uint32_t scope, rp_text_buffer *text, int depth)
{
    scope_key key;
    if (!scope) {
        return true;
    }
    if (depth > SCOPE_DEPTH_MOST ||
        key_read(image, offsetof(rp_trace_tables, scopes), scope, &key, sizeof key) != sizeof key) {
        return false;
    }
    key.name[sizeof key.name - 1] = 0;
    bool known = path_add(image, key.parent, text, depth + 1);
    rp_text_add(text, "/%s", key.name);
    return known;
}

bool rp_image_scope_path(const rp_image *image, uint32_t scope, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    bool known = path_add(image, scope, &buffer, 0);
    if (!buffer.length) {
        rp_text_add(&buffer, "/");
    }
    return known;
}
