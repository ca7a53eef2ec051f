/* Virtual time and randomness. The state is in the caller's struct; nothing here is kept. */
#include "deck/environment.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

/* ---- the clock ---- */

#define NS_PER_SECOND UINT64_C(1000000000)

static uint64_t frames_to_ns(uint64_t frame_count, uint32_t rate_hz)
{
    return frame_count / rate_hz * NS_PER_SECOND + frame_count % rate_hz * NS_PER_SECOND / rate_hz;
}

void rp_environment_frame(rp_environment *environment, uint64_t frame, uint32_t rate_hz)
{
    RP_ASSERT(rate_hz != 0);
    if (rate_hz != environment->rate_hz || frame < environment->base_frame) {
        uint64_t last = environment->frame; /* 0 before the first frame */
        environment->base_frame = frame < last ? frame : last;
        environment->base_ns = environment->frame_ns;
        environment->rate_hz = rate_hz;
        environment->dt_ns = NS_PER_SECOND / rate_hz;
    }
    uint64_t passed = frame > environment->base_frame ? frame - environment->base_frame : 0;
    environment->frame = frame;
    environment->frame_ns = environment->base_ns + frames_to_ns(passed, rate_hz);
    if (environment->clock_ns < environment->frame_ns) {
        environment->clock_ns = environment->frame_ns;
    }
    environment->calls = 0;
}

uint64_t rp_environment_monotonic_ns(rp_environment *environment)
{
    environment->calls++;
    return environment->clock_ns += RP_ENVIRONMENT_READING_NS;
}

uint64_t rp_environment_wall_ns(rp_environment *environment)
{
    return environment->start_wall_ns + rp_environment_monotonic_ns(environment);
}

void rp_environment_sleep(rp_environment *environment, uint64_t duration_ns)
{
    if (__builtin_add_overflow(environment->clock_ns, duration_ns, &environment->clock_ns)) {
        environment->clock_ns = UINT64_MAX / 2;
    }
}

/* ---- random bytes: xoshiro256**, seeded through splitmix64 as its authors advise ---- */

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t rotate_left(uint64_t x, unsigned count)
{
    return x << count | x >> (64 - count);
}

static uint64_t generator_next(uint64_t s[4])
{
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

void rp_environment_random(rp_environment *environment, void *bytes, size_t size_bytes)
{
    uint8_t *to = bytes;
    while (size_bytes) {
        uint64_t word = generator_next(environment->generator);
        size_t count = size_bytes < sizeof word ? size_bytes : sizeof word;
        memcpy(to, &word, count);
        to += count;
        size_bytes -= count;
    }
}

void rp_environment_init(rp_environment *environment, uint64_t seed, uint64_t start_wall_ns)
{
    memset(environment, 0, sizeof *environment);
    environment->seed = seed;
    environment->start_wall_ns = start_wall_ns;
    uint64_t state = seed;
    for (int i = 0; i < 4; i++) {
        environment->generator[i] = splitmix(&state);
    }
    /* 1 is the seed that the C standard gives a program that never calls srand; a zeroed
     * drand48_data is what glibc begins with. */
    initstate_r(1, environment->random_state, sizeof environment->random_state,
                &environment->random);
}

/* ---- rand and random ---- */

int rp_environment_rand(rp_environment *environment)
{
    int32_t value = 0;
    random_r(&environment->random, &value);
    return value;
}

void rp_environment_srand(rp_environment *environment, unsigned seed)
{
    srandom_r(seed, &environment->random);
}

long rp_environment_random_long(rp_environment *environment)
{
    return rp_environment_rand(environment);
}

void rp_environment_srandom(rp_environment *environment, unsigned seed)
{
    srandom_r(seed, &environment->random);
}

/* glibc keeps the kind and the position of a state in the word before it, which is where the
 * caller's buffer begins; the _r functions bring that word of the state that is left up to date. */
static char *state_buffer(const rp_environment *environment)
{
    return (char *)(environment->random.state - 1);
}

char *rp_environment_initstate(rp_environment *environment, unsigned seed, char *state,
                               size_t size_bytes)
{
    char *before = state_buffer(environment);
    return initstate_r(seed, state, size_bytes, &environment->random) ? NULL : before;
}

char *rp_environment_setstate(rp_environment *environment, char *state)
{
    if (!state) {
        errno = EINVAL;
        return NULL;
    }
    char *before = state_buffer(environment);
    return setstate_r(state, &environment->random) ? NULL : before;
}

/* ---- drand48 and its family ---- */

double rp_environment_drand48(rp_environment *environment)
{
    double value = 0;
    drand48_r(&environment->drand48, &value);
    return value;
}

double rp_environment_erand48(rp_environment *environment, unsigned short x[3])
{
    double value = 0;
    erand48_r(x, &environment->drand48, &value);
    return value;
}

long rp_environment_lrand48(rp_environment *environment)
{
    long value = 0;
    lrand48_r(&environment->drand48, &value);
    return value;
}

long rp_environment_nrand48(rp_environment *environment, unsigned short x[3])
{
    long value = 0;
    nrand48_r(x, &environment->drand48, &value);
    return value;
}

long rp_environment_mrand48(rp_environment *environment)
{
    long value = 0;
    mrand48_r(&environment->drand48, &value);
    return value;
}

long rp_environment_jrand48(rp_environment *environment, unsigned short x[3])
{
    long value = 0;
    jrand48_r(x, &environment->drand48, &value);
    return value;
}

void rp_environment_srand48(rp_environment *environment, long seed)
{
    srand48_r(seed, &environment->drand48);
}

unsigned short *rp_environment_seed48(rp_environment *environment, unsigned short x[3])
{
    seed48_r(x, &environment->drand48);
    return environment->drand48.__old_x;
}

void rp_environment_lcong48(rp_environment *environment, unsigned short parameters[7])
{
    lcong48_r(parameters, &environment->drand48);
}
