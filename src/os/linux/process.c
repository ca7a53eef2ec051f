/* Address randomisation, and the secrets that glibc keeps in the thread control block. */
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <unistd.h>

/* In the environment of a process that was executed again. */
static char mark[] = "REPRISE_REEXEC=1";

const char *rp_os_program_file(void)
{
    return "/proc/self/exe";
}

void rp_os_program_path(char *path, size_t capacity)
{
    ssize_t length = readlink(rp_os_program_file(), path, capacity - 1);
    path[length > 0 ? length : 0] = 0;
}

static int current_persona(void)
{
    const unsigned long query = 0xffffffff;
    return personality(query);
}

bool rp_os_randomisation_off(void)
{
    int persona = current_persona();
    return persona != -1 && (persona & ADDR_NO_RANDOMIZE);
}

/* The environment and the mark after it, in fresh pages: setenv would take from the heap. */
static char **marked_environment(size_t *mapped_bytes)
{
    size_t count = 0;
    while (environ[count]) {
        count++;
    }
    *mapped_bytes = (count + 2) * sizeof *environ;
    char **marked = RP_OS_MAP(
        mmap(NULL, *mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (marked == MAP_FAILED) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        marked[i] = environ[i];
    }
    marked[count] = mark;
    return marked;
}

/* Returns only where it failed, with errno set. */
static void execute_again(char **argv)
{
    size_t mapped_bytes;
    char **environment = marked_environment(&mapped_bytes);
    if (environment) {
        (void)RP_OS_CALL(execve(rp_os_program_file(), argv, environment));
        int saved = errno;
        munmap(environment, mapped_bytes);
        errno = saved;
    }
}

rp_status rp_os_reexec_without_randomisation(char **argv)
{
    if (getenv("REPRISE_REEXEC")) {
        return rp_fail(
            RP_E_UNSUPPORTED,
            "address randomisation: executing again was tried already (REPRISE_REEXEC is "
            "set): start with `setarch -R`");
    }
    int persona = current_persona();
    if (persona == -1 ||
        RP_OS_CALL(personality((unsigned long)persona | ADDR_NO_RANDOMIZE)) == -1) {
        return rp_fail_system(RP_E_SYSTEM, errno,
                              "address randomisation: this sandbox forbids to turn it off: start "
                              "with `setarch -R` outside of it");
    }
    execute_again(argv);
    int system_code = errno;
    personality((unsigned long)persona);
    return rp_fail_system(RP_E_SYSTEM, system_code,
                          "address randomisation: this program could not be executed again: start "
                          "with `setarch -R`");
}

/* Offsets in glibc's tcbhead_t of x86-64 (sysdeps/x86_64/nptl/tls.h). The canary's is fixed by the
 * compilers' ABI. */
rp_os_secrets rp_os_secrets_get(void)
{
    rp_os_secrets secrets;
    __asm__("movq %%fs:0x28, %0" : "=r"(secrets.canary));
    __asm__("movq %%fs:0x30, %0" : "=r"(secrets.pointer_guard));
    return secrets;
}

__attribute__((no_stack_protector)) void rp_os_secrets_set(rp_os_secrets secrets)
{
    __asm__ volatile("movq %0, %%fs:0x28" : : "r"(secrets.canary) : "memory");
    __asm__ volatile("movq %0, %%fs:0x30" : : "r"(secrets.pointer_guard) : "memory");
}
