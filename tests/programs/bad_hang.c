/* Never returns from its step. See bad.h for when. */
#include "bad.h"

static volatile unsigned turns;

static void misbehave(void)
{
    for (;;) {
        turns++;
    }
}
