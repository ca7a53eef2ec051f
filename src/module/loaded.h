/* Loading a build into this process, by the system's loader.
 *
 * Layer: module.  Threads: one.  Tests: tests/deck/test_reload.c
 */
#ifndef RP_MODULE_LOADED_H
#define RP_MODULE_LOADED_H

#include "module/object.h"

/* Loads the library at `path`, a name that no library had before, with all its symbols bound, and
 * describes it. Its constructors run. RP_E_MODULE: the loader refuses it, and says why; `name`
 * stands for it in the text. RP_E_LIMIT: more state than an rp_object can describe; RP_E_MEMORY. */
rp_status rp_loaded_open(const char *path, const char *name, void **handle, rp_object *object);
/* The page from which on its writable data is its own: below, the loader reads its dynamic section
 * as long as it is loaded. */
uint64_t rp_loaded_data_low(void *handle);
/* False: something holds it, and it stays loaded. True for null. */
bool rp_loaded_close(void *handle);
/* Null: it defines no such symbol. */
void *rp_loaded_symbol(void *handle, const char *name);

#endif
