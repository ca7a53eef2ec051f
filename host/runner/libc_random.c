/* Random numbers, for the program's code: from a state that lies in the world, so that a restored
 * or repeated frame draws what it drew before. Code of keep libraries gets the system's.
 */
#include "interpose.h"
#include "runner.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

EXPORT ssize_t getrandom(void *bytes, size_t size_bytes, unsigned flags)
{
    rp_environment *environment = runner_environment_of(CALLER);
    if (environment) {
        rp_environment_random(environment, bytes, size_bytes);
        return (ssize_t)size_bytes;
    }
    REAL(getrandom);
    return real(bytes, size_bytes, flags);
}

EXPORT int getentropy(void *bytes, size_t size_bytes)
{
    rp_environment *environment = runner_environment_of(CALLER);
    if (environment && size_bytes <= 256) {
        rp_environment_random(environment, bytes, size_bytes);
        return 0;
    }
    REAL(getentropy);
    return real(bytes, size_bytes);
}

EXPORT void arc4random_buf(void *bytes, size_t size_bytes)
{
    rp_environment *environment = runner_environment_of(CALLER);
    if (environment) {
        rp_environment_random(environment, bytes, size_bytes);
        return;
    }
    REAL(arc4random_buf);
    real(bytes, size_bytes);
}

EXPORT uint32_t arc4random(void)
{
    rp_environment *environment = runner_environment_of(CALLER);
    uint32_t value;
    if (environment) {
        rp_environment_random(environment, &value, sizeof value);
        return value;
    }
    REAL(arc4random);
    return real();
}

EXPORT uint32_t arc4random_uniform(uint32_t bound)
{
    rp_environment *environment = runner_environment_of(CALLER);
    if (!environment) {
        REAL(arc4random_uniform);
        return real(bound);
    }
    if (bound < 2) {
        return 0;
    }
    uint32_t value, unfair = -bound % bound; /* values below it would favour small results */
    do {
        rp_environment_random(environment, &value, sizeof value);
    } while (value < unfair);
    return value % bound;
}

/* A generator whose state is the environment's in the world and libc's elsewhere. */
#define GENERATOR(type, name, parameters, ours, theirs)              \
    EXPORT type name parameters                                      \
    {                                                                \
        rp_environment *environment = runner_environment_of(CALLER); \
        if (environment) {                                           \
            return ours;                                             \
        }                                                            \
        REAL(name);                                                  \
        return theirs;                                               \
    }
#define SEEDER(name, parameters, ours, theirs)                       \
    EXPORT void name parameters                                      \
    {                                                                \
        rp_environment *environment = runner_environment_of(CALLER); \
        if (environment) {                                           \
            ours;                                                    \
            return;                                                  \
        }                                                            \
        REAL(name);                                                  \
        theirs;                                                      \
    }

GENERATOR(int, rand, (void), rp_environment_rand(environment), real())
GENERATOR(long, random, (void), rp_environment_random_long(environment), real())
SEEDER(srand, (unsigned seed), rp_environment_srand(environment, seed), real(seed))
SEEDER(srandom, (unsigned seed), rp_environment_srandom(environment, seed), real(seed))
GENERATOR(char *, initstate, (unsigned seed, char *state, size_t size_bytes),
          rp_environment_initstate(environment, seed, state, size_bytes),
          real(seed, state, size_bytes))
GENERATOR(char *, setstate, (char *state), rp_environment_setstate(environment, state), real(state))
GENERATOR(double, drand48, (void), rp_environment_drand48(environment), real())
GENERATOR(double, erand48, (unsigned short x[3]), rp_environment_erand48(environment, x), real(x))
GENERATOR(long, lrand48, (void), rp_environment_lrand48(environment), real())
GENERATOR(long, nrand48, (unsigned short x[3]), rp_environment_nrand48(environment, x), real(x))
GENERATOR(long, mrand48, (void), rp_environment_mrand48(environment), real())
GENERATOR(long, jrand48, (unsigned short x[3]), rp_environment_jrand48(environment, x), real(x))
SEEDER(srand48, (long seed), rp_environment_srand48(environment, seed), real(seed))
GENERATOR(unsigned short *, seed48, (unsigned short x[3]), rp_environment_seed48(environment, x),
          real(x))
SEEDER(lcong48, (unsigned short parameters[7]), rp_environment_lcong48(environment, parameters),
       real(parameters))
