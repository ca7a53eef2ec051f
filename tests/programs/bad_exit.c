/* Calls exit(3). See bad.h for when. */
#include "bad.h"
#include <stdlib.h>

static void misbehave(void)
{
    exit(3);
}
