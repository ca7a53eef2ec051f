/* `reprise strip`: what belonged to a scope is nowhere in the take any more, and the rest is as it
 * was. */
#include "cmd_diff.h"
#include "cmd_info.h"
#include "cmd_plot.h"
#include "cmd_strip.h"

#include "host/live_take.h"
#include "host/run_command.h"

#include <reprise/trace.h>
#include <take/reader.h>
#include <take/state.h>

/* Secrets are made in a scope, changed, freed, and their memory is handed out again as it is. */
static const char game[] =
    "int score; char *plain, *secret[3], *later;\n"
    "void (*scope)(int);\n"
    "void step(int frame) {\n"
    "  score = frame;\n"
    "  if (frame == 1) { plain = allocate(64); strcpy(plain, \"plain text\"); }\n"
    "  if (frame == 2) { scope(1); for (int i = 0; i < 3; i++) { secret[i] = allocate(60);\n"
    "    strcpy(secret[i], \"hush one\"); } scope(0); }\n"
    "  if (frame == 3) strcpy(secret[1] + 30, \"hush two\");\n"
    "  if (frame == 4) { release(secret[0]); release(secret[2]); }\n"
    "  if (frame == 5) { scope(2); later = allocate(60); strcpy(later, \"open again\"); scope(0); "
    "}\n"
    "}\n";

static void set_scope(int which)
{
    static rp_scope open;
    if (which) {
        open = rp_scope_begin(which == 1 ? "account" : "level");
    } else {
        rp_scope_end(open);
    }
}

static void make_take(void)
{
    live_take t;
    live_take_begin(&t, "a.take", "gcc -g", game);
    void (**scope)(int) = dlsym(t.handle, "scope");
    *scope = set_scope;
    for (int i = 1; i <= 6; i++) {
        live_take_frame(&t, i);
    }
    live_take_end(&t);
}

/* How many frames hold the text anywhere. */
static int frames_with(const char *path, const char *text)
{
    rp_take_file_source source;
    rp_take_open_desc desc = {0};
    rp_take *take;
    rp_take_state *state;
    int count = 0;
    ck_ok(rp_take_file_open(&source, path, &desc.source));
    ck_ok(rp_take_open(&desc, &take));
    ck_ok(rp_take_state_create(take, &state));
    for (uint64_t i = 0; rp_take_frame_at(take, i); i++) {
        size_t cursor = 0;
        uint32_t page;
        const uint8_t *content;
        bool found = false;
        ck_ok(rp_take_state_seek(state, i));
        while (rp_take_state_next(state, &cursor, &page, &content)) {
            found = found || memmem(content, RP_PAGE_BYTES, text, strlen(text));
        }
        count += found;
    }
    rp_take_state_destroy(state);
    rp_take_close(take);
    rp_take_file_source_close(&source);
    return count;
}

TEST(the_memory_of_a_scope_is_in_no_frame_any_more)
{
    enter_folder();
    make_take();
    ck_assert_int_eq(frames_with("a.take", "hush one"), 5);
    ck_assert_int_eq(frames_with("a.take", "hush two"), 4);
    ck_assert_int_eq(run(cmd_strip, "strip --scope /account a.take b.take"), 0);
    expect_in(output, "/account: 180 B taken out");
    ck_assert_int_eq(frames_with("b.take", "hush one"), 0);
    ck_assert_int_eq(frames_with("b.take", "hush two"), 0);
    ck_assert_int_eq(frames_with("b.take", "plain text"), 6);
    ck_assert_int_eq(run(cmd_info, "info --check b.take"), 0);
    expect_in(output, "stripped  memory was taken out");
    ck_assert_int_eq(run(cmd_plot, "plot --csv b.take score plain secret[1]"), 0);
    expect_in(output, "\r\n6,6,plain text,\r\n");
    leave();
}

TEST(scopes_that_are_not_there_are_named_with_those_that_are)
{
    enter_folder();
    make_take();
    ck_assert_int_eq(run(cmd_strip, "strip --scope /acount a.take b.take"), 1);
    expect_in(errors, "has no memory of the scope /acount; it has /account, /level");
    ck_assert_int_eq(access("b.take", F_OK), -1);
    ck_assert_int_eq(run(cmd_strip, "strip --scope level a.take a.take"), 1);
    expect_in(errors, "is there already");
    ck_assert_int_eq(run(cmd_strip, "strip a.take b.take"), 2);
    ck_assert_int_eq(run(cmd_strip, "strip --scope / a.take b.take"), 2);
    leave();
}
