/* The contract with the operating system. Everything above this layer calls only what is here.
 *
 * src/os/linux/ keeps it today; src/os/windows/ has its place. All addresses and sizes of the vm
 * and tracking calls are multiples of RP_PAGE_BYTES unless said otherwise. Nothing here allocates
 * from a heap; nothing here blocks but where it says so. Built with RP_FAULTS, tests can make the
 * k-th system call of a thread fail (src/os/linux/fault.h, tests/support/fault.h).
 *
 * Layer: os.  Tests: tests/os/  Design: docs/internals/region.md, docs/internals/history.md
 */
#ifndef RP_OS_H
#define RP_OS_H

#include <reprise/status.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- virtual memory (vm.c) ------------------------------------------------------------------ */

typedef enum rp_os_protection { RP_OS_NONE, RP_OS_READ, RP_OS_READ_WRITE } rp_os_protection;

/* Reserves exactly [address, address + size_bytes) with no access and no charge against memory.
 * RP_E_TAKEN: something is there, or the system put the mapping elsewhere (it is undone).
 * RP_E_LIMIT: RLIMIT_AS or the address space forbids it. */
rp_status rp_os_vm_reserve_at(void *address, size_t size_bytes);
/* Reserves anywhere. Null with the record set when it fails. */
void *rp_os_vm_reserve(size_t size_bytes);
void rp_os_vm_release(void *address, size_t size_bytes);
/* Makes reserved pages readable and writable; fresh ones read as zero. RP_E_MEMORY when the system
 * refuses to commit that much. */
rp_status rp_os_vm_commit(void *address, size_t size_bytes);
/* Asks for huge pages; a hint that never fails. */
void rp_os_vm_want_huge(void *address, size_t size_bytes);
/* Gives committed pages their memory now and leaves what they hold, also while others write there;
 * a hint that never fails (Linux 5.14). */
void rp_os_vm_populate(void *address, size_t size_bytes);
enum { RP_OS_HUGE_BYTES = 2 << 20 }; /* of a huge page, and what it is aligned to */
/* Puts what a range of whole huge pages holds into huge pages now, whatever the system's setting
 * (MADV_COLLAPSE, Linux 6.1): private memory in place, a memory file's for everyone who maps it.
 * The content stays; nothing may be written meanwhile; write tracking must be off in it. A part of
 * a file needs at least one page that was touched through this mapping. RP_E_UNSUPPORTED: the
 * system does not know it, or the range cannot be huge; RP_E_MEMORY. 0.2 ms a page, and several
 * where the memory of a virtual machine is fresh. */
rp_status rp_os_vm_collapse(void *address, size_t size_bytes);
rp_status rp_os_vm_protect(void *address, size_t size_bytes, rp_os_protection protection);
/* Drops the content: the pages read as zero again and give their memory back. Guards stay. For
 * private anonymous pages; private file pages revert to the file, shared ones keep their content.
 */
rp_status rp_os_vm_discard(void *address, size_t size_bytes);
/* Leaves the pages out of core dumps; a hint. */
void rp_os_vm_no_dump(void *address, size_t size_bytes);
/* Any access to the pages faults from here on; their content is dropped. Light guards
 * (MADV_GUARD_INSTALL, Linux 6.13) where the kernel has them, else page protection, which splits
 * mappings until vm.max_map_count (RP_E_MEMORY). The pages are committed, private, and not locked.
 */
rp_status rp_os_vm_guard(void *address, size_t size_bytes);
/* The pages are readable and writable again and read as zero. */
rp_status rp_os_vm_unguard(void *address, size_t size_bytes);
bool rp_os_vm_has_light_guards(void);
/* How many mappings a process may have (vm.max_map_count); the kernel's default where it cannot be
 * read. */
uint64_t rp_os_vm_mapping_limit(void);

/* A memory file: anonymous, shared by whoever holds the descriptor; grows on demand. The descriptor
 * closes on exec and can never be executed; *fd is -1 when it fails. */
rp_status rp_os_memfile_create(const char *name, size_t size_bytes, int *fd);
/* What is mapped stays mapped. Nothing for a negative descriptor. */
void rp_os_memfile_close(int fd);
rp_status rp_os_memfile_resize(int fd, size_t size_bytes);
/* Maps it shared; `at` null: anywhere, else exactly there, in place of what is mapped there (a
 * reservation of the caller's own). *address is null when it fails. */
