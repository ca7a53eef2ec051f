/* Hostile bytes as a project file: an error, or a file that prints and reads again as the same. */
#include "doctor/address_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[ADDRESS_FILE_BYTES_MAX];
    address_file file, again;
    rp_os_machine machine = {.architecture = "x86_64", .page_bytes = 4096, .address_bits = 47};
    rp_status status = address_file_parse("fuzzed", (const char *)data, size, &file);
    if (status) {
        require(status == RP_E_FORMAT);
        return 0;
    }
    status = address_file_check("fuzzed", &file, &machine);
    require(status == RP_OK || status == RP_E_CHANGED);
    size_t length = address_file_print(&file, text, sizeof text);
    require(length > 0);
    require(address_file_parse("printed", text, length, &again) == RP_OK);
    require(memcmp(&file, &again, sizeof file) == 0);
    return 0;
}
