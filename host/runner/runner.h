/* The runner: the process that holds the world and runs the user's module.
 *
 * It serves one host over the link (host/link.h), one request at a time: declare ranges, restore,
 * load a build, step and commit. Everything of it that must not be restored lies outside the world
 * zone: in its own data, in the keep zone, in the link. It ends by _exit or by a signal, never by
 * returning from main.
 *
 *   main.c      start: the link, the secrets, the region, the libraries
 *   serve.c     the requests            load.c   builds, old builds, ranges
 *   step.c      running the module      commit.c written pages to the host
 *   malloc.c    the program's malloc    libc_*.c what else of the C library is state or differs by
 * run
 *   memory.c    debug modes, findings   report.c who owns memory
 *   watch.c     what a step watches and checks
 *   fail.c      signals, exits and assertions become a record for the host
 *
 * Layer: host (runner).  Threads: the main thread serves and steps.  Design: docs/internals/host.md
 */
#ifndef RUNNER_RUNNER_H
#define RUNNER_RUNNER_H

#include "../link.h"
#include <reprise/trace.h>

#include <base/text.h>
#include <deck/environment.h>
#include <history/world.h>
#include <module/object.h>
#include <module/plan.h>
#include <reprise/memory.h>
#include <reprise/stage.h>
#include <signal.h>
#include <stdatomic.h>

enum { RUNNER_LINK_FD = 3, RUNNER_LOG_FD = 4, RUNNER_SOCKET_FD = 5, RUNNER_STACK_BYTES = 8 << 20 };

/* The functions of a module; those that it lacks are null. */
typedef struct runner_module {
    void *handle;
    const rp_object *object;
    void (*start)(rp_stage *);
    void (*step)(rp_stage *);
    void (*render)(rp_stage *);
    void (*reloaded)(rp_stage *, const rp_reload *);
    void (*stop)(rp_stage *);
} runner_module;

typedef struct runner {
    link_memory *link;
    rp_world *world;
    uint8_t *stack_top; /* of the deck's stack */
    uint8_t *stack_low; /* its lowest usable byte */
    rp_stage *stage;    /* in the keep zone, at the same address in every process */
    runner_module module;
    rp_object *objects; /* RP_OBJECT_MAX, in the keep zone */
    size_t object_count;
    size_t library_ranges;         /* ranges declared before the module was loaded */
    volatile sig_atomic_t in_step; /* the user's code runs */
    bool refuses;                  /* system calls that write into the world: see libc_buffers.c */
} runner;

extern runner the_runner; /* one in a process, by its nature */

/* main.c */
void runner_send(const link_message *message);
bool runner_receive(link_message *message); /* false: the host is gone */
_Noreturn void runner_leave(int code);
void runner_tracer_allow(void);

/* serve.c */
_Noreturn void runner_serve(void);
void runner_hold(uint64_t frame);

/* load.c */
rp_status runner_declare_libraries(const link_known *known, size_t bytes);
rp_status runner_old_builds(const link_old_build *old, uint64_t count);
rp_status runner_load(const link_load *load, size_t bytes);
void runner_objects_report(uint32_t build);

/* step.c */
void runner_stage_begin(uint32_t flags);
void runner_call(void (*function)(rp_stage *));
void runner_call_reloaded(const rp_reload *reload);
void runner_constructors(void (*function)(void *), void *argument);

/* commit.c */
rp_status runner_commit(link_message *answer);

/* carry.c */
rp_status runner_plan(const link_message *request); /* takes a piece of one */
rp_status runner_carry(void); /* by the plan that was taken, which then goes */
rp_status runner_survey(rp_report_writer *writer, void *context); /* the same */

/* malloc.c */
rp_status runner_memory_open(void); /* region and heaps; also by the first malloc */
rp_allocator *runner_heap_for(const void *caller);
/* While set, allocations of the C library made by this thread belong to that zone: for functions
 * that allocate for their caller. Returns the former value. */
int runner_heap_override(int zone_or_none);
enum { RUNNER_HEAP_BY_CALLER = -1 };

/* memory.c: the debug side */
rp_status runner_debug_open(void);
rp_status runner_debug_set(void);
/* The world's bytes came from elsewhere. */
void runner_restored(void);
/* Around each call of the module that makes a frame. */
void runner_frame_begin(void);
void runner_frame_end(void);
/* After a load: the module's globals are searched for pointers into temp memory that ends. */
void runner_module_watch(void);
/* For rp_world_check_threads. */
void runner_intruder_tell(void *context, const rp_os_intruder *who);
/* For a fault: fills the finding where a guard of ours stands at the address. */
bool runner_fault_explain(const void *address, int is_write, uint64_t pc);

/* watch.c: around a step: what it watches and checks */
void runner_watch_begin(void);
void runner_watch_end(void);

/* report.c: reports on memory; sends pieces before it returns */
rp_status runner_report(const link_message *request, link_message *answer);

/* libc_time.c */
rp_environment *runner_environment(void); /* null before there is a world */
bool runner_is_world(const void *caller);
rp_environment *runner_environment_of(const void *caller); /* null: code that gets the real world */

/* libc_buffers.c: before a system call writes there, for calls that stand elsewhere */
void runner_will_write(void *start, size_t size_bytes);

/* fail.c */
void runner_fail_open(void);
/* What lies at `address`, for a person. */
void runner_describe(rp_text_buffer *text, uint64_t address);
void runner_failing(const char *text);
/* Ends the step: the record says `kind` and `text`; does not return. */
_Noreturn void runner_fail(uint32_t kind, int code, const char *text);

#endif
