/* Frees a block twice. See bad.h for when. */
#include "bad.h"
#include <stdlib.h>

static void *volatile block;

static void misbehave(void)
{
    block = malloc(40);
    free(block);
    free(block);
}
