/* Runs a fuzz target without libFuzzer: every seed file, then a fixed number of mutations of them.
 *
 *     fuzz_NAME COUNT FOLDER...
 *
 * RP_SEED gives the mutations their seed, 1 by default, so that a test is the same each time. An
 * input that ends the program is written to fuzz_NAME.found in the working directory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SEED_MAX = 256,
    SEED_BYTES_MAX = 1 << 20,
    ROOM_BYTES = 2 * SEED_BYTES_MAX,
    MUTATIONS_MAX = 8
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Of the sanitizers' run-time, where there is one. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

static bytes seeds[SEED_MAX];
static size_t seed_count;
static uint64_t random_state;
static bytes current;
static char found_path[256];

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

/* ---- an input that was found ---- */

static void keep_current(void)
{
    int fd = open(found_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, current.data, current.size) < 0 || close(fd) < 0) {
        return;
    }
}

static void on_signal(int number)
{
    keep_current();
    signal(number, SIG_DFL);
    raise(number);
}

static void watch_for_the_end(const char *program)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};
    const char *name = strrchr(program, '/');
    snprintf(found_path, sizeof found_path, "%s.found", name ? name + 1 : program);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        signal(numbers[i], on_signal);
    }
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(keep_current);
    }
}

/* ---- seeds ---- */

static void add_file(const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(SEED_BYTES_MAX);
    if (!file || !data || seed_count == SEED_MAX) {
        fprintf(stderr, "fuzz: %s: cannot be read, or is one file too many\n", path);
        exit(2);
    }
    size_t size = fread(data, 1, SEED_BYTES_MAX, file);
    fclose(file);
    seeds[seed_count++] = (bytes){data, size};
}

static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* In the order of names, so that a seed means the same mutations everywhere. */
static void add_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_file, alphasort);
    for (int i = 0; i < count; i++) {
        add_file(folder, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
}

/* ---- mutations ---- */

static void remove_part(bytes *input)
{
    size_t at = random_below(input->size + 1);
    size_t most = input->size - at, length = random_below((most < 64 ? most : 64) + 1);
    memmove(input->data + at, input->data + at + length, input->size - at - length);
    input->size -= length;
}

static void insert_part(bytes *input)
{
    const bytes *other = &seeds[random_below(seed_count)];
    size_t at = random_below(input->size + 1), from = random_below(other->size + 1);
    size_t length = random_below((other->size - from < 64 ? other->size - from : 64) + 1);
    if (input->size + length > ROOM_BYTES) {
        return;
    }
    memmove(input->data + at + length, input->data + at, input->size - at);
    memcpy(input->data + at, other->data + from, length);
    input->size += length;
}

static void put_number(bytes *input)
{
    static const uint64_t numbers[] = {
        0,          1,          0x7f,      0x80,       0xff, 0x7fff, 0xffff,     0x7fffffff,
        0x80000000, 0xffffffff, INT64_MAX, UINT64_MAX, 4095, 4096,   0x08000000, 0x0c000000};
    size_t width = (size_t)1 << random_below(4);
    uint64_t number = numbers[random_below(sizeof numbers / sizeof numbers[0])];
    if (input->size >= width) {
        memcpy(input->data + random_below(input->size - width + 1), &number, width);
    }
}

/* In place: formats full of offsets are refused at once when their parts move. */
static void mutate(bytes *input, int in_place)
{
    switch (in_place ? 2 + 2 * random_below(2) : random_below(6)) {
    case 0:
        remove_part(input);
        break;
    case 1:
        insert_part(input);
        break;
    case 2:
        put_number(input);
        break;
    case 3:
        input->size = random_below(16) ? input->size : random_below(input->size + 1);
        break;
    default:
        if (input->size) {
            input->data[random_below(input->size)] ^= (uint8_t)(1u << random_below(8));
        }
    }
}

/* A copy of its own size, so that a sanitizer sees a read behind it. */
static void run(const bytes *input)
{
    uint8_t *exact = malloc(input->size ? input->size : 1);
    if (!exact) {
        abort();
    }
    if (input->size) {
        memcpy(exact, input->data, input->size);
    }
    current = (bytes){exact, input->size};
    alarm(10);
    LLVMFuzzerTestOneInput(exact, input->size);
    alarm(0);
    current.size = 0;
    free(exact);
}

static void run_mutated(uint8_t *room)
{
    const bytes *seed = &seeds[random_below(seed_count)];
    bytes input = {room, seed->size};
    memcpy(room, seed->data, seed->size);
    int in_place = random_below(2) == 0;
    for (uint64_t i = 1 + random_below(MUTATIONS_MAX); i > 0; i--) {
        mutate(&input, in_place);
    }
    run(&input);
}

int main(int argc, char **argv)
{
    const char *given = getenv("RP_SEED");
    unsigned long long seed = given ? strtoull(given, NULL, 0) : 1;
    uint8_t *room = malloc(ROOM_BYTES);
    for (int i = 2; i < argc; i++) {
        add_folder(argv[i]);
    }
    if (argc < 3 || seed_count == 0 || !room) {
        fprintf(stderr, "usage: fuzz_NAME COUNT FOLDER...: runs the files in the folders and COUNT "
                        "mutations of them; there must be files\n");
        return 2;
    }
    long count = strtol(argv[1], NULL, 10);
    random_state = seed ? seed : 1;
    watch_for_the_end(argv[0]);
    printf("%zu files, %ld mutations, RP_SEED=%llu\n", seed_count, count, seed);
    run(&(bytes){room, 0});
    for (size_t i = 0; i < seed_count; i++) {
        run(&seeds[i]);
    }
    for (long i = 0; i < count; i++) {
        run_mutated(room);
    }
    for (size_t i = 0; i < seed_count; i++) {
        free(seeds[i].data);
    }
    free(room);
    return 0;
}
