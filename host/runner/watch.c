/* What a step watches and checks, for the host. See reprise/watch.h. It goes through the link, so
 * it is no state. */
#include "runner.h"

#include <base/text.h>
#include <math.h>
#include <reprise/watch.h>
#include <string.h>

void runner_watch_begin(void)
{
    link_watched *watched = &the_runner.link->watched;
    watched->watch_count = watched->check_count = watched->left_out = 0;
    watched->origin_x = watched->origin_y = 0;
    watched->open = 1;
}

void runner_watch_end(void)
{
    the_runner.link->watched.open = 0;
}

static link_watched *open_now(void)
{
    return the_runner.link && the_runner.link->watched.open ? &the_runner.link->watched : NULL;
}

static void watch_add(const char *name, uint32_t is_point, double x, double y)
{
    link_watched *watched = open_now();
    if (!watched || !isfinite(x) || !isfinite(y)) {
        return;
    }
    if (watched->watch_count >= LINK_WATCH_MAX) {
        watched->left_out++;
        return;
    }
    link_watch *watch = &watched->watches[watched->watch_count++];
    rp_text_copy(watch->name, sizeof watch->name, name);
    watch->is_point = is_point;
    watch->x = x;
    watch->y = y;
}

void rp_watch(const char *name, double value)
{
    watch_add(name, 0, value, 0);
}

void rp_watch_point(const char *name, double x_px, double y_px)
{
    watch_add(name, 1, x_px, y_px);
}

void rp_watch_origin(double x_px, double y_px)
{
    link_watched *watched = open_now();
    if (watched && isfinite(x_px) && isfinite(y_px)) {
        watched->origin_x = x_px;
        watched->origin_y = y_px;
    }
}

static link_check *check_add(const char *name, uint32_t kind, uint64_t value)
{
    link_watched *watched = open_now();
    if (watched && watched->check_count < LINK_CHECK_MAX) {
        link_check *check = &watched->checks[watched->check_count++];
        *check = (link_check){.kind = kind, .value = value};
        rp_text_copy(check->name, sizeof check->name, name);
        return check;
    }
    if (watched) {
        watched->left_out++;
    }
    return NULL;
}

void rp_check_int(const char *name, int64_t value)
{
    check_add(name, LINK_CHECK_INT, (uint64_t)value);
}

void rp_check_uint(const char *name, uint64_t value)
{
    check_add(name, LINK_CHECK_UINT, value);
}

void rp_check_float(const char *name, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    check_add(name, LINK_CHECK_FLOAT, bits);
}

/* FNV-1a. */
static uint64_t hash_of(const unsigned char *bytes, size_t size_bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size_bytes; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void bytes_add(const char *name, uint32_t kind, const void *bytes, size_t size_bytes)
{
    link_check *check = check_add(name, kind, hash_of(bytes, size_bytes));
    if (check) {
        check->size_bytes = size_bytes;
        memcpy(check->start, bytes,
               size_bytes < sizeof check->start ? size_bytes : sizeof check->start);
    }
}

void rp_check_text(const char *name, const char *text)
{
    bytes_add(name, LINK_CHECK_TEXT, text ? text : "", text ? strlen(text) : 0);
}

void rp_check_bytes(const char *name, const void *bytes, size_t size_bytes)
{
    bytes_add(name, LINK_CHECK_BYTES, size_bytes ? bytes : "", size_bytes);
}
