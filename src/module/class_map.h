/* The table of code addresses and classes.
 *
 * Layer: module, internal to object.c and class_map.c.
 */
#ifndef RP_MODULE_CLASS_MAP_H
#define RP_MODULE_CLASS_MAP_H

#include "module/object.h"

/* The class that was given to code in an object at exactly [low, high); false: none was. */
bool rp_class_map_knows(uint64_t low, uint64_t high, rp_zone *zone);

#endif