rp_status rp_os_memfile_map(int fd, size_t offset_bytes, void *at, size_t size_bytes,
                            rp_os_protection protection, void **address);
void rp_os_unmap(void *address, size_t size_bytes);
/* Gives the file's memory back where whole pages of it lie: they read as zero, and nothing changes
 * for who has them mapped but that the next touch costs a fresh page. RP_E_SYSTEM. */
rp_status rp_os_memfile_punch(int fd, size_t offset_bytes, size_t size_bytes);
/* The memory that the file holds now; 0 where that cannot be found out. */
uint64_t rp_os_memfile_held_bytes(int fd);
/* A path under which this process, and others of the same user, can open it while it is open. */
enum { RP_OS_MEMFILE_PATH_BYTES = 64 };
void rp_os_memfile_path(int fd, char path[RP_OS_MEMFILE_PATH_BYTES]);
/* Gathers `count` buffers of RP_PAGE_BYTES each into the file from `offset_bytes` on. Complete or
 * an error. A source page that cannot be read is RP_E_SYSTEM with EFAULT. */
rp_status rp_os_memfile_write_pages(int fd, size_t offset_bytes, const void *const *pages,
                                    size_t count);

/* Who uses [address, address + size_bytes): one line a mapping "from-to perms file (likely owner)",
 * cut at `capacity`. Reads /proc/self/maps, asks the loader about sanitizers; for diagnosis only.
 * Returns how many mappings overlap, whether or not the text holds them all. */
size_t rp_os_vm_describe(const void *address, size_t size_bytes, char *text, size_t capacity);
/* The likely owner of a mapping with this name in a map. `sanitizer`: what large anonymous memory
 * is in a process under one; or null. Static text. */
const char *rp_os_mapping_owner(const char *name, uint64_t size_bytes, const char *sanitizer);
/* Whether every page that the range touches can be read now. Never faults; safe in a signal
 * handler; keeps errno. One system call a page (0.1 to 0.3 us). True for an empty range. */
bool rp_os_vm_readable(const void *address, size_t size_bytes);

/* Bytes of the range's pages that are in memory now; pages that were only read count, though the
 * system shares one page of zeros for them. Range in whole pages, mapped. 0 where it cannot be
 * known. Some 1 ms a GiB. */
uint64_t rp_os_vm_resident(const void *start, size_t size_bytes);

typedef struct rp_os_memory {
    uint64_t resident_bytes;         /* of the process, all of it: the sum of those that follow */
    uint64_t inside_bytes;           /* in mappings that begin within the range */
    uint64_t file_bytes, heap_bytes; /* in others: programs, libraries, files; the brk heap */
    uint64_t stack_bytes, anonymous_bytes; /* the first stack; all else, threads' stacks too */
    uint64_t page_table_bytes;             /* the kernel's; not resident memory of the process */
} rp_os_memory;

/* Where the process's memory is, by /proc/self/smaps. RP_E_SYSTEM. Some ms. */
rp_status rp_os_memory_get(const void *start, size_t size_bytes, rp_os_memory *memory);

/* ---- write tracking (track.c) --------------------------------------------------------------- */

/* Tells which pages of given ranges were written since they were last collected. Written by whom
 * does not matter: stores, read(2), process_vm_writev; io_uring's registered buffers are missed.
 *
 * Counted as written besides (each a test in tests/os/test_track_facts.c):
 *
 *   discarded pages, touched again or not; but private file pages revert silently
 *   pages that become a light guard or stop being one (copying from a guard faults)
 *   a huge page: whole when written while disarmed, else the small page alone, and it is split
 *
 * Not counted: pages only read; a cycle of protections; a hole, in which nothing can be written and
 * which is told as RP_E_CHANGED once something is mapped there. Arming does not forget a guard that
 * was never collected. A forked child is not tracked, and must not use its parent's tracker: it
 * would see the parent's pages. */
