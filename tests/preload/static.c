/* Linked statically: there is no loader to preload anything. */
#include "preload/under.h"

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    void *block = opaque(malloc(100));
    printf("%s\n", block && !is_ours(block) ? "fine" : "wrong");
    free(block);
    return 0;
}
