/* The format of a take, once: structs, encoder, dumper and docs/format/take.md are made from the
 * tables below. To change the format, change them here, raise RP_TAKE_VERSION, keep a fixture of
 * the version before, and run `./dev docs`.
 *
 *   F(type, name, count, text)   a field; types u32, i32, u64, text (ends with a zero), bytes
 *   S(name, fields, text)        a struct of fields
 *   R(NAME, number, name, unpacked most bytes, what follows plainly, what follows packed, text)
 *
 * A struct's fields stand so that none needs padding; a static assertion checks that.
 *
 * Layer: take.  Use: format.h, format.c, tools/take_format.c  Tests: tests/take/test_take.c
 */
#ifndef RP_TAKE_FORMAT_TABLE_H
#define RP_TAKE_FORMAT_TABLE_H

/* clang-format off */

#define RP_TAKE_VERSION 1

#define RP_TAKE_FIELDS_HEADER(F) \
    F(bytes, magic, 8, "89 52 50 54 41 4b 45 0a") \
    F(u64, take_id, 1, "random; the seed of all checksums, so that no bytes of another take pass for this one's") \
    F(u64, region_base, 1, "the static address: page 0 of the world") \
    F(u64, created_wall_ns, 1, "since 1970; 0: not said") \
    F(u32, version, 1, "of this format") \
    F(u32, architecture, 1, "the number that ELF has for it; 62: x86-64") \
    F(u32, page_bytes, 1, "4096") \
    F(u32, flags, 1, "0; others are refused") \
    F(u64, reserved, 1, "0") \
    F(u64, checksum, 1, "XXH3-64 of the 56 bytes before")

#define RP_TAKE_FIELDS_RECORD(F) \
    F(u32, type, 1, "below; 0x8000 and more may be passed over by those who do not know them") \
    F(u32, plain_bytes, 1, "of the body's first part: the record's struct, then what follows plainly") \
    F(u64, packed_bytes, 1, "of the body's second part: one frame of zstd, or nothing") \
    F(u64, unpacked_bytes, 1, "of the second part, unpacked") \
    F(u64, checksum, 1, "XXH3-64 of the body; its seed is XXH3-64, seeded with take_id, of the record's offset (8 bytes) and the 24 bytes before")

#define RP_TAKE_FIELDS_TRAILER(F) \
    F(bytes, magic, 8, "RPTAKEND") \
    F(u64, index_offset, 1, "of the INDEX record") \
    F(u64, index_bytes, 1, "of the whole INDEX record, which ends where the trailer begins") \
    F(u64, checksum, 1, "XXH3-64, seeded with take_id, of the 24 bytes before")

#define RP_TAKE_FIELDS_ENVIRONMENT(F) \
    F(u64, seed, 1, "of the world's random numbers") \
    F(u64, start_wall_ns, 1, "the world's time of day at frame 0") \
    F(u64, canary, 1, "of the stack frames in the world") \
    F(u64, pointer_guard, 1, "of the jump buffers in the world") \
    F(u32, rate_hz, 1, "frames a second; 0: not said") \
    F(u32, width_px, 1, "of the picture") \
    F(u32, height_px, 1, "") \
    F(u32, flags, 1, "1: inputs alone: all frames but perhaps the first are thin; 2: stripped: memory was taken out, so that frames cannot be run on from; 4: embedded: saved by a program that holds the deck itself, whose own loop makes the frames; its inputs are plain bytes, and where it has no module build 1 is the program") \
    F(text, program, 32, "that wrote the take, with its version") \
    F(text, system, 128, "that it ran on") \
    F(text, cpu, 64, "") \
    F(text, module, 256, "the module's path as it was given") \
    F(text, title, 96, "of the window")