/* How it is done, the best first. Each is asked for by itself: what a system lacks it refuses. */
typedef enum rp_os_rung {
    /* The kernel notes a write by itself: userfaultfd WP_ASYNC, PAGEMAP_SCAN. Linux 6.7. */
    RP_OS_RUNG_ASYNC,
    /* The thread that writes takes a signal: SIGBUS from userfaultfd's write protection (Linux 5.7;
     * private anonymous memory alone before 6.7) / SIGSEGV from page protection (any). Its handler
     * lets stores through to the 16 pages around, and counts all of them as written: what is told
     * is then a little more than what was written. A system call that would write into a protected
     * page returns EFAULT instead: rp_os_track_touch before it. The thread must not block the
     * signal, and where its stack is tracked it needs another one for signals. Writes past the
     * protection are missed: /proc/self/mem with page protection, registered buffers. */
    RP_OS_RUNG_SIGBUS,
    RP_OS_RUNG_MPROTECT,
} rp_os_rung;

typedef struct rp_os_tracker {
    int uffd;
    int pagemap;
    rp_os_rung rung;
    uint8_t owner; /* in the account of pages of the rungs that take signals; 0: none */
} rp_os_tracker;

typedef struct rp_os_extent {
    uint8_t *start;
    size_t size_bytes;
} rp_os_extent;

/* RP_E_UNSUPPORTED where the kernel lacks what the rung needs, or a sandbox forbids it. The rungs
 * that take signals install a handler for the process, before whatever handled that signal: faults
 * that are not theirs go on to it. At most 15 trackers on those. RP_E_LIMIT, RP_E_MEMORY. Both
 * descriptors are -1 when it fails. */
rp_status rp_os_track_open(rp_os_tracker *tracker, rp_os_rung rung);
/* Whether more pages may be told than were written, and what a system call writes is refused. */
bool rp_os_track_takes_signals(const rp_os_tracker *tracker);
void rp_os_track_close(rp_os_tracker *tracker);
/* Begins to track a mapped range; counts as unwritten from here on. The range may span private file
 * and anonymous mappings and pages without access. Never beyond what is committed: arming untouched
 * pages installs markers, after which huge pages no longer form and each first touch is dearer. */
rp_status rp_os_track_add(rp_os_tracker *tracker, void *start, size_t size_bytes);
/* The same without arming: all of it counts as written, touched or not, until the first collect
 * arms it. Until then untouched memory is left as it is, and can become huge. */
rp_status rp_os_track_add_written(rp_os_tracker *tracker, void *start, size_t size_bytes);
rp_status rp_os_track_remove(rp_os_tracker *tracker, void *start, size_t size_bytes);
/* Collects the extents written in [start, start+size) since the last time, and arms them again, in
 * one step of the kernel's: a write is in a copy made after the call, or told the next time.
 * Extents come in order of address, neighbours joined. `*next` is where to go on when `extents` was
 * full, else the end. With `capacity` 0 nothing is collected. RP_E_CHANGED: the tracking of a part
 * of the range was lost (mapped anew, moved); nothing can be said about the range, and what was
 * written before the lost part may have been forgotten by the call: take all of it as written, and
 * add it again. */
rp_status rp_os_track_collect(rp_os_tracker *tracker, void *start, size_t size_bytes,
                              rp_os_extent *extents, size_t capacity, size_t *count, void **next);
/* The same without arming anything: what is told is told again until it is armed. Rung 1 alone;
 * RP_E_UNSUPPORTED on others. */
rp_status rp_os_track_look(rp_os_tracker *tracker, void *start, size_t size_bytes,
                           rp_os_extent *extents, size_t capacity, size_t *count, void **next);
/* Stops write faults in the range for a while (before copying into it; until armed, all of it
 * counts as written) / arms it and forgets what was written. RP_E_CHANGED: not tracked (any more).
 */
rp_status rp_os_track_disarm(rp_os_tracker *tracker, void *start, size_t size_bytes);
rp_status rp_os_track_arm(rp_os_tracker *tracker, void *start, size_t size_bytes);
/* Makes RP_OS_HUGE_BYTES of tracked memory, aligned to as much, one huge page again, so that the
 * next collect looks at one thing instead of 512. Nothing may write meanwhile: all of the range
 * counts as unwritten afterwards, as it did before. Rung 1 alone; others refuse. On an error the
 * range is to be taken as written and added again. 0.2 ms where a huge page is free. */
