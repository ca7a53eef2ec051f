/* Writes through a null pointer. See bad.h for when. */
#include "bad.h"

static int *volatile target;

static void misbehave(void)
{
    *target = 1;
}
