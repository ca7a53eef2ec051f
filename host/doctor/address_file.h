/* The project file .reprise-address: where the region lies, on what machine that was found good,
 * and how. `reprise doctor --survey` writes it, `reprise run` checks itself against it.
 *
 *     reprise-address 1
 *     base 0x550000000000
 *     mode as-is 200 200 200
 *
 * The first line says whose it is; each other one is a name and a value; '#' begins a comment.
 * Names that are not known are skipped, so that a later version may add some.
 *
 * Layer: host.  Tests: tests/host/test_address_file.c, tests/fuzz/fuzz_address.c
 */
#ifndef HOST_DOCTOR_ADDRESS_FILE_H
#define HOST_DOCTOR_ADDRESS_FILE_H

#include <os/machine.h>
#include <os/subject.h>
#include <reprise/status.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_FILE_NAME ".reprise-address"
enum { ADDRESS_FILE_VERSION = 1, ADDRESS_FILE_BYTES_MAX = 16384 };

typedef struct address_counts {
    uint32_t run_count, free_count, proved_count;
} address_counts;

typedef struct address_file {
    uint64_t base, end, reserve_bytes;
    uint32_t page_bytes, address_bits, randomisation_bits; /* the latter two 0: unknown */
    char architecture[24], kernel[80], kind[16], build_id[48], date[16], version[24];
    char program[256];
    address_counts modes[RP_OS_SUBJECT_MODES];
} address_file;

/* Takes a file's bytes apart. RP_E_FORMAT with the line: it is none, of a later version, or
 * damaged. `name` is for the text. */
rp_status address_file_parse(const char *name, const char *bytes, size_t size_bytes,
                             address_file *file);
/* Prints it; returns its length, or 0 where `capacity` is too small. ADDRESS_FILE_BYTES_MAX is
 * enough. */
size_t address_file_print(const address_file *file, char *text, size_t capacity);
/* RP_E_NOT_FOUND: there is none. */
rp_status address_file_read(const char *path, address_file *file);
/* Replaces one that is of this kind, in one step. RP_E_TAKEN: a file of that name is not. */
rp_status address_file_write(const char *path, const address_file *file);
/* Whether this program, on this machine, fits what the file says. RP_E_CHANGED with the text of the
 * first thing that does not. */
rp_status address_file_check(const char *name, const address_file *file,
                             const rp_os_machine *machine);
/* For `reprise run`: looks for the file here, then beside the module; checks it. RP_OK: it fits, or
 * there is none. */
rp_status address_file_check_project(const char *module_path);

/* "as-is", "no-randomisation", "legacy-layout", "unlimited-stack" */
const char *address_mode_id(rp_os_subject_mode mode);

#endif
