/* Where a colour is in a picture: for scripts that look at the screen.
 *
 *     picture RRGGBB [X Y WIDTH HEIGHT] <SHOT.ppm
 *
 * Prints how many pixels (of the rectangle) have exactly that colour, and the box around them:
 * "COUNT X Y WIDTH HEIGHT". Reads binary PPM of 8 bits.
 */
#include <stdio.h>
#include <stdlib.h>

typedef struct box {
    long x, y, width, height;
} box;

static int read_header(long *width, long *height)
{
    char space;
    return scanf("P6 %ld %ld 255%c", width, height, &space) == 3 && *width > 0 && *height > 0;
}

static int read_box(int argc, char **argv, box *within)
{
    if (argc == 6) {
        *within = (box){atol(argv[2]), atol(argv[3]), atol(argv[4]), atol(argv[5])};
    }
    return argc == 2 || argc == 6;
}

static int is_within(box within, long x, long y)
{
    return x >= within.x && x < within.x + within.width && y >= within.y &&
           y < within.y + within.height;
}

static void grow(box *found, long x, long y)
{
    long right = found->x + found->width, bottom = found->y + found->height;
    if (!found->width) {
        *found = (box){x, y, 1, 1};
        return;
    }
    found->x = x < found->x ? x : found->x;
    found->y = y < found->y ? y : found->y;
    found->width = (x >= right ? x + 1 : right) - found->x;
    found->height = (y >= bottom ? y + 1 : bottom) - found->y;
}

int main(int argc, char **argv)
{
    long width, height, count = 0;
    unsigned char pixel[3];
    if (!read_header(&width, &height)) {
        fputs("picture: standard input is no binary PPM of 8 bits\n", stderr);
        return 1;
    }
    box within = {0, 0, width, height}, found = {0, 0, 0, 0};
    if (!read_box(argc, argv, &within)) {
        fputs("usage: picture RRGGBB [X Y WIDTH HEIGHT] <SHOT.ppm\n", stderr);
        return 2;
    }
    long wanted = strtol(argv[1], NULL, 16);
    for (long i = 0; i < width * height && fread(pixel, 3, 1, stdin) == 1; i++) {
        long colour = (long)pixel[0] << 16 | (long)pixel[1] << 8 | pixel[2];
        if (colour == wanted && is_within(within, i % width, i / width)) {
            count++;
            grow(&found, i % width, i / width);
        }
    }
    printf("%ld %ld %ld %ld %ld\n", count, found.x, found.y, found.width, found.height);
    return 0;
}
