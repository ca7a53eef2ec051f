/* Fails an assertion. See bad.h for when. */
#undef NDEBUG
#include "bad.h"
#include <assert.h>

static volatile int lives = 1;

static void misbehave(void)
{
    lives--;
    assert(lives > 0 && "the player has lives left");
}
