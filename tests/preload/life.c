/* Allocates at every moment of a process's life: before main, in threads that end with the process,
 * in handlers and destructors. Says "N moments" at its end, or ends by abort. */
#include "preload/under.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *from_constructor, *from_initialiser;
static int moments;
static pthread_key_t key;

static void moment(void)
{
    char *block = malloc(100 + (size_t)moments);
    if (!is_ours(block)) {
        abort();
    }
    strcpy(block, "moment");
    free(opaque(block));
    moments++;
}

static void before_constructors(void)
{
    from_initialiser = strdup("from an initialiser");
    moment();
}
__attribute__((section(".preinit_array"),
               used)) static void (*initialiser)(void) = before_constructors;

__attribute__((constructor)) static void constructor(void)
{
    from_constructor = strdup("from a constructor");
    moment();
}

__attribute__((destructor)) static void destructor(void)
{
    free(from_constructor);
    moment();
    char text[40];
    int length = snprintf(text, sizeof text, "%d moments\n", moments);
    if (write(STDOUT_FILENO, text, (size_t)length) != length) {
        abort();
    }
}

static void at_exit(void)
{
    free(from_initialiser);
    moment();
}

static void at_quick_exit_(void)
{
    free(from_initialiser);
    moment();
    printf("%d moments\n", moments);
    fflush(stdout);
}

static void of_the_key(void *value)
{
    free(value);
    free(opaque(malloc(50)));
}

static void *endless(void *unused)
{
    pthread_setspecific(key, malloc(40));
    for (;;) {
        free(opaque(malloc(70)));
        free(opaque(malloc(7000)));
    }
    return unused;
}

/* Each time anew: constructors, thread-local storage, destructors. */
static void load_and_unload(const char *library)
{
    for (int i = 0; i < 30; i++) {
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        char *(*text)(void);
        *(void **)&text = handle ? dlsym(handle, "library_text") : NULL;
        if (!text) {
            fprintf(stderr, "%s\n", dlerror());
            abort();
        }
        char *made = text();
        dlclose(handle);
        if (strcmp(made, "from a library")) {
            abort();
        }
        free(made);
        dlsym(RTLD_DEFAULT, "no such name"); /* the message is allocated */
    }
    moment();
}

int main(int argc, char **argv)
{
    pthread_t threads[4];
    atexit(at_exit);
    at_quick_exit(at_quick_exit_);
    pthread_key_create(&key, of_the_key);
    pthread_setspecific(key, malloc(40));
    load_and_unload(argv[1]);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, endless, NULL);
    }
    usleep(20000);
    moment();
    if (argc > 2 && strcmp(argv[2], "quick") == 0) {
        quick_exit(0);
    }
    if (argc > 2 && strcmp(argv[2], "thread") == 0) {
        moments += 2; /* the main thread ends; another one ends the process */
        pthread_exit(NULL);
    }
    return 0;
}