typedef enum rp_os_huge {
    RP_OS_HUGE_MADE,
    RP_OS_HUGE_ALREADY,
    RP_OS_HUGE_WRITTEN, /* since the last collect: nothing was done */
    RP_OS_HUGE_SPARSE,  /* more than an eighth was never touched, and would take memory */
    RP_OS_HUGE_REFUSED, /* by the system: a guard in it, no huge page free, Linux before 6.1 */
} rp_os_huge;
rp_status rp_os_track_make_huge(rp_os_tracker *tracker, void *start, rp_os_huge *result);
/* Counts the pages of [address, address + size) that are tracked as written, and lets stores
 * through: before a system call that writes there on a rung that takes signals; where something
 * writes that no rung can see. Any address and size. Safe in a signal handler. */
void rp_os_track_touch(rp_os_tracker *tracker, const void *address, size_t size_bytes);
/* Looks at the mappings themselves: RP_E_CHANGED where pages can be written that should be
 * protected, since they were mapped anew. On rung 1 collecting tells that, and this does nothing.
 * Also takes back the signal, where the program has put a handler of its own in front. Cost: a walk
 * of /proc/self/maps, 0.5 us for each line of it. */
rp_status rp_os_track_check(rp_os_tracker *tracker);
/* What was done to the mapping of pages that may be tracked; the calls of vm.c say it themselves.
 * What nobody says is found by rp_os_track_check, and costs a comparison. */
typedef enum rp_os_page_change {
    RP_OS_PAGES_CLOSING, /* will have no access, or may only be read */
    RP_OS_PAGES_OPENED,  /* were made readable and writable */
    RP_OS_PAGES_DROPPED, /* lost their content */
    RP_OS_PAGES_GONE,    /* will not be mapped any more, or mapped anew */
} rp_os_page_change;
void rp_os_track_changed(void *start, size_t size_bytes, rp_os_page_change change);
/* Whether the handler of these rungs stands for that signal, which is SIGSEGV or SIGBUS; then a
 * program's own is to be given here instead of to sigaction, and is called for other faults. The
 * two arguments are `struct sigaction`; either may be null. */
bool rp_os_track_handles(int signal_number);
void rp_os_track_handler_next(int signal_number, const void *action, void *before);

/* Pages on hold: until rp_os_thaw no other thread can write to the areas. One that tries is
 * reported, by itself, in a signal handler, and waits; then its store is made. The calling thread's
 * own stores go through. A system call of another thread's that would write there returns EFAULT.
 * One freeze at a time. `pieces` is room for the parts that could be written, beyond which the rest
 * is not held; both arrays stay as they are until the thaw. Cost: a walk of /proc/self/maps and of
 * the page tables. */
typedef struct rp_os_intruder {
    uint64_t thread; /* its number for the system */
    char name[16];
    const void *address; /* where it wants to write */
    uint64_t pc;         /* 0: in a system call */
} rp_os_intruder;
typedef void rp_os_intruder_fn(void *context, const rp_os_intruder *intruder);
typedef struct rp_os_hold {
    const rp_os_extent *areas;
    size_t area_count;
    rp_os_extent *pieces;
    size_t piece_capacity;
    rp_os_intruder_fn *tell;
    void *context;
} rp_os_hold;
rp_status rp_os_freeze(const rp_os_hold *hold);
void rp_os_thaw(void);

/* ---- memory that was made unreadable (denied.c) -----------------------------------------------
 */

typedef struct rp_os_denied_access {
    const void *address;
    uint64_t pc; /* of the instruction that touched it */
    bool is_write;
} rp_os_denied_access;
/* In a signal handler, of any thread. The signal then takes its way: to the program's own handler,
 * or to the process's end. */
typedef void rp_os_denied_fn(void *context, const rp_os_denied_access *access);
/* Calls `tell` for every load and store that protection forbids and that tracking does not expect,
 * until rp_os_denied_end. One at a time. RP_E_UNSUPPORTED: no handler can be put in place. */
rp_status rp_os_denied_watch(rp_os_denied_fn *tell, void *context);
/* Stands before a handler again that the program has put in place since. A system call. */
void rp_os_denied_renew(void);
void rp_os_denied_end(void);

typedef void rp_os_exit_fn(void);
/* Called by exit() before libraries are finished; one in a process, null: none. RP_E_MEMORY. */
rp_status rp_os_exit_set(rp_os_exit_fn *function);

/* ---- time ----------------------------------------------------------------------------------- */

