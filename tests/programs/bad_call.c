/* Calls a null function pointer: the program counter itself is wrong. See bad.h for when. */
#include "bad.h"

static void (*volatile behaviour)(void);

static void misbehave(void)
{
    behaviour();
}
