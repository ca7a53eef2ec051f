/* Loaded and unloaded by life.c: allocates in its constructor, frees in its destructor. */
#include <stdlib.h>
#include <string.h>

char *library_text(void);

static _Thread_local char *of_the_thread;
static char *kept;

__attribute__((constructor)) static void made(void)
{
    kept = strdup("from a constructor");
}

__attribute__((destructor)) static void gone(void)
{
    free(kept);
    free(of_the_thread);
}

char *library_text(void)
{
    of_the_thread = of_the_thread ? of_the_thread : strdup("of the thread");
    return strdup("from a library");
}
