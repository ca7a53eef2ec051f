/* Allocates without end, as far as 64 MiB, and then gives up. See bad.h for when. */
#include "bad.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, LIMIT_MIB = 64 };

static void *volatile newest;

static void misbehave(void)
{
    for (int i = 0; i < LIMIT_MIB; i++) {
        void *block = malloc(MIB);
        if (!block) {
            break;
        }
        newest = memset(block, i, MIB);
    }
    fputs("bad_memory: out of memory\n", stderr);
    abort();
}
