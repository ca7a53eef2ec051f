/* What a world gets in place of the system's time and randomness.
 *
 * A plain struct that lies in the world (RP_ROOT_ENVIRONMENT of the world zone), so that it is
 * logged and restored with everything else: after a seek the program reads the same clock and draws
 * the same numbers as it did the first time.
 *
 *   clock    a frame begins at the time that its number and the rate say. Each reading within it
 *            is a microsecond later than the one before, so that a loop that waits for the clock
 *            ends. It never goes back: a frame that slept beyond its length pushes the next one on.
 *   bytes    come from xoshiro256** seeded by the world's seed (getrandom, arc4random, …).
 *   rand, random, drand48 …
 *            are glibc's own generators over state in here: after srand(n) a program sees the
 *            values that it would see without us, and before it those of srand(1).
 *
 * The struct holds pointers into itself (struct random_data): it must stay where it was made, which
 * a place in the region does.
 *
 * Layer: deck.  Threads: the stepping thread's alone.  Tests: tests/deck/test_environment.c
 */
#ifndef RP_DECK_ENVIRONMENT_H
#define RP_DECK_ENVIRONMENT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    RP_ENVIRONMENT_RANDOM_BYTES = 128, /* what glibc's random() has by default: its TYPE_3 */
    RP_ENVIRONMENT_READING_NS = 1000   /* how far each reading moves the clock */
};

typedef struct rp_environment {
    uint64_t seed;
    uint64_t start_wall_ns;       /* the wall clock at frame 0, since 1970 */
    uint64_t frame;               /* the frame being made */
    uint64_t dt_ns;               /* length of a frame, rounded down */
    uint64_t frame_ns;            /* virtual time at which this frame began */
    uint64_t clock_ns;            /* what was last read of the clock; at least frame_ns */
    uint64_t calls;               /* readings in this frame */
    uint64_t base_frame, base_ns; /* since when the rate holds */
    uint32_t rate_hz, reserved;
    uint64_t generator[4]; /* xoshiro256** */
    struct drand48_data drand48;
    struct random_data random;
    _Alignas(8) char random_state[RP_ENVIRONMENT_RANDOM_BYTES];
} rp_environment;

void rp_environment_init(rp_environment *environment, uint64_t seed, uint64_t start_wall_ns);
/* Frame `frame` begins: the clock stands at its time. `rate_hz` is at least 1; when it differs from
 * the last frame's, time goes on from there at the new rate. */
void rp_environment_frame(rp_environment *environment, uint64_t frame, uint32_t rate_hz);

/* Readings of the clock: each moves it on. Monotonic time counts from 0 at frame 0. */
uint64_t rp_environment_monotonic_ns(rp_environment *environment);
uint64_t rp_environment_wall_ns(rp_environment *environment);
/* In place of sleeping: the clock moves on by so much. */
void rp_environment_sleep(rp_environment *environment, uint64_t duration_ns);

/* Fills with random bytes: in place of getrandom and the like. */
void rp_environment_random(rp_environment *environment, void *bytes, size_t size_bytes);

/* The C library's generators under their names, but for random(), whose name is taken by the bytes;
 * the values are glibc's. */
int rp_environment_rand(rp_environment *environment);
void rp_environment_srand(rp_environment *environment, unsigned seed);
long rp_environment_random_long(rp_environment *environment);
void rp_environment_srandom(rp_environment *environment, unsigned seed);
/* `state` is the program's and must lie in its world. The state before; null with errno EINVAL
 * where the arguments are wrong. */
char *rp_environment_initstate(rp_environment *environment, unsigned seed, char *state,
                               size_t size_bytes);
char *rp_environment_setstate(rp_environment *environment, char *state);

double rp_environment_drand48(rp_environment *environment);
double rp_environment_erand48(rp_environment *environment, unsigned short x[3]);
long rp_environment_lrand48(rp_environment *environment);
long rp_environment_nrand48(rp_environment *environment, unsigned short x[3]);
long rp_environment_mrand48(rp_environment *environment);
long rp_environment_jrand48(rp_environment *environment, unsigned short x[3]);
void rp_environment_srand48(rp_environment *environment, long seed);
/* Returns the value before, in memory that the next call overwrites. */
unsigned short *rp_environment_seed48(rp_environment *environment, unsigned short x[3]);
void rp_environment_lcong48(rp_environment *environment, unsigned short parameters[7]);

#endif
