/* Calls abort. See bad.h for when. */
#include "bad.h"
#include <stdlib.h>

static void misbehave(void)
{
    abort();
}
