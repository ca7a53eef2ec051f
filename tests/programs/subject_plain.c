/* A program to be surveyed that does nothing much. Words: die, print. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[argc - 1] : "";
    char *block = malloc(100000);
    if (!block) {
        return 1;
    }
    memset(block, 1, 100000);
    if (strcmp(word, "die") == 0) {
        raise(SIGTERM);
    }
    if (strcmp(word, "print") == 0) {
        puts("printed");
    }
    int sum = block[0] + block[99999];
    free(block);
    return sum != 2;
}
