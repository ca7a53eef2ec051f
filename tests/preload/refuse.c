/* refuse RULE PROGRAM ARGUMENT…: runs the program while the system refuses some calls, as a sandbox
 * or a limit would. 77 where no filter can be installed. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The upper halves of the region's addresses. */
enum { REGION_FIRST = 0x5500, REGION_END = 0x5540 };
enum { ANY = -1 };

/* All that is not ANY or 0 must hold. */
typedef struct rule {
    const char *name;
    int call, error;
    int place;            /* the argument that is an address of the region; ANY */
    int size;             /* the argument that is a size; ANY */
    uint32_t least_bytes; /* of it */
    int flags;            /* the argument that is a set of flags; ANY */
    uint32_t flag;        /* one of them */
} rule;

#define FIXED_NOREPLACE 0x100000u

static const rule rules[] = {
    {"reserve", SYS_mmap, EPERM, ANY, ANY, 0, 3, FIXED_NOREPLACE},
    {"reserve-limit", SYS_mmap, ENOMEM, ANY, ANY, 0, 3, FIXED_NOREPLACE},
    {"commit", SYS_mprotect, ENOMEM, 0, ANY, 0, ANY, 0},
    {"commit-large", SYS_mprotect, ENOMEM, 0, 1, 64 << 20, ANY, 0},
    {"madvise", SYS_madvise, EINVAL, ANY, ANY, 0, ANY, 0},
    {"madvise-region", SYS_madvise, EPERM, 0, ANY, 0, ANY, 0},
    {"wait", SYS_futex, EPERM, 0, ANY, 0, ANY, 0},
    {"peek", SYS_process_vm_readv, EPERM, ANY, ANY, 0, ANY, 0},
    {"limits", SYS_prlimit64, EPERM, ANY, ANY, 0, ANY, 0},
};

/* ---- the filter ---- */

typedef struct filter {
    struct sock_filter code[32];
    unsigned short length;
} filter;

static void add(filter *f, uint16_t what, uint32_t operand)
{
    f->code[f->length++] = (struct sock_filter)BPF_STMT(what, operand);
}

/* Goes on where the comparison holds, and else allows the call. */
static void require(filter *f, uint16_t comparison, uint32_t operand)
{
    f->code[f->length++] =
        (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | comparison | BPF_K), operand, 1, 0);
    add(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

static void require_below(filter *f, uint32_t limit)
{
    f->code[f->length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, limit, 0, 1);
    add(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

static void load(filter *f, size_t offset)
{
    add(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/* A word of an argument; the lower one comes first. */
static void load_argument(filter *f, int argument, int upper)
{
    load(f, offsetof(struct seccomp_data, args) + (size_t)argument * 8 + (upper ? 4 : 0));
}

static filter compiled(const rule *r)
{
    filter f = {.length = 0};
    load(&f, offsetof(struct seccomp_data, arch));
    require(&f, BPF_JEQ, AUDIT_ARCH_X86_64);
    load(&f, offsetof(struct seccomp_data, nr));
    require(&f, BPF_JEQ, (uint32_t)r->call);
    if (r->place != ANY) {
        load_argument(&f, r->place, 1);
        require(&f, BPF_JGE, REGION_FIRST);
        require_below(&f, REGION_END);
    }
    if (r->size != ANY) {
        load_argument(&f, r->size, 0);
        require(&f, BPF_JGE, r->least_bytes);
    }
    if (r->flags != ANY) {
        load_argument(&f, r->flags, 0);
        require(&f, BPF_JSET, r->flag);
    }
    add(&f, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)r->error);
    return f;
}

static int install(const rule *r)
{
    filter f = compiled(r);
    struct sock_fprog program = {f.length, f.code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 2 && i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(rules[i].name, argv[1]) == 0) {
            if (install(&rules[i])) {
                perror("refuse");
                return 77;
            }
            execvp(argv[2], argv + 2);
            perror(argv[2]);
            return 127;
        }
    }
    fprintf(stderr, "refuse RULE PROGRAM ARGUMENT...: there is no such rule\n");
    return 2;
}
