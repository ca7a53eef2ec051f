/* Plug-ins of the command: parts that bring libraries which most commands do not need.
 *
 * A build tree has them beside the program, an installation in lib/reprise; REPRISE_LIB names
 * another folder.
 *
 * Layer: host.
 */
#ifndef HOST_PLUGIN_H
#define HOST_PLUGIN_H

#include <stddef.h>

/* The address of a symbol of the plug-in, which is never unloaded; null with `why` filled. */
const void *plugin_symbol(const char *file_name, const char *symbol, char *why, size_t why_bytes);

#endif