#define RP_TAKE_FIELDS_BUILD(F) \
    F(u64, base, 1, "where it lay: load address") \
    F(u64, low, 1, "its lowest byte") \
    F(u64, high, 1, "the byte behind its last") \
    F(u64, tls_address, 1, "of its thread-local data; 0: none") \
    F(u64, wall_ns, 1, "when it was picked up") \
    F(u32, number, 1, "from 1") \
    F(u32, id_bytes, 1, "of `id` that count") \
    F(bytes, id, 32, "the linker's build id") \
    F(text, path, 256, "where the linker had written it")

#define RP_TAKE_FIELDS_PART(F) \
    F(u64, size_bytes, 1, "of the whole file") \
    F(u64, offset_bytes, 1, "of this part in it") \
    F(u64, hash, 1, "XXH3-64 of the whole file") \
    F(u32, build, 1, "whose file it is; 0: of none") \
    F(u32, role, 1, "1 module, 2 debug information, 3 library, 4 source") \
    F(text, name, 256, "")

#define RP_TAKE_FIELDS_OBJECTS(F) \
    F(u32, count, 1, "") \
    F(u32, reserved, 1, "0")

#define RP_TAKE_FIELDS_OBJECT(F) \
    F(u64, base, 1, "") \
    F(u64, low, 1, "") \
    F(u64, high, 1, "") \
    F(u64, tls_address, 1, "") \
    F(u32, build, 1, "0: a library") \
    F(u32, zone, 1, "0 world, 1 keep") \
    F(u32, id_bytes, 1, "") \
    F(u32, reserved, 1, "0") \
    F(bytes, id, 32, "the linker's build id") \
    F(text, path, 256, "")

#define RP_TAKE_FIELDS_RANGES(F) \
    F(u32, count, 1, "") \
    F(u32, reserved, 1, "0")

#define RP_TAKE_FIELDS_RANGE(F) \
    F(u64, start, 1, "address of its first byte") \
    F(u64, size_bytes, 1, "") \
    F(u32, first_page, 1, "number of the page that holds its first byte; from 0x08000000 on") \
    F(u32, build, 1, "0: a library's, the same in all builds") \
    F(text, name, 64, "")

#define RP_TAKE_FIELDS_PAGES(F) \
    F(u64, first_content, 1, "number of the first content; numbers have no gaps and begin with 0") \
    F(u32, count, 1, "1 to 16") \
    F(u32, reserved, 1, "0")

#define RP_TAKE_FIELDS_FRAME(F) \
    F(u64, frame, 1, "its number in the program's life; where it is not above that of the record before, that one's future was dropped") \
    F(u64, hash, 1, "of the state after it: the sum over its pages that are not zero of XXH3-64 of the content, seeded with the page's number") \
    F(u64, step_ns, 1, "how long the program's step took") \
    F(u32, build, 1, "that made it") \
    F(u32, kind, 1, "0 a step, 1 the same frame carried to another build") \
    F(u32, flags, 1, "1: thin, its pages are not in the take; 2: `hash` is known") \
    F(u32, page_count, 1, "pages that differ from the last record that is not thin") \
    F(u32, content_count, 1, "of these, pages with a whole content") \
    F(u32, delta_count, 1, "of these, pages with a difference") \
    F(u32, delta_bytes, 1, "of all differences together") \
    F(u32, input_bytes, 1, "of the frame's input, packed; at most 65536")

#define RP_TAKE_FIELDS_BASE(F) \
    F(u64, frame_index, 1, "of the FRAME record, counted from 0, whose state this is; the one before") \
    F(u64, hash, 1, "of that state") \
    F(u64, page_count, 1, "pages that are not zero") \
    F(u32, run_count, 1, "") \
    F(u32, reserved, 1, "0")

#define RP_TAKE_FIELDS_RUN(F) \
    F(u64, content, 1, "number of the first page's content; those that follow have the next ones") \
    F(u32, page, 1, "the first page; rising from run to run") \
    F(u32, count, 1, "pages")

#define RP_TAKE_FIELDS_BOOKMARK(F) \
    F(u64, frame, 1, "") \
    F(text, name, 64, "")