uint64_t rp_os_monotonic_ns(void);
uint64_t rp_os_wall_ns(void); /* since 1970 */
uint64_t rp_os_thread_cpu_ns(void);
void rp_os_sleep_until_ns(uint64_t monotonic_ns); /* blocks; never returns early */

/* ---- randomness ----------------------------------------------------------------------------- */

rp_status rp_os_random(void *bytes, size_t size_bytes);

/* ---- threads (thread.c) --------------------------------------------------------------------- */

/* A lock in one plain word, so that it may lie in the region and be restored. 0 is unlocked. For
 * the threads of one process; it names no owner. */
typedef uint32_t rp_os_lock;
void rp_os_lock_take(volatile rp_os_lock *lock); /* blocks on contention (futex) */
void rp_os_lock_drop(volatile rp_os_lock *lock);
bool rp_os_lock_try(volatile rp_os_lock *lock);

/* Waits while `*word` is `value`, until it is woken or the monotonic clock says `deadline_ns`
 * (UINT64_MAX: without end). May return early: look again. The waker changes the word first, so no
 * wake-up is lost. For the threads of one process. */
void rp_os_word_wait(const volatile uint32_t *word, uint32_t value, uint64_t deadline_ns);
/* Wakes all that wait at the word; never blocks. */
void rp_os_word_wake(volatile uint32_t *word);

/* A thread of the library's own, for work that no frame may wait for; all zero is "none". The
 * object stays where it is until the join. */
typedef struct rp_os_thread {
    uintptr_t id;
    int64_t process; /* that started it: a forked child has a copy of this and no such thread */
    void (*function)(void *);
    void *context;
} rp_os_thread;

/* Runs function(context) on a new thread with all signals blocked, so that handlers of the program
 * never run there, and a stack of 256 KiB. RP_E_SYSTEM: none can be made now. */
rp_status rp_os_thread_start(rp_os_thread *thread, void (*function)(void *), void *context);
/* Whether it was started, by this process. */
bool rp_os_thread_is_here(const rp_os_thread *thread);
/* Waits for its end; nothing where it is not here. Blocks. */
void rp_os_thread_join(rp_os_thread *thread);

/* Calls `function` on the calling thread when it ends; one function a process. Asked for again
 * while it runs, it is called once more, as often as the system allows (4 times with glibc). May
 * allocate.
 */
void rp_os_thread_on_exit(void (*function)(void));

/* ---- the process (process.c, stack_x86_64.S, stack_limits.c) --------------------------------- */

/* The file that the program was started from: a path that opens it, also where it was replaced
 * since, and where it lies (cut at `capacity`; "" where that is not known). */
const char *rp_os_program_file(void);
void rp_os_program_path(char *path, size_t capacity);

/* Whether address randomisation is off in this process. */
bool rp_os_randomisation_off(void);
/* Turns it off and executes this program again with the same arguments and environment; returns
 * only where that failed (RP_E_SYSTEM, the process is as it was) or was tried already
 * (RP_E_UNSUPPORTED; the environment variable REPRISE_REEXEC remembers). */
rp_status rp_os_reexec_without_randomisation(char **argv);

/* The two secrets that glibc mixes into stack frames and jump buffers. A world restored into
 * another process needs those of the process that it came from. The caller must never return
 * through a protected frame that was entered before the call, nor longjmp to a buffer made before
 * it, nor exit(): the handlers that were registered before are kept with the old guard; leave by
 * _exit. Threads made later take over the secrets of the thread that makes them. */
typedef struct rp_os_secrets {
    uint64_t canary, pointer_guard;
} rp_os_secrets;
rp_os_secrets rp_os_secrets_get(void);
void rp_os_secrets_set(rp_os_secrets secrets);

/* Runs function(argument) on the stack that ends below `stack_top` (rounded down to 16 bytes), with
 * the floating-point control words at their defaults (MXCSR 0x1f80, x87 0x037f), and returns when
 * it returns; the caller's control words are restored. Back-traces go through it (frame pointer and
 * CFI are kept). Registers that the function could save are zero, so that nothing that differs by
 * process or moment enters its state; the top 32 bytes of the new stack lead back to the old one.
 */
void rp_os_call_on_stack(void *stack_top, void (*function)(void *), void *argument);

