/* A small build that the fuzz targets start from: each kind of symbol once. Built with EDIT as
 * well, with what an edit adds and moves. */
#ifdef EDIT
int seed_added = 3;
#endif
static int seed_hidden = 1;
int seed_counts[4] = {1, 2, 3, 4};
static const char *const seed_names[] = {"one", "two"};
_Thread_local int seed_thread = 7;

static int seed_twice(int x)
{
    static int calls;
    calls++;
    return x * 2 + calls;
}

int (*seed_function)(int) = seed_twice;

const char *seed_name;

void rp_module_step(void *stage);
void rp_module_step(void *stage)
{
    int x = stage != 0;
    seed_hidden += seed_counts[x & 3] + seed_thread;
#ifdef EDIT
    seed_hidden += seed_added;
#endif
    seed_name = seed_names[seed_function(seed_hidden) & 1];
}
