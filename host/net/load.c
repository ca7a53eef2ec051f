/* The plug-in with libcurl. */
#include "net/net.h"
#include "plugin.h"

#include <base/error.h>

static const char plugin_name[] = "reprise-net.so";

const net_class *net_class_load(void)
{
    static const net_class *loaded; /* a library is loaded once a process */
    char why[256] = "it is not installed";
    if (!loaded) {
        loaded = plugin_symbol(plugin_name, "reprise_net_class", why, sizeof why);
    }
    if (!loaded) {
        rp_fail(RP_E_NOT_FOUND,
                "network: cannot load %s: %s: install libcurl4, set REPRISE_LIB to its folder, or "
                "download the take",
                plugin_name, why);
    }
    return loaded;
}
