/* Recurses until the stack is full. See bad.h for when. */
#include "bad.h"

static volatile int forever = 1;

static int deeper(volatile char *above)
{
    volatile char here[512];
    here[0] = (char)(above[0] + 1);
    return forever ? deeper(here) + here[0] : 0;
}

static void misbehave(void)
{
    volatile char top[1] = {0};
    deeper(top);
}
