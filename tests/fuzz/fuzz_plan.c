/* A plan from hostile bytes: what the check lets through must be carried out inside the new build's
 * memory and nowhere else. Entry point for libFuzzer and for plain drivers that call it with
 * mutated files. Behind the plan may stand words of a world, which are re-pointed.
 */
#include "module/carry.h"

#include <stdlib.h>
#include <string.h>

enum { NEW_BUILD_BYTES_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_old(void *context, uint64_t old_address, void *to, size_t size_bytes)
{
    (void)context;
    memset(to, (int)(old_address & 0xff), size_bytes);
    return true;
}

static void *block(uint64_t size_bytes)
{
    void *memory = calloc(1, size_bytes ? size_bytes : 1);
    if (!memory) {
        abort();
    }
    return memory;
}

static void carry_out(const rp_plan *plan, rp_carry_span words)
{
    uint64_t size = plan->new_high - plan->new_low;
    if (size > NEW_BUILD_BYTES_MAX || plan->new_tls_bytes > NEW_BUILD_BYTES_MAX) {
        return;
    }
    char *build = block(size), *thread = block(plan->new_tls_bytes);
    uint64_t base = (uint64_t)(uintptr_t)build - plan->new_low;
    rp_carry_report report = {0};
    /* A plan with types is carried out by rp_migrate, which converts. */
    if (!plan->type_count && rp_carry_copy(plan, base, thread, read_old, NULL, &report) != RP_OK) {
        abort();
    }
    rp_carry_pointers(plan, base, thread, &words, 1, &report);
    if (report.carried > plan->copy_count ||
        !memchr(report.left_name, 0, sizeof report.left_name)) {
        abort();
    }
    free(build);
    free(thread);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rp_plan header;
    if (size < sizeof header) {
        return 0;
    }
    memcpy(&header, data, sizeof header);
    header.magic = RP_PLAN_MAGIC;
    header.version = RP_PLAN_VERSION;
    /* Pieces of their own, so that a sanitizer sees each end. */
    size_t plan_bytes = header.total_bytes <= size ? header.total_bytes : size;
    plan_bytes = plan_bytes < sizeof header ? sizeof header : plan_bytes;
    rp_plan *plan = block(plan_bytes);
    memcpy(plan, data, plan_bytes);
    memcpy(plan, &header, sizeof header);
    rp_carry_span words = {block(size - plan_bytes), (size - plan_bytes) & ~(size_t)7};
    memcpy(words.start, data + plan_bytes, words.size_bytes);
    if (rp_plan_check(plan, plan_bytes) == RP_OK) {
        carry_out(plan, words);
    }
    free(words.start);
    free(plan);
    return 0;
}
