#include "module/reload.h"

/* One program with what the whole is for: a list, a hash table of pointers, an array, and pointers
 * into objects. */
static const char shared[] =
    "struct Node *head; struct Node *table[16]; struct Enemy *enemies; struct Enemy *boss;\n"
    "float *boss_x; struct Enemy fixed[3]; struct Enemy *second = &fixed[1]; int *fixed_hp;\n"
    "struct Enemy *end; void *any;\n";

static const char old_text[] =
    "struct Enemy { float x, y; int hp; struct Enemy *target; };\n"
    "struct Node { int key; struct Node *next; struct Node *in_bucket; struct Enemy *enemy; };\n"
    "%s\n"
    "int make(void) {\n"
    "  enemies = allocate(10 * sizeof *enemies); end = enemies + 10;\n"
    "  for (int i = 0; i < 10; i++) enemies[i] = (struct Enemy){i, i * 2, i * 3, &enemies[9 - "
    "i]};\n"
    "  for (int i = 0; i < 100; i++) { struct Node *n = allocate(sizeof *n);\n"
    "    *n = (struct Node){i, head, table[i %% 16], &enemies[i %% 10]}; head = table[i %% 16] = "
    "n; }\n"
    "  boss = &enemies[3]; boss_x = &enemies[7].y;\n"
    "  for (int i = 0; i < 3; i++) fixed[i] = (struct Enemy){i + .5f, i, 100 + i, boss};\n"
    "  fixed_hp = &fixed[2].hp; any = head; return 0; }\n";

static const char new_text[] =
    "struct Enemy { int team; double x; float coyote_s; float y; struct Enemy *target; short hp; "
    "};\n"
    "struct Node { struct Node *next; long key; struct Enemy *enemy; struct Node *in_bucket;\n"
    "  int extra[3]; };\n"
    "%s\n"
    "int check(void) {\n"
    "  CHECK(end == enemies + 10);\n"
    "  for (int i = 0; i < 10; i++) { struct Enemy *e = &enemies[i];\n"
    "    CHECK(e->x == i && e->y == i * 2 && e->hp == i * 3 && e->target == &enemies[9 - i]);\n"
    "    CHECK(e->team == 0 && e->coyote_s == 0); }\n"
    "  int i = 99; for (struct Node *n = head; n; n = n->next, i--) {\n"
    "    CHECK(n->key == i && n->enemy == &enemies[i %% 10] && n->extra[1] == 0); }\n"
    "  CHECK(i == -1);\n"
    "  for (int b = 0; b < 16; b++) for (struct Node *n = table[b]; n; n = n->in_bucket)\n"
    "    { CHECK(n->key %% 16 == b); i++; }\n"
    "  CHECK(i == 99 && boss == &enemies[3] && boss_x == &enemies[7].y);\n"
    "  for (int k = 0; k < 3; k++) CHECK(fixed[k].x == k + .5 && fixed[k].hp == 100 + k && "
    "fixed[k].target == boss);\n"
    "  CHECK(second == &fixed[1]); CHECK(fixed_hp == (int *)&fixed[2].hp && any == head); return "
    "0; }\n";

static void check_world(const char *compiler)
{
    reload r = reload_open();
    char was[8192], is[8192];
    snprintf(was, sizeof was, old_text, shared);
    snprintf(is, sizeof is, new_text, shared);
    reload_build(&r, compiler, was, is);
    reload_call(&r.old_build, "make");
    ck_ok(reload_carry(&r, NULL));
    ck_assert_int_eq(reload_call(&r.new_build, "check"), 0);
    ck_assert_uint_eq(r.migration.objects, 111);
    ck_assert_uint_eq(r.migration.pointers_left, 0);
    ck_assert_uint_eq(r.migration.values_lost, 0);
    reload_drop(&r);
    reload_close(&r);
}

TEST(a_list_a_table_and_an_array_survive_edits_of_their_structs)
{
    check_world("gcc -g");
    check_world("clang -g");
    check_world("gcc -gdwarf-4 -O2 -gz");
    check_world("clang -gdwarf-4 -O2 -gz");
}
