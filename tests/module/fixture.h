/* Small modules that the tests compile at run time into a folder of their own.
 *
 *     fixture f = fixture_open();
 *     fixture_write(&f, "game.c", "int speed = 3; …");
 *     const char *so = fixture_build(&f, "gcc -O2", "game.c", "old.so");
 *     …
 *     fixture_close(&f);                      removes the folder
 *
 * All functions are static: each test program has its own.
 */
#ifndef TESTS_MODULE_FIXTURE_H
#define TESTS_MODULE_FIXTURE_H

#include "base/text.h"
#include "support/test.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXTURE_STEP "void rp_module_step(void *stage) { (void)stage; }\n"

typedef struct fixture {
    char folder[64];
    char paths[16][256]; /* of what was built or named, in turn */
    int next;
} fixture;

static inline fixture fixture_open(void)
{
    fixture f = {.folder = "/tmp/reprise-module-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(f.folder));
    return f;
}

static inline const char *fixture_path(fixture *f, const char *name)
{
    char *path = f->paths[f->next++ % 16];
    rp_text_buffer text = rp_text_buffer_over(path, sizeof f->paths[0]);
    rp_text_add(&text, "%s/%s", f->folder, name);
    return path;
}

static inline void fixture_write_bytes(const char *path, const void *bytes, size_t size_bytes)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size_bytes, file), size_bytes);
    ck_assert_int_eq(fclose(file), 0);
}

static inline void fixture_write(fixture *f, const char *name, const char *text)
{
    fixture_write_bytes(fixture_path(f, name), text, strlen(text));
}

static inline bool fixture_run(fixture *f, const char *command)
{
    char line[2048];
    snprintf(line, sizeof line, "cd %s && %s", f->folder, command);
    return system(line) == 0;
}

/* Compiles and links `sources` (names in the folder) as a shared library; the path of the result.
 */
static inline const char *fixture_build(fixture *f, const char *compiler, const char *sources,
                                        const char *name)
{
    char line[1024];
    snprintf(line, sizeof line, "%s -w -fPIC -shared %s -o %s", compiler, sources, name);
    ck_assert_msg(fixture_run(f, line), "%s", line);
    return fixture_path(f, name);
}

static inline size_t fixture_read(const char *path, uint8_t **bytes)
{
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    size_t size_bytes = (size_t)ftell(file);
    rewind(file);
    *bytes = malloc(size_bytes + 1);
    ck_assert_uint_eq(fread(*bytes, 1, size_bytes, file), size_bytes);
    fclose(file);
    return size_bytes;
}

static inline void fixture_close(fixture *f)
{
    DIR *folder = opendir(f->folder);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder) {
        closedir(folder);
    }
    ck_assert_int_eq(rmdir(f->folder), 0);
}

#endif
