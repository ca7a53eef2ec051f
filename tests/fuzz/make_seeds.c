/* Makes the seeds that cannot be written by hand: the plans from one build to another.
 *
 *     make_seeds OLD.so NEW.so FOLDER
 */
#include "module/elf.h"
#include "module/plan.h"

#include <stdio.h>
#include <string.h>

/* Where the world is told that the old build lay, and words of a world that point there. */
static const uint64_t old_base = 0x10000000, old_thread = 0x20000000;

static int write_plan(const char *folder, const char *name, const rp_elf *old_elf,
                      const rp_elf *new_elf)
{
    char path[1024];
    rp_plan *plan;
    if (rp_plan_make(old_elf, 1, old_base, old_thread, new_elf, 2, NULL, &plan) != RP_OK) {
        return 1;
    }
    uint64_t words[] = {rp_plan_moves(plan)[0].old_address, old_base + 8, old_thread, 12345};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    int bad = !file || fwrite(plan, plan->total_bytes, 1, file) != 1 ||
              fwrite(words, sizeof words, 1, file) != 1 || fclose(file) != 0;
    rp_plan_free(plan);
    return bad;
}

int main(int argc, char **argv)
{
    rp_elf *old_elf, *new_elf;
    if (argc != 4 || rp_elf_open(argv[1], NULL, &old_elf) || rp_elf_open(argv[2], NULL, &new_elf)) {
        fprintf(stderr, "make_seeds: %s\n", argc == 4 ? rp_error_last()->text : "three arguments");
        return 1;
    }
    int bad = write_plan(argv[3], "edit", old_elf, new_elf) +
              write_plan(argv[3], "same", old_elf, old_elf) +
              write_plan(argv[3], "back", new_elf, old_elf);
    if (bad) {
        fprintf(stderr, "make_seeds: %s\n", rp_error_last()->text);
    }
    rp_elf_close(old_elf);
    rp_elf_close(new_elf);
    return bad != 0;
}
