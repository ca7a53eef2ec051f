/* The build whose variables fuzz_expression.c asks for: each kind of type that an expression can
 * pass through. */
enum mood { CALM, ANGRY = 7 };
struct enemy {
    float x, y;
    int hp;
    enum mood mood;
    struct enemy *target;
};
struct node {
    int key;
    struct node *next;
    struct enemy *enemy;
};
struct base {
    int kind;
};
struct derived {
    struct base base;
    struct base *others[3];
};
struct any {
    int kind;
    union {
        int whole;
        float part;
    };
    struct {
        short u, v;
    };
};

int score = -5, selected = 2, grid[2][3], *where;
unsigned char letter = 'Q';
double precise = 0.1;
long double wide = 1.25L;
char title[16] = "a title", *text;
_Thread_local int own = 77;
struct enemy *enemies, fixed[3], **lists;
struct node *head;
struct base *bases;
struct derived *deriveds;
struct any any;
struct {
    unsigned a : 3, b : 7;
    int c : 5;
    _Bool d : 1;
} flags;
enum mood mood = ANGRY;
void *anything;
static long hidden = 1;

static void jump(void)
{
    static int count = 3;
    hidden += count++;
}

void (*act)(void) = jump;

void rp_module_step(void *stage);
void rp_module_step(void *stage)
{
    static int count = 10;
    count += stage != 0;
    hidden += count;
}
