/* A program that has mapped the region's address before anybody else could: see CMakeLists.txt,
 * which links the section below to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((section(".taken"))) char taken[4096] = "here";

int main(void)
{
    char *blocks[1000];
    for (size_t i = 0; i < 1000; i++) {
        blocks[i] = i % 3 ? malloc(i * 50) : calloc(i, 50);
        blocks[i] = realloc(blocks[i], i * 60 + 1);
        memset(blocks[i], 1, i * 60);
    }
    for (size_t i = 0; i < 1000; i++) {
        free(blocks[i]);
    }
    void *aligned = aligned_alloc(4096, 4096);
    printf("%s\n", aligned && (size_t)aligned % 4096 == 0 && taken[0] == 'h' ? "fine" : "wrong");
    free(aligned);
    return 0;
}
