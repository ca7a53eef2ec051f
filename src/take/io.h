/* Where takes are written to and read from: a file, or whatever keeps these contracts, such as
 * bytes in memory, a disk that fills up (tests), or ranges over a network.
 *
 * Layer: take.  Threads: one a sink or source.  Tests: tests/take/
 */
#ifndef RP_TAKE_IO_H
#define RP_TAKE_IO_H

#include "os/os.h"

typedef struct rp_take_sink {
    void *context;
    /* All of it behind what there is, or an error. After an error nothing more is appended. */
    rp_status (*append)(void *context, const void *data, size_t size_bytes);
    /* Brings it to the disk. */
    rp_status (*sync)(void *context);
    /* It is of use from here on: gives it its name. Called once. */
    rp_status (*publish)(void *context);
} rp_take_sink;

typedef struct rp_take_source {
    void *context;
    const char *name; /* for errors */
    uint64_t size_bytes;
    /* All of it, or an error. */
    rp_status (*read)(void *context, uint64_t offset, void *data, size_t size_bytes);
} rp_take_source;

/* A take in a file. `path` stays valid until the close. What stands at the path is replaced when
 * the sink is published, and only where `replace` is set and it is a take. RP_E_TAKEN: something
 * else is there; checked now and, where there was nothing, again then. */
typedef struct rp_take_file {
    rp_os_stream stream;
    bool replace;
} rp_take_file;
rp_status rp_take_file_create(rp_take_file *file, const char *path, bool replace);
/* Removes what was never published. */
void rp_take_file_close(rp_take_file *file);
rp_take_sink rp_take_file_sink(rp_take_file *file);

typedef struct rp_take_file_source {
    int fd;
} rp_take_file_source;
rp_status rp_take_file_open(rp_take_file_source *file, const char *path, rp_take_source *source);
void rp_take_file_source_close(rp_take_file_source *file);

/* Whether the file begins as a take does. RP_E_NOT_FOUND: there is none. */
rp_status rp_take_file_is_take(const char *path, bool *is_take);

#endif