/* Memory that this thread may read as its stack: the process's first stack, and the thread's own
 * (empty where it cannot be known). The stack that it runs on now may be another: a coroutine's, a
 * signal handler's. Reads /proc/self/maps: some 20 us and more, so once a thread. Keeps errno;
 * allocates nothing. */
void rp_os_stacks_of_thread(rp_os_extent stacks[2]);

/* Writes all of it to standard error, or what can be written; keeps errno. Safe in a signal
 * handler. */
void rp_os_error_write(const char *text, size_t length);
/* "reprise: …" and the line's end, cut at 511 bytes; as above. */
__attribute__((format(printf, 1, 0))) void rp_os_error_line(const char *format, va_list arguments);

/* ---- helpers (helper.c) ---------------------------------------------------------------------- */

enum { RP_OS_HELPER_ARGUMENTS = 12 };
typedef struct rp_os_helper {
    const char *name;     /* of the program */
    const char *variable; /* of the environment, that may hold its path */
    const char *arguments[RP_OS_HELPER_ARGUMENTS + 1]; /* null behind the last one */
    const int *descriptors;                            /* that it gets, under the same numbers */
    size_t descriptor_count;
    uint32_t limit_ms; /* after which it is ended */
} rp_os_helper;
/* Runs it and waits. It is looked for beside the library that this function lies in, and in
 * libexec. RP_E_NOT_FOUND, RP_E_SYSTEM, RP_E_TIMEOUT, RP_E_DIED: by a signal or with a code. */
rp_status rp_os_helper_run(const rp_os_helper *helper);

/* ---- files (file.c) -------------------------------------------------------------------------- */

/* Reads a whole file into fresh pages. Free with rp_os_file_free. Refuses what is not a regular
 * file and what is larger than `limit_bytes`. The buffer is followed by a zero byte. */
typedef struct rp_os_bytes {
    uint8_t *data;
    size_t size_bytes;
    size_t mapped_bytes;
} rp_os_bytes;
rp_status rp_os_file_read(const char *path, size_t limit_bytes, rp_os_bytes *bytes);
void rp_os_file_free(rp_os_bytes *bytes);
/* Writes it complete or not at all: beside, fsync, rename, fsync of the directory. Mode 0644,
 * whatever the mask. A symbolic link is replaced, not followed. When the last step fails the new
 * file stands already, and may be gone after a power cut. */
rp_status rp_os_file_write(const char *path, const void *data, size_t size_bytes);

/* ---- files that grow (stream.c) -------------------------------------------------------------- */

/* A file that is written at its end. It begins under a name of its own beside `path`, which must
 * stay valid until the close, and gets its name by rp_os_stream_publish, so that what stands there
 * is replaced by something that is already of use. Mode 0600. One descriptor; one thread at a time.
 */
typedef struct rp_os_stream {
    int fd; /* -1: not open */
    const char *path;
    char beside[4096]; /* "": published */
    uint64_t size_bytes;
} rp_os_stream;

rp_status rp_os_stream_create(rp_os_stream *stream, const char *path);
/* All of it, or an error; what a failed call left behind `size_bytes` is cut off again where the
 * system allows. Short writes are gone on with. */
rp_status rp_os_stream_append(rp_os_stream *stream, const void *data, size_t size_bytes);
rp_status rp_os_stream_sync(rp_os_stream *stream); /* blocks for the disk */
/* fsync, then the name. Without `replace` nothing that stands at the path is touched: RP_E_TAKEN.
 * When the directory cannot be synced (RP_E_SYSTEM) the file has its name, and may lose it in a
 * power cut.
 */
rp_status rp_os_stream_publish(rp_os_stream *stream, bool replace);
/* Removes it where it was never published. */
void rp_os_stream_close(rp_os_stream *stream);

/* A regular file that is read here and there; its size when it was opened. RP_E_NOT_FOUND,
 * RP_E_ARGUMENT (not a regular file), RP_E_SYSTEM; *fd is -1 then. */
rp_status rp_os_file_open(const char *path, int *fd, uint64_t *size_bytes);
/* All of it, or an error: RP_E_FORMAT where the file ends before. */
rp_status rp_os_file_read_at(int fd, uint64_t offset_bytes, void *data, size_t size_bytes);
void rp_os_file_close(int fd); /* nothing for a negative one */

#endif
