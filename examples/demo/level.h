/* The demo's map, as text. Like everything here it may be edited while the game runs: draw a bridge
 * over the gap and save.
 */
#ifndef DEMO_LEVEL_H
#define DEMO_LEVEL_H

#include <math.h>

enum { TILE = 16, LEVEL_ROWS = 11, LEVEL_COLUMNS = 92 };

/* # ground   = stone   o coin   s slug   f frog   b bat   P lamp (you come back here)   G goal */
/* clang-format off */
static const char *const level[LEVEL_ROWS] = {
    "                                                                                            ",
    "                                             b                                              ",
    "                                                                        b                   ",
    "                                            ooo                                             ",
    "                                    oo      ===                        ooo                  ",
    "       oo         oo               o    P                ooo   ooo             ooo          ",
    "      o  o                        o   #############            ===   s         ===          ",
    "   @        s ####      P  ooo        #############   f      P     ####      f     s    G   ",
    "##################  ##############    ###################   ###########   ##################",
    "##################  ##############    ###################   ###########   ##################",
    "##################  ##############    ###################   ###########   ##################",
};
/* clang-format on */

static int solid(float x, float y)
{
    int column = (int)floorf(x), row = (int)floorf(y);
    if (column < 0 || column >= LEVEL_COLUMNS) {
        return 1;
    }
    return row >= 0 && row < LEVEL_ROWS && (level[row][column] == '#' || level[row][column] == '=');
}

#endif
