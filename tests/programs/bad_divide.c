/* Divides an integer by zero. See bad.h for when. */
#include "bad.h"

static volatile int divisor, quotient;

static void misbehave(void)
{
    quotient = 100 / divisor;
}
