/* What a person wants to see of a module's step, and what must not differ between builds.
 *
 *   rp_watch_point("fox", x, y);      its path over a loop is drawn over the picture: that of this
 *                                     build in colour, that of the build before it in grey
 *   rp_watch("fox.vy", vy);           listed by `reprise ctl watch`, frame by frame
 *   rp_check("score", score);         compared with what the build before had in the same frame of
 * the same input; the first difference is told
 *
 * Called in rp_module_step. None of it is state: hashes are the same with and without. Names are
 * copied, up to 31 bytes; a frame keeps 64 watched values and 64 checks, what is more is counted
 * and told. Outside a step, and in a program that embeds a deck, nothing happens.
 *
 * Layer: public; a module's.  Design: docs/internals/host.md  Tests: tests/e2e/play_reload.sh
 */
#ifndef REPRISE_WATCH_H
#define REPRISE_WATCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A number; one that is not finite is left out. */
void rp_watch(const char *name, double value);
/* A point, in pixels from the origin. */
void rp_watch_point(const char *name, double x_px, double y_px);
/* Where the points' (0, 0) lies on the canvas in this frame; at first (0, 0). With a camera, points
 * are the world's, and the origin is where the camera puts the world's. */
void rp_watch_origin(double x_px, double y_px);

void rp_check_int(const char *name, int64_t value);
void rp_check_uint(const char *name, uint64_t value);
void rp_check_float(const char *name, double value);    /* compared bit by bit */
void rp_check_text(const char *name, const char *text); /* null counts as "" */
void rp_check_bytes(const char *name, const void *bytes, size_t size_bytes);

#ifdef __cplusplus
}

static inline void rp_check(const char *name, bool value)
{
    rp_check_int(name, value);
}
static inline void rp_check(const char *name, int value)
{
    rp_check_int(name, value);
}
static inline void rp_check(const char *name, long value)
{
    rp_check_int(name, value);
}
static inline void rp_check(const char *name, long long value)
{
    rp_check_int(name, value);
}
static inline void rp_check(const char *name, unsigned value)
{
    rp_check_uint(name, value);
}
static inline void rp_check(const char *name, unsigned long value)
{
    rp_check_uint(name, value);
}
static inline void rp_check(const char *name, unsigned long long value)
{
    rp_check_uint(name, value);
}
static inline void rp_check(const char *name, double value)
{
    rp_check_float(name, value);
}
static inline void rp_check(const char *name, const char *text)
{
    rp_check_text(name, text);
}
#else
/* An integer, a floating-point number or a text. A pointer does not compile: addresses differ. */
/* clang-format off */
#define rp_check(name, value)                                                                      \
    _Generic((value),                                                                              \
        float: rp_check_float, double: rp_check_float,                                             \
        unsigned char: rp_check_uint, unsigned short: rp_check_uint, unsigned: rp_check_uint,      \
        unsigned long: rp_check_uint, unsigned long long: rp_check_uint,                           \
        char *: rp_check_text, const char *: rp_check_text,                                        \
        default: rp_check_int)((name), (value))
/* clang-format on */
#endif

#endif
