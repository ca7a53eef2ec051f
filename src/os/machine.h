/* What this machine and this process may do, for a report that a person reads: facts, limits, and
 * which of the kernel's features are there. Nothing of it is needed to run.
 *
 * Layer: os.  Threads: any.  Tests: tests/os/test_machine.c
 */
#ifndef RP_OS_MACHINE_H
#define RP_OS_MACHINE_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_OS_NO_LIMIT UINT64_MAX

typedef struct rp_os_machine {
    char architecture[24], kernel[80]; /* as uname(2) says */
    char processor[64];                /* its model; empty: unknown */
    uint32_t page_bytes;
    uint32_t address_bits;       /* of a process; 0: unknown */
    uint32_t randomisation_bits; /* of mappings, in pages; 0: unknown */
    int randomisation;           /* kernel.randomize_va_space: 0 off, 1, 2; -1: unknown */
    bool randomisation_off;      /* in this process */
    bool legacy_layout;          /* of this process or of all */
    uint64_t lowest_address;     /* vm.mmap_min_addr */
    int overcommit;              /* vm.overcommit_memory: 0, 1, 2; -1: unknown */
    uint64_t mapping_limit;      /* vm.max_map_count */
    uint64_t memory_bytes;
    uint64_t address_space_limit_bytes, stack_limit_bytes; /* or RP_OS_NO_LIMIT */
    uint64_t open_files_limit;                             /* or RP_OS_NO_LIMIT */
    uint64_t watch_limit, watch_instance_limit;            /* of inotify; 0: unknown */
    char huge_pages[12];    /* "always", "madvise", "never"; empty: none */
    bool no_new_privileges; /* of this process */
    int seccomp;            /* 0: none, 1: strict, 2: filter; -1: unknown */
    char container[24];     /* "docker", "podman", "gVisor", "WSL", …; empty: no sign of one */
    char emulator[24]; /* "valgrind", "qemu", "Wine", "rr": what this process runs in; or empty */
} rp_os_machine;

/* Never fails: what cannot be known is marked so. Some 100 us. */
void rp_os_machine_get(rp_os_machine *machine);

/* A feature of the kernel, asked by using it. */
typedef struct rp_os_feature {
    const char *id;   /* "wp-async"; static, as is the next */
    const char *what; /* "userfaultfd with asynchronous write protection (Linux 6.7)" */
    int system_code;  /* 0: it is there; else the errno by which the system refused it */
} rp_os_feature;

enum { RP_OS_FEATURES_MAX = 32 };
/* Returns how many were written. Some 100 us; leaves nothing behind. */
size_t rp_os_features(rp_os_feature features[RP_OS_FEATURES_MAX]);

/* Which tool a mapped file betrays: "valgrind", "qemu", "Wine", "rr"; null: none. */
const char *rp_os_emulator_of_file(const char *path);

#endif