#define RP_TAKE_FIELDS_LOOP(F) \
    F(u64, from, 1, "the state that each pass begins from") \
    F(u64, to, 1, "the last frame of a pass") \
    F(u64, live_mask, 1, "inputs that stay live in a pass") \
    F(u32, flags, 1, "1: it was running") \
    F(u32, reserved, 1, "0") \
    F(text, name, 64, "")

#define RP_TAKE_FIELDS_CRASH(F) \
    F(u64, frame, 1, "that could not be made") \
    F(u64, address, 1, "that was touched; 0: none") \
    F(u32, build, 1, "") \
    F(i32, signal, 1, "or exit code") \
    F(u32, kind, 1, "1 signal, 2 stack overflow, 3 assertion, 4 exit, 5 hang, 6 misuse of memory") \
    F(u32, input_bytes, 1, "of the input that led there, packed") \
    F(u32, report_bytes, 1, "") \
    F(u32, reserved, 1, "0") \
    F(text, text, 256, "what happened, in one line")

#define RP_TAKE_FIELDS_CHECKS(F) \
    F(u64, frame, 1, "") \
    F(u32, build, 1, "that made it") \
    F(u32, count, 1, "at most 64")

#define RP_TAKE_FIELDS_CHECKED(F) \
    F(u64, value, 1, "its bits; FNV-1a (64 bits) of a text or of bytes") \
    F(u64, size_bytes, 1, "of the value") \
    F(u32, kind, 1, "0 a signed number, 1 an unsigned one, 2 a double, 3 a text, 4 bytes") \
    F(u32, reserved, 1, "0") \
    F(text, name, 32, "") \
    F(bytes, start, 24, "of a text or of bytes, to show")

#define RP_TAKE_FIELDS_INDEX(F) \
    F(u64, frame_count, 1, "") \
    F(u64, block_count, 1, "") \
    F(u64, base_count, 1, "") \
    F(u64, other_count, 1, "")

#define RP_TAKE_FIELDS_INDEX_FRAME(F) \
    F(u64, offset, 1, "of the record; rising") \
    F(u64, record_bytes, 1, "of the record with its head") \
    F(u64, frame, 1, "this and what follows: as in the record") \
    F(u64, hash, 1, "") \
    F(u64, step_ns, 1, "") \
    F(u32, build, 1, "") \
    F(u32, kind, 1, "") \
    F(u32, flags, 1, "") \
    F(u32, page_count, 1, "")

#define RP_TAKE_FIELDS_INDEX_BLOCK(F) \
    F(u64, offset, 1, "of a PAGES record; rising") \
    F(u64, record_bytes, 1, "") \
    F(u64, first_content, 1, "") \
    F(u32, count, 1, "") \
    F(u32, reserved, 1, "0")

#define RP_TAKE_FIELDS_INDEX_BASE(F) \
    F(u64, offset, 1, "of a BASE record; rising") \
    F(u64, record_bytes, 1, "") \
    F(u64, frame_index, 1, "") \
    F(u64, page_count, 1, "")

#define RP_TAKE_FIELDS_INDEX_OTHER(F) \
    F(u64, offset, 1, "of any other record; rising") \
    F(u64, record_bytes, 1, "") \
    F(u64, frame_index, 1, "how many FRAME records stand before it") \
    F(u32, type, 1, "") \
    F(u32, reserved, 1, "0")

