/* Runs a command on a system that lacks something, as an old kernel or a container does:
 *
 *     robust_refuse WHAT COMMAND ARGUMENTS…
 *
 *     userfaultfd   no such call (EPERM, as containers answer)
 *     scan          no PAGEMAP_SCAN, as before Linux 6.7
 *     handlers      both, and no handler for SIGSEGV can be set
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NUMBER offsetof(struct seccomp_data, nr)
#define ARGUMENT(n) (offsetof(struct seccomp_data, args) + (n) * sizeof(__u64))
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count)
#define REFUSE(code) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define PAGEMAP_SCAN_NUMBER 0xc0606610u

static struct sock_filter no_userfaultfd[] = {LOAD(NUMBER), SKIP_UNLESS(SYS_userfaultfd, 1),
                                              REFUSE(EPERM), ALLOW};
static struct sock_filter no_scan[] = {LOAD(NUMBER),      SKIP_UNLESS(SYS_ioctl, 3),
                                       LOAD(ARGUMENT(1)), SKIP_UNLESS(PAGEMAP_SCAN_NUMBER, 1),
                                       REFUSE(ENOTTY),    ALLOW};
static struct sock_filter no_handlers[] = {LOAD(NUMBER),      SKIP_UNLESS(SYS_userfaultfd, 1),
                                           REFUSE(ENOSYS),    SKIP_UNLESS(SYS_rt_sigaction, 3),
                                           LOAD(ARGUMENT(0)), SKIP_UNLESS(SIGSEGV, 1),
                                           REFUSE(EPERM),     ALLOW};

static const struct {
    const char *name;
    struct sock_filter *filter;
    unsigned short length;
} kinds[] = {
    {"userfaultfd", no_userfaultfd, sizeof no_userfaultfd / sizeof no_userfaultfd[0]},
    {"scan", no_scan, sizeof no_scan / sizeof no_scan[0]},
    {"handlers", no_handlers, sizeof no_handlers / sizeof no_handlers[0]},
};

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("robust_refuse: give what to refuse, and a command\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct sock_fprog program = {kinds[i].length, kinds[i].filter};
        if (strcmp(argv[1], kinds[i].name) != 0) {
            continue;
        }
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
            perror("robust_refuse");
            return 77; /* the sandbox that we are in forbids it */
        }
        execvp(argv[2], argv + 2);
    }
    perror(argv[2]);
    return 127;
}
