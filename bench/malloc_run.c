#include "malloc_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static bool redirect(const char *path, int flags, int to)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd >= 0 && dup2(fd, to) == to;
}

static void set_environment(const command *c)
{
    unsetenv("LD_PRELOAD");
    if (c->setting) {
        const char *equals = strchr(c->setting, '=');
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(equals - c->setting), c->setting);
        setenv(name, equals + 1, 1);
    }
    if (c->preload) {
        setenv("LD_PRELOAD", c->preload, 1);
    }
}

pid_t run_start(const command *c)
{
    fflush(NULL);
    pid_t process = fork();
    if (process != 0) {
        return process;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* no server outlives a driver that was stopped */
    if (redirect(c->input ? c->input : "/dev/null", O_RDONLY, STDIN_FILENO) &&
        redirect(c->output, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO)) {
        set_environment(c);
        execvp(c->argv[0], (char *const *)(uintptr_t)c->argv);
    }
    fprintf(stderr, "bench_malloc: %s: %s\n", c->argv[0], strerror(errno));
    _exit(127);
}

/* FNV-1a; 0 where the file cannot be read. */
static uint64_t hash_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return 0;
    }
    uint64_t hash = 0xcbf29ce484222325;
    for (int c = getc(file); c != EOF; c = getc(file)) {
        hash = (hash ^ (uint64_t)c) * 0x100000001b3;
    }
    fclose(file);
    return hash;
}

static uint64_t time_ns(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_usec * 1000;
}

usage run_finish(pid_t process, const char *output)
{
    struct rusage r;
    int status;
    while (wait4(process, &status, 0, &r) < 0) {
        if (errno != EINTR) {
            return (usage){.good = false};
        }
    }
    return (usage){.cpu_ns = time_ns(r.ru_utime) + time_ns(r.ru_stime),
                   .peak_kib = (uint64_t)r.ru_maxrss,
                   .output_hash = hash_file(output),
                   .good = WIFEXITED(status) && WEXITSTATUS(status) == 0};
}

usage run_command(const command *c)
{
    pid_t process = run_start(c);
    return process < 0 ? (usage){.good = false} : run_finish(process, c->output);
}
