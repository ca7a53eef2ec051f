/* Writes to a string literal. See bad.h for when. */
#include "bad.h"

static const char *volatile name = "a literal";

static void misbehave(void)
{
    *(char *)(uintptr_t)name = 'A';
}
