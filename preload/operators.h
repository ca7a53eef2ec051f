/* C++'s operator new and delete, by their mangled names, in C. The file that includes this says
 * first, once, what they stand on:
 *
 *     static void *operator_alloc(size_t align_bytes, size_t size_bytes, const void *caller);
 *     static void operator_free(void *block, size_t size_bytes, const void *caller);
 *
 * `align_bytes` is 16 where none was given, `size_bytes` SIZE_MAX where it is not known.
 *
 * A failure asks the program's new handler, again and again, as the standard says, and then throws:
 * both are the C++ library's, which may have been loaded late or be hidden from us; so it is asked
 * for at that moment. Compile with -fexceptions.
 */
#ifndef PRELOAD_OPERATORS_H
#define PRELOAD_OPERATORS_H

#include "family.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#define OPERATORS_CALLER __builtin_return_address(0)

static void *operator_alloc(size_t align_bytes, size_t size_bytes, const void *caller);
static void operator_free(void *block, size_t size_bytes, const void *caller);

/* ---- failing ---- */

static void *operators_library(const char *symbol)
{
    void *found = dlsym(RTLD_DEFAULT, symbol);
    if (!found) {
        void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
        found = library ? dlsym(library, symbol) : NULL;
    }
    return found;
}

static _Noreturn void operators_throw(void)
{
    void (*throw_bad_alloc)(void);
    *(void **)&throw_bad_alloc = operators_library("_ZSt17__throw_bad_allocv");
    if (throw_bad_alloc) {
        throw_bad_alloc();
    }
    static const char text[] =
        "reprise: operator new: out of memory, and no C++ library to throw\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) {
        /* nowhere to say it */
    }
    abort();
}

/* Tries again for as long as there is a handler. */
__attribute__((noinline, cold)) static void *operators_retry(size_t align_bytes, size_t size_bytes,
                                                             const void *caller)
{
    void (*(*handler_get)(void))(void);
    *(void **)&handler_get = operators_library("_ZSt15get_new_handlerv");
    for (;;) {
        void (*handler)(void) = handler_get ? handler_get() : NULL;
        if (!handler) {
            operators_throw();
        }
        handler();
        void *block = operator_alloc(align_bytes, size_bytes, caller);
        if (block) {
            return block;
        }
    }
}

static inline void *operators_new(size_t align_bytes, size_t size_bytes, const void *caller)
{
    void *block = operator_alloc(align_bytes, size_bytes, caller);
    return FAMILY_LIKELY(block) ? block : operators_retry(align_bytes, size_bytes, caller);
}

/* A handler's exception must not leave the form that does not throw, and C cannot catch it: the C++
 * library's own form calls our operator new and catches. */
__attribute__((noinline, cold)) static void *
operators_nothrow(const char *name, size_t size_bytes, size_t align_bytes, const void *nothrow)
{
    void *(*plain)(size_t, const void *);
    void *(*with_align)(size_t, size_t, const void *);
    void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
    void *theirs = library ? dlsym(library, name) : NULL;
    *(void **)&plain = theirs;
    *(void **)&with_align = theirs;
    if (!theirs) {
        return NULL;
    }
    return align_bytes ? with_align(size_bytes, align_bytes, nothrow) : plain(size_bytes, nothrow);
}

/* ---- new ---- */

enum { OPERATORS_ALIGN = 16 }; /* __STDCPP_DEFAULT_NEW_ALIGNMENT__ */

#define OPERATORS_NEW(name)                                                                       \
    void *name(size_t size_bytes);                                                                \
    void *name(size_t size_bytes)                                                                 \
    {                                                                                             \
        return operators_new(OPERATORS_ALIGN, size_bytes, OPERATORS_CALLER);                      \
    }                                                                                             \
    void *name##RKSt9nothrow_t(size_t size_bytes, const void *nothrow);                           \
    void *name##RKSt9nothrow_t(size_t size_bytes, const void *nothrow)                            \
    {                                                                                             \
        void *block = operator_alloc(OPERATORS_ALIGN, size_bytes, OPERATORS_CALLER);              \
        return block ? block : operators_nothrow(#name "RKSt9nothrow_t", size_bytes, 0, nothrow); \
    }

#define OPERATORS_NEW_ALIGNED(name)                                                               \
    void *name(size_t size_bytes, size_t align_bytes);                                            \
    void *name(size_t size_bytes, size_t align_bytes)                                             \
    {                                                                                             \
        return operators_new(align_bytes, size_bytes, OPERATORS_CALLER);                          \
    }                                                                                             \
    void *name##RKSt9nothrow_t(size_t size_bytes, size_t align_bytes, const void *nothrow);       \
    void *name##RKSt9nothrow_t(size_t size_bytes, size_t align_bytes, const void *nothrow)        \
    {                                                                                             \
        void *block = operator_alloc(align_bytes, size_bytes, OPERATORS_CALLER);                  \
        return block                                                                              \
                   ? block                                                                        \
                   : operators_nothrow(#name "RKSt9nothrow_t", size_bytes, align_bytes, nothrow); \
    }

OPERATORS_NEW(_Znwm)
OPERATORS_NEW(_Znam)
OPERATORS_NEW_ALIGNED(_ZnwmSt11align_val_t)
OPERATORS_NEW_ALIGNED(_ZnamSt11align_val_t)

/* ---- delete ---- */

#define OPERATORS_DELETE(name, parameters, size_known)      \
    void name parameters;                                   \
    void name parameters                                    \
    {                                                       \
        operator_free(block, size_known, OPERATORS_CALLER); \
    }
#define OPERATORS_UNUSED __attribute__((unused))

OPERATORS_DELETE(_ZdlPv, (void *block), SIZE_MAX)
OPERATORS_DELETE(_ZdaPv, (void *block), SIZE_MAX)
OPERATORS_DELETE(_ZdlPvm, (void *block, size_t size_bytes), size_bytes)
OPERATORS_DELETE(_ZdaPvm, (void *block, size_t size_bytes), size_bytes)
OPERATORS_DELETE(_ZdlPvRKSt9nothrow_t, (void *block, const void *nothrow OPERATORS_UNUSED),
                 SIZE_MAX)
OPERATORS_DELETE(_ZdaPvRKSt9nothrow_t, (void *block, const void *nothrow OPERATORS_UNUSED),
                 SIZE_MAX)
OPERATORS_DELETE(_ZdlPvSt11align_val_t, (void *block, size_t align_bytes OPERATORS_UNUSED),
                 SIZE_MAX)
OPERATORS_DELETE(_ZdaPvSt11align_val_t, (void *block, size_t align_bytes OPERATORS_UNUSED),
                 SIZE_MAX)
OPERATORS_DELETE(_ZdlPvmSt11align_val_t,
                 (void *block, size_t size_bytes, size_t align_bytes OPERATORS_UNUSED), size_bytes)
OPERATORS_DELETE(_ZdaPvmSt11align_val_t,
                 (void *block, size_t size_bytes, size_t align_bytes OPERATORS_UNUSED), size_bytes)
OPERATORS_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t,
                 (void *block, size_t align_bytes OPERATORS_UNUSED,
                  const void *nothrow OPERATORS_UNUSED),
                 SIZE_MAX)
OPERATORS_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t,
                 (void *block, size_t align_bytes OPERATORS_UNUSED,
                  const void *nothrow OPERATORS_UNUSED),
                 SIZE_MAX)

#endif
