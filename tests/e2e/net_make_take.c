/* Writes a take of some frames of random pages: FILE FRAMES. For net.sh. */
#include "take/tape.h"

#include <stdio.h>

/* xorshift: the same take each time. */
uint64_t test_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int main(int argc, char **argv)
{
    tape t = {0};
    world *w = world_new(1);
    FILE *file = argc == 3 ? fopen(argv[1], "wb") : NULL;
    if (!file || tape_whole(&t, w, atoi(argv[2])) != RP_OK) {
        return 1;
    }
    size_t written = fwrite(t.bytes, 1, t.size_bytes, file);
    world_free(w);
    bool whole = written == t.size_bytes;
    free(t.bytes);
    return fclose(file) == 0 && whole ? 0 : 1;
}
