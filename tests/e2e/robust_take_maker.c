/* Makes a take of a program's first frames with the inputs of play_input, and a file with their
 * hashes: PROGRAM, FRAMES, TAKE and HASHES in the environment. */
#include "robust_take_write.h"

#include "robust_play.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

static play p;

TEST(a_take_is_made)
{
    play_open(&p, getenv("PROGRAM"));
    play_on(&p, strtoull(getenv("FRAMES"), NULL, 10));
    take_write(&p.session, getenv("TAKE"), &(take_change){0});
    uint64_t last = session_newest(&p.session);
    play_close(&p);
    FILE *hashes = fopen(getenv("HASHES"), "w");
    ck_assert_ptr_nonnull(hashes);
    for (uint64_t frame = 1; frame <= last; frame++) {
        fprintf(hashes, "%llu %016llx\n", (unsigned long long)frame,
                (unsigned long long)p.hashes[frame]);
    }
    fclose(hashes);
}
