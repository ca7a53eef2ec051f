/* Standing in front of the C library's functions. See runner.h. */
#ifndef RUNNER_INTERPOSE_H
#define RUNNER_INTERPOSE_H

#include <dlfcn.h>

#define EXPORT __attribute__((visibility("default")))
/* Who called the function that says it: an address in their code. */
#define CALLER __builtin_return_address(0)

/* Declares `real`, the function of this name behind ours, looked up once. */
#define REAL(name)                                 \
    static __typeof__(&name) real;                 \
    if (!real) {                                   \
        *(void **)&real = dlsym(RTLD_NEXT, #name); \
    }

#endif