#define RP_TAKE_STRUCTS(S) \
    S(header, RP_TAKE_FIELDS_HEADER, "the file's first bytes") \
    S(record, RP_TAKE_FIELDS_RECORD, "the head of each record") \
    S(trailer, RP_TAKE_FIELDS_TRAILER, "the file's last bytes, where it was closed in order") \
    S(environment, RP_TAKE_FIELDS_ENVIRONMENT, "") \
    S(build, RP_TAKE_FIELDS_BUILD, "") \
    S(part, RP_TAKE_FIELDS_PART, "") \
    S(objects, RP_TAKE_FIELDS_OBJECTS, "") \
    S(object, RP_TAKE_FIELDS_OBJECT, "a loaded object, in OBJECTS") \
    S(ranges, RP_TAKE_FIELDS_RANGES, "") \
    S(range, RP_TAKE_FIELDS_RANGE, "bytes of state outside the region, in RANGES") \
    S(pages, RP_TAKE_FIELDS_PAGES, "") \
    S(frame, RP_TAKE_FIELDS_FRAME, "") \
    S(base, RP_TAKE_FIELDS_BASE, "") \
    S(run, RP_TAKE_FIELDS_RUN, "neighbouring pages with neighbouring contents, in BASE") \
    S(bookmark, RP_TAKE_FIELDS_BOOKMARK, "") \
    S(loop, RP_TAKE_FIELDS_LOOP, "") \
    S(crash, RP_TAKE_FIELDS_CRASH, "") \
    S(checks, RP_TAKE_FIELDS_CHECKS, "") \
    S(checked, RP_TAKE_FIELDS_CHECKED, "a value that rp_check named, in CHECKS") \
    S(index, RP_TAKE_FIELDS_INDEX, "") \
    S(index_frame, RP_TAKE_FIELDS_INDEX_FRAME, "in INDEX") \
    S(index_block, RP_TAKE_FIELDS_INDEX_BLOCK, "in INDEX") \
    S(index_base, RP_TAKE_FIELDS_INDEX_BASE, "in INDEX") \
    S(index_other, RP_TAKE_FIELDS_INDEX_OTHER, "in INDEX")

#define RP_TAKE_RECORDS(R) \
    R(ENVIRONMENT, 1, environment, 0, "", "", \
      "Where and how the program ran. The first record.") \
    R(BUILD, 2, build, 0, "", "", \
      "A version of the module, ahead of the first frame that it made. Its files follow.") \
    R(FILE, 3, part, 4 << 20, "", "the part's bytes", \
      "A part of a file, at most 4 MiB; parts of one file stand in their order. Never run or loaded by " \
      "anything that only reads a take.") \
    R(OBJECTS, 4, objects, 8 << 20, "", "count times `object`", \
      "What is loaded, from the next frame on. Takes the place of the list before.") \
    R(RANGES, 5, ranges, 8 << 20, "", "count times `range`", \
      "State outside the region, from the next frame on. Takes the place of the list before.") \
    R(PAGES, 6, pages, 16 * 4096, "", "count times 4096 bytes", \
      "Contents of pages, each stored once and named by its number.") \
    R(FRAME, 7, frame, 256 << 20, "the input", \
      "four columns: the numbers of the pages (page_count times 4 bytes, rising); what each has (a byte: " \
      "0 zero, 1 a content, 2 a difference); the contents' numbers (content_count times 8 bytes); the " \
      "differences, one behind the other", \
      "A frame: what differs from the last record that is not thin. Names only contents that stand before " \
      "it. A frame is in the take once this record is whole.") \
    R(BASE, 8, base, 256 << 20, "", "run_count times `run`", \
      "The whole state after the frame before. Reading a frame begins at the last one that is not behind it.") \
    R(BOOKMARK, 9, bookmark, 0, "", "", \
      "A frame with a name. The last one of a name counts; frame 2^64 - 1: it was taken away.") \
    R(LOOP, 10, loop, 0, "", "", "The last one of a name counts.") \
    R(CRASH, 11, crash, 1 << 20, "the input", "the report's text", \
      "What ended the program, behind the last frame that was whole.") \
    R(INDEX, 12, index, 1 << 30, "", \
      "frame_count times `index_frame`, block_count times `index_block`, base_count times `index_base`, " \
      "other_count times `index_other`", \
      "Where everything is. The last record, with the trailer behind it; made anew by reading all records " \
      "where it is missing.") \
    R(CHECKS, 0x8001, checks, 64 * 80, "", "count times `checked`", \
      "What the frame before stated by rp_check, for comparing builds. May be passed over.")

/* clang-format on */

#endif
