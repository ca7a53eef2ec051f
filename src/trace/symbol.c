/* Code addresses as text, from the loader's tables: no file is read, nothing is allocated. */
#include "base/text.h"
#include "trace/trace.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The exported name below the address, where there is one. */
static bool by_name(const void *address, rp_text_buffer *text)
{
    Dl_info info;
    if (!dladdr(address, &info) || !info.dli_sname) {
        return false;
    }
    rp_text_add(text, "%s+0x%zx (%s)", info.dli_sname,
                (size_t)((const char *)address - (const char *)info.dli_saddr),
                file_name(info.dli_fname));
    return true;
}

static void by_object(const void *address, rp_text_buffer *text)
{
    struct dl_find_object object;
    if (_dl_find_object((void *)(uintptr_t)address, &object) != 0) {
        rp_text_add(text, "%p", address);
        return;
    }
    const char *path = object.dlfo_link_map->l_name;
    rp_text_add(text, "%s+0x%zx", *path ? file_name(path) : "program",
                (size_t)((uintptr_t)address - object.dlfo_link_map->l_addr));
}

static bool deferred; /* one in a process: how its reports are read, not state */

void rp_trace_symbols_defer(bool defer)
{
    deferred = defer;
}

void rp_trace_symbolise(const void *address, bool in_signal, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    if (deferred) {
        rp_text_add(&buffer, "{@%llx}", (unsigned long long)(uintptr_t)address);
    } else if (in_signal || !by_name(address, &buffer)) {
        by_object(address, &buffer);
    }
}
