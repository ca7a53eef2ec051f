/* Raises SIGILL. See bad.h for when. */
#include "bad.h"
#include <signal.h>

static void misbehave(void)
{
    raise(SIGILL);
}
