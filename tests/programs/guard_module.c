/* Stores behind a block in frame 100: with --debug '*=end-of-page' that is a guard. Before it, it
 * fills the block in each frame. tests/e2e/robust_tracking.sh */
#include <reprise/stage.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 256 };

static volatile char *block;

void rp_module_step(rp_stage *stage)
{
    if (!block) {
        block = calloc(1, BLOCK_BYTES);
    }
    for (int i = 0; i < BLOCK_BYTES; i++) {
        block[i]++;
    }
    if (stage->frame == 100) {
        block[BLOCK_BYTES] = 1;
    }
}
