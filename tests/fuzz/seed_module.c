/* A small build that the fuzz targets start from: each kind of symbol once. Built with EDIT as
 * well, with what an edit adds and moves. */
#ifdef EDIT
int seed_added = 3;
#endif

/* Each kind of type once, so that mutations reach the reader of types and the comparison of two. */
enum seed_kind { SEED_PLAIN, SEED_OTHER = 40 };

union seed_either {
    int whole;
    float real;
};

struct seed_place {
    float x, y;
#ifdef EDIT
    float z;
#endif
};

typedef struct seed_item {
    struct seed_item *next;
#ifdef EDIT
    double weight;
#endif
    enum seed_kind kind;
    unsigned small : 3, wide : 17;
    union seed_either either;
    struct seed_place places[3];
    int (*apply)(int);
    struct seed_unknown *unknown;
    struct {
        short inner;
    };
} seed_item;

seed_item seed_items[2];
seed_item *seed_list = &seed_items[1];
long seed_grid[2][3];

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
