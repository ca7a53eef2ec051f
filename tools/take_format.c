/* Prints docs/format/take.md, from the tables that the code is made of. `./dev docs` writes it. */
#include "take/format.h"

#include <stdio.h>
#include <string.h>

static const char *const front =
    "# The format of a take, version %d\n"
    "\n"
    "Made by `./dev docs` from `src/take/format_table.h`; not to be edited.\n"
    "\n"
    "```\n"
    "header | record | record | … | INDEX record | trailer\n"
    "          |\n"
    "          head · struct · what follows plainly · what follows packed (one zstd frame)\n"
    "```\n"
    "\n"
    "Numbers are little-endian. Nothing is padded or aligned. A text fills its bytes with zeros "
    "behind its end\n"
    "and has at least one. Offsets count from the file's first byte.\n"
    "\n"
    "A take that is being written, or whose writer ended without a word, has no INDEX and no "
    "trailer. It is\n"
    "read from the front, up to the first record that does not lie in the file as a whole, or "
    "whose checksum is\n"
    "not that of its bytes at this offset: what stands before it counts. The first record is "
    "ENVIRONMENT.\n"
    "\n"
    "## The state after a frame\n"
    "Pages have 4096 bytes. Page p below 0x08000000 is the world's, at region_base + 4096 p; "
    "others lie where\n"
    "RANGES says. To get the state after a FRAME record: take the last BASE that is not behind it, "
    "or nothing\n"
    "but zeros where there is none; apply the FRAME records from there on, but for thin ones; "
    "compare the hash.\n"
    "A frame number that occurs several times means the last of them that is not thin.\n"
    "\n"
    "A difference is 64 bytes, in which bit b of byte a says that word 8 a + b of the page's 512 "
    "words of\n"
    "8 bytes differs, and then those words, each the old one XOR the new one.\n"
    "\n"
    "An input is what `src/deck/input.h` packs.\n"
    "\n"
    "## Limits\n"
    "A reader refuses what is larger: an input 65536 bytes; objects %d; ranges %d; page numbers "
    "below\n"
    "0x0c000000; the second part of each record as given below. Types from 0x8000 on may be passed "
    "over by who\n"
    "does not know them, up to 64 MiB; other types that it does not know end what a reader can "
    "use.\n";

static void print_type(const rp_take_field *field)
{
    static const char *const names[] = {"u32", "i32", "u64", "text", "bytes"};
    if (field->type == RP_TAKE_text || field->type == RP_TAKE_bytes) {
        printf("%s %u", names[field->type], field->size_bytes);
    } else {
        printf("%s", names[field->type]);
    }
}

static void print_fields(rp_take_struct which)
{
    const rp_take_layout *layout = rp_take_layout_of(which);
    uint32_t offset = 0;
    puts("\n| at | type | field | |\n|---|---|---|---|");
    for (uint32_t i = 0; i < layout->field_count; i++) {
        const rp_take_field *field = &layout->fields[i];
        printf("| %u | ", offset);
        print_type(field);
        printf(" | %s | %s |\n", field->name, field->text);
        offset += field->size_bytes;
    }
}

static void print_struct(rp_take_struct which)
{
    const rp_take_layout *layout = rp_take_layout_of(which);
    printf("\n## `%s`: %s (%u bytes)\n", layout->name, layout->text, layout->size_bytes);
    print_fields(which);
}

static void print_size(uint64_t size_bytes)
{
    if (size_bytes >= 1 << 20) {
        printf("%llu MiB", (unsigned long long)(size_bytes >> 20));
    } else {
        printf("%llu KiB", (unsigned long long)(size_bytes >> 10));
    }
}

static void print_record(const rp_take_kind *kind)
{
    printf("\n## %s: type %u\n%s\n", kind->name, kind->type, kind->text);
    print_fields(kind->layout);
    if (kind->plain[0]) {
        printf("\nFollows plainly: %s.\n", kind->plain);
    }
    if (kind->packed[0]) {
        printf("\nFollows packed, unpacked at most ");
        print_size(kind->unpacked_most_bytes);
        printf(": %s.\n", kind->packed);
    }
}

/* Whether a struct is a record's own. */
static int is_of_record(rp_take_struct which)
{
    const rp_take_kind *kind;
    for (size_t i = 0; (kind = rp_take_kind_at(i)); i++) {
        if (kind->layout == which) {
            return 1;
        }
    }
    return 0;
}

int main(void)
{
    const rp_take_kind *kind;
    printf(front, RP_TAKE_VERSION, RP_TAKE_OBJECT_MOST, RP_TAKE_RANGE_MOST);
    for (int i = 0; i < RP_TAKE_STRUCT_COUNT; i++) {
        if (i <= RP_TAKE_STRUCT_trailer) {
            print_struct((rp_take_struct)i);
        }
    }
    for (size_t i = 0; (kind = rp_take_kind_at(i)); i++) {
        print_record(kind);
    }
    for (int i = RP_TAKE_STRUCT_trailer + 1; i < RP_TAKE_STRUCT_COUNT; i++) {
        if (!is_of_record((rp_take_struct)i)) {
            print_struct((rp_take_struct)i);
        }
    }
    return 0;
}
