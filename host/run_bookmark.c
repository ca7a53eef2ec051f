/* Bookmarks: keys, `reprise ctl`, the timeline. See run.h, bookmarks.h. */
#include "foreign_text.h"
#include "run.h"

#include <base/error.h>
#include <stdio.h>
#include <string.h>

json_t *run_bookmarks_json(const run *r)
{
    const bookmarks *b = &r->session.bookmarks;
    json_t *list = json_array();
    for (size_t i = 0; i < b->count; i++) {
        json_array_append_new(list, json_pack("{s:o, s:I}", "name", foreign_json(b->items[i].name),
                                              "frame", (json_int_t)b->items[i].frame));
    }
    return list;
}

void run_bookmarks_show(run *r)
{
    stage_view *view = &r->view;
    int kept = 0;
    for (int i = 0; i < view->mark_count; i++) {
        if (view->marks[i].kind != 'm') {
            view->marks[kept++] = view->marks[i];
        }
    }
    view->mark_count = kept;
    for (size_t i = 0; i < r->session.bookmarks.count; i++) {
        run_mark(r, 'm', r->session.bookmarks.items[i].frame);
    }
    r->shown = false;
}

static rp_status put(run *r, const char *name)
{
    const bookmark *made;
    rp_status status =
        session_has_world(&r->session)
            ? session_bookmark(&r->session, name, session_frame(&r->session), &made)
            : rp_fail(RP_E_INCOMPLETE, "bookmark: no build runs yet: wait for the first");
    if (!status) {
        run_say(r, "bookmark %s is frame %llu", made->name, (unsigned long long)made->frame);
        run_bookmarks_show(r);
    }
    return status;
}

static rp_status take_away(run *r, const char *name)
{
    rp_status status = session_unbookmark(&r->session, name);
    if (!status) {
        run_bookmarks_show(r);
    }
    return status;
}

/* ---- keys ---- */

static void toggle_here(run *r)
{
    const bookmark *here = bookmarks_at(&r->session.bookmarks, session_frame(&r->session));
    char name[BOOKMARK_NAME_BYTES] = "";
    if (here) {
        snprintf(name, sizeof name, "%s", here->name);
    }
    if (here ? take_away(r, name) : put(r, NULL)) {
        run_warn(r, "%s", rp_error_last()->text);
    } else if (here) {
        run_toast(r, "bookmark %s is gone", name);
    }
}

static void go(run *r, int by)
{
    const bookmarks *b = &r->session.bookmarks;
    uint64_t at = r->transport.position;
    const bookmark *to = by < 0 ? bookmarks_before(b, at) : bookmarks_behind(b, at);
    if (!to || to->frame > r->transport.newest || to->frame < r->transport.oldest) {
        run_toast(r, "no bookmark %s this frame", by < 0 ? "before" : "behind");
        return;
    }
    run_command(r, (rp_command){.kind = RP_COMMAND_SEEK, .a = to->frame});
    run_toast(r, "bookmark %s", to->name);
}

void run_bookmark_keys(run *r)
{
    if (r->keys.want_bookmark) {
        toggle_here(r);
    }
    if (r->keys.want_bookmark_by) {
        go(r, r->keys.want_bookmark_by);
    }
    r->keys.want_bookmark = false;
    r->keys.want_bookmark_by = 0;
}

/* ---- reprise ctl ---- */

json_t *run_bookmark_answer(run *r, const json_t *request)
{
    const char *command = json_string_value(json_object_get(request, "cmd"));
    const char *name = json_string_value(json_object_get(request, "name"));
    rp_status status = RP_OK;
    if (strcmp(command, "bookmark") == 0) {
        status = put(r, name);
    } else if (strcmp(command, "unbookmark") == 0) {
        status = take_away(r, name ? name : "");
    }
    return status ? run_refused()
                  : json_pack("{s:b, s:o}", "ok", 1, "bookmarks", run_bookmarks_json(r));
}
