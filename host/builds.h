/* Watching for builds: the module's file, and with a build command its sources.
 *
 *     sources ─change─► build command ─writes─► module file ─complete, other content─► BUILDS_NEW
 *                            │ fails                  │ no module
 *                            ▼                        ▼
 *                       BUILDS_FAILED             BUILDS_BAD
 *
 * A build is known by its content, never by a time. It is taken when it parses as complete, did not
 * change while it was read, and nobody has it open for writing; then a private copy with a name of
 * its own is made, so that the linker is never blocked. Builds that follow each other faster than
 * they can be taken are superseded by the newest.
 *
 * A change of a source starts the command; one at a time; a change while it runs starts it again.
 * What the command itself writes among the sources starts it again only when the content is
 * another.
 *
 * A build of 4 MiB and more is read by a thread, its types too, so that frames go on meanwhile.
 *
 * Layer: host.  Threads: the host's main thread.  Tests: tests/host/test_builds.c
 */
#ifndef HOST_BUILDS_H
#define HOST_BUILDS_H

#include <module/elf.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct builds builds;

enum { BUILDS_PATH_BYTES = 256, BUILDS_FD_MAX = 3, BUILDS_SOURCE_MAX = 32 };

typedef struct builds_desc {
    const char *module_path;
    const char *build_command; /* for `sh -c`, run in the host's directory; null: none */
    /* Files, and directories with those four levels below them; none: the module's directory. Of a
     * directory only *.c *.h *.cpp *.hpp *.cc *.inl, Makefile and CMakeLists.txt count. */
    const char *const *source_paths;
    int source_count;
    const char *copy_directory; /* exists, for this host alone; the copies in it stay */
} builds_desc;

typedef enum builds_event_kind {
    BUILDS_NONE,
    BUILDS_NEW,  /* elf (the caller's from now on), copy_path, complete_ns */
    BUILDS_BAD,  /* status, text: what is there is no build; once for each content, and once when it
                    is gone */
    BUILDS_BACK, /* after BUILDS_BAD: the file holds the last new build again */
    BUILDS_RUNNING, /* the command was started */
    BUILDS_FAILED,  /* exit_code, text: the first line that names an error, then what follows it */
    BUILDS_DONE, /* the command ended with 0; a new build follows where the file's content changed
                  */
} builds_event_kind;

typedef struct builds_event {
    builds_event_kind kind;
    rp_elf *elf;
    char copy_path[BUILDS_PATH_BYTES]; /* of the private copy, of the same length for all builds */
    uint64_t complete_ns; /* monotonic time of the news after which the file was complete */
    rp_status status;
    int exit_code;
    const char *text; /* "" where there is none; until the next builds_poll */
} builds_event;

/* Where the module does not exist yet and there is a command, it runs first. RP_E_NOT_FOUND: a
 * source path that does not exist. RP_E_LIMIT: too many directories to watch. */
rp_status builds_open(const builds_desc *desc, builds **out);
/* Ends a running command. */
void builds_close(builds *b); /* null is nothing */
/* The next event; false: none now. Call it until then, when a descriptor is readable or the timeout
 * is over. Reads and copies a complete build, where it is not a large one; waits for nothing. */
bool builds_poll(builds *b, builds_event *event);
/* Descriptors to wait for with POLLIN; returns how many. They change with each builds_poll. */
int builds_fds(const builds *b, int *fds, int capacity);
/* How long to wait at most; -1: until a descriptor is readable. */
int builds_timeout_ms(const builds *b);

#endif
