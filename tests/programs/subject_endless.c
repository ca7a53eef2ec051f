/* A program to be surveyed that never ends. */
#include <unistd.h>

int main(void)
{
    for (;;) {
        pause();
    }
}
