/* Running a helper program: a process of its own for what must not share a heap with the program.
 */
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "os/linux/fault.h"
#include "os/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, ENVIRONMENT_MOST = 1024 };
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* ---- where it is ---- */

static void own_path(char *path)
{
    Dl_info info;
    rp_os_program_path(path, PATH_BYTES);
    /* The program itself is named as it was called, which says little; a library by its path. */
    if (dladdr((void *)(uintptr_t)&rp_os_helper_run, &info) && info.dli_fname &&
        strstr(info.dli_fname, ".so")) {
        rp_text_copy(path, PATH_BYTES, info.dli_fname);
    }
}

static bool find_beside(const char *own, const char *folder, const char *name, char *path)
{
    const char *slash = strrchr(own, '/');
    rp_text_buffer text = rp_text_buffer_over(path, PATH_BYTES);
    rp_text_add(&text, "%.*s%s%s", slash ? (int)(slash + 1 - own) : 0, own, folder, name);
    return access(path, X_OK) == 0;
}

static bool find(const rp_os_helper *helper, char *path)
{
    static const char *const folders[] = {
        "",
        "../host/",
        "../../host/", /* in the build folder */
        "../libexec/reprise/",
        "../../libexec/reprise/" /* from lib/x86_64-linux-gnu */,
    };
    char own[PATH_BYTES];
    const char *told = secure_getenv(helper->variable);
    if (told) {
        return rp_text_copy(path, PATH_BYTES, told) && access(path, X_OK) == 0;
    }
    own_path(own);
    bool found = false;
    for (size_t i = 0; i < RP_COUNT_OF(folders) && !found; i++) {
        found = find_beside(own, folders[i], helper->name, path);
    }
    return found;
}

/* ---- the process ---- */

/* Without what would load us or a sanitizer's library into it. */
static void clean_environment(char **clean)
{
    size_t count = 0;
    for (char **entry = environ; entry && *entry && count + 1 < ENVIRONMENT_MOST; entry++) {
        if (strncmp(*entry, "LD_PRELOAD=", 11) != 0 && strncmp(*entry, "REPRISE_", 8) != 0) {
            clean[count++] = *entry;
        }
    }
    clean[count] = NULL;
}

/* In the child of vfork: only calls to the system, on the parent's stack. The descriptors close on
 * exec in the parent's table alone. */
static _Noreturn void become(const rp_os_helper *helper, const char *path, char **arguments,
                             char **environment, const sigset_t *mask)
{
    bool ready = true;
    for (size_t i = 0; i < helper->descriptor_count; i++) {
        ready &= fcntl(helper->descriptors[i], F_SETFD, 0) == 0;
    }
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (ready) {
        execve(path, arguments, environment);
    }
    _exit(127);
}

static pid_t start(const rp_os_helper *helper, const char *path)
{
    char *environment[ENVIRONMENT_MOST], *arguments[RP_OS_HELPER_ARGUMENTS + 2];
    sigset_t all, mask;
    size_t count = 0;
    arguments[count++] = (char *)(uintptr_t)helper->name;
    for (size_t i = 0; i < RP_OS_HELPER_ARGUMENTS && helper->arguments[i]; i++) {
        arguments[count++] = (char *)(uintptr_t)helper->arguments[i];
    }
    arguments[count] = NULL;
    clean_environment(environment);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &mask);
    pid_t process = RP_OS_CALL(vfork());
    if (process == 0) {
        become(helper, path, arguments, environment, &mask);
    }
    int saved = errno;
    sigprocmask(SIG_SETMASK, &mask, NULL);
    errno = saved;
    return process;
}

/* False: it still runs. Without pidfds (before Linux 5.3) there is no limit. */
static bool wait_until(pid_t process, uint64_t deadline_ns)
{
    struct pollfd one = {.fd = (int)syscall(SYS_pidfd_open, process, 0), .events = POLLIN};
    if (one.fd < 0) {
        return true;
    }
    int ready;
    do {
        uint64_t now = rp_os_monotonic_ns();
        int left_ms = now < deadline_ns ? (int)((deadline_ns - now) / 1000000) : 0;
        ready = poll(&one, 1, left_ms);
    } while (ready < 0 && errno == EINTR);
    close(one.fd);
    return ready != 0;
}

static rp_status end_of(const rp_os_helper *helper, pid_t process)
{
    bool ended = wait_until(process, rp_os_monotonic_ns() + helper->limit_ms * UINT64_C(1000000));
    int how = 0;
    if (!ended) {
        kill(process, SIGKILL);
    }
    pid_t got;
    do {
        got = waitpid(process, &how, 0);
    } while (got < 0 && errno == EINTR);
    if (!ended) {
        return rp_fail(RP_E_TIMEOUT, "%s: no answer within %u ms: it was ended", helper->name,
                       helper->limit_ms);
    }
    /* A program that ignores SIGCHLD has no children to wait for: what the helper wrote counts. */
    bool good = got < 0 || (WIFEXITED(how) && WEXITSTATUS(how) == 0);
    return good ? RP_OK
                : rp_fail(RP_E_DIED, "%s: it ended by %s %d", helper->name,
                          WIFSIGNALED(how) ? "signal" : "code",
                          WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
}

rp_status rp_os_helper_run(const rp_os_helper *helper)
{
    char path[PATH_BYTES];
    if (!find(helper, path)) {
        return rp_fail(RP_E_NOT_FOUND,
                       "%s: not found beside the library or where it is installed: set %s to its "
                       "path",
                       helper->name, helper->variable);
    }
    pid_t process = start(helper, path);
    return process < 0 ? rp_fail_system(RP_E_SYSTEM, errno, "%s: not started", helper->name)
                       : end_of(helper, process);
}
