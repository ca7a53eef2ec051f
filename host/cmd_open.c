/* `reprise open`: the world of a take in a new process. What is done with it then is what
 * `reprise run` does: see run.h. How it comes there: take_session.h. */
#include "cmd_open.h"
#include "run.h"

#include <base/error.h>
#include <base/text.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void help_print(void)
{
    puts("usage: reprise open [OPTIONS] FILE.take\n"
         "\n"
         "Goes on with a take in a new process: the same memory at the same addresses, after any\n"
         "of its frames. Its history can be scrubbed through, looped, and played on from, live.\n"
         "\n"
         "A take holds code. A build that did not run on this machine yet is run only with\n"
         "--trust; reprise info, diff and export read a take and run nothing (docs/takes.md).\n"
         "\n"
         "  --frame N            stand after frame N, first or last; default: last\n"
         "  --play               play on from there at once, live; default: pause, and with\n"
         "                       --stage none and --frames play\n"
         "  --history N|all      frames of the take before and behind that one to scrub through\n"
         "                       (3600); all of a long take takes seconds to read\n"
         "  --trust              run the take's builds, which this machine does not know\n"
         "  --module FILE.so     the module that its source makes: each new build of it is taken\n"
         "                       up, as in `reprise run`, the one that is there at first as well\n"
         "  --build CMD          run CMD when a source changes; with --module\n"
         "  --source PATH        a folder or file whose changes start the build\n"
         "  --stage sdl|term|none, --scale N, --name NAME, --input FILE, --frames N, --hashes,\n"
         "  --paced, --budget SIZE, --tracking WAY, --watchdog SECONDS, --keep-lib PATTERN,\n"
         "  --types FILE, --debug NAME=MODES, --leaks, --synctest, --check-threads\n"
         "                       as for `reprise run`\n"
         "  --help               this text\n"
         "\n"
         "Exit codes: 0 done · 1 it could not be opened · 2 wrong usage · 3 the program failed,\n"
         "or memory was found broken (without a stage) · 5 a build is not known here, and --trust\n"
         "was not said · 6 memory or libraries cannot be where they were (`reprise doctor` says\n"
         "who is there) · 4, 23 as for `reprise run`\n"
         "\n"
         "Examples:\n"
         "  reprise open bug.take\n"
         "  reprise open --frame 1204 --module ./game.so --build make bug.take\n"
         "  reprise open --stage none --frame first --frames 600 --hashes bug.take");
}

/* ---- which frame ---- */

/* The record to stand at: of a thin one the nearest before it that has its memory. */
static rp_status record_choose(run *r, uint64_t *index)
{
    rp_take *take = r->take.take;
    rp_status status = take_file_frame(&r->take, r->options.at ? r->options.at : "last", index);
    if (status) {
        r->exit_code = status == RP_E_ARGUMENT ? RUN_EXIT_USAGE : 0;
        return status;
    }
    uint64_t wanted = *index;
    while (*index > 0 && rp_take_frame_at(take, *index)->flags & RP_TAKE_THIN) {
        --*index;
    }
    if (rp_take_frame_at(take, *index)->flags & RP_TAKE_THIN) {
        return rp_fail(RP_E_NOT_FOUND, "%s: holds no memory up to frame %llu, only inputs",
                       r->take.path, (unsigned long long)rp_take_frame_at(take, wanted)->frame);
    }
    if (*index != wanted && !(r->take.overview.environment.flags & RP_TAKE_INPUTS_ALONE)) {
        fprintf(stderr, "reprise: %s: frame %llu has no memory in it: this is %llu\n", r->take.path,
                (unsigned long long)rp_take_frame_at(take, wanted)->frame,
                (unsigned long long)rp_take_frame_at(take, *index)->frame);
    }
    return RP_OK;
}

/* ---- what belongs to frames ---- */

static bool loads_on(void *context, uint64_t done, uint64_t all)
{
    (void)context;
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\ropen: %llu of %llu frames\033[K%s", (unsigned long long)done,
                (unsigned long long)all, done + 64 >= all ? "\r\033[K" : "");
    }
    return !run_asked_to_end();
}

static void crash_take(run *r, const rp_take_crash *crash, const rp_take_array *input)
{
    rp_input packed;
    run_mark(r, 'c', crash->frame);
    if (crash->frame != session_frame(&r->session) + 1) {
        return;
    }
    char text[sizeof crash->text];
    rp_text_copy(text, sizeof text, crash->text);
    take_file_plain(text);
    run_say(r, "frame %llu failed when this was recorded: %s; playing on tries its input again",
            (unsigned long long)crash->frame, text);
    if (rp_input_unpack(input->data, crash->input_bytes, &packed) == RP_OK) {
        r->pending = packed;
        r->has_pending = true;
    }
}

static void loop_take(run *r, const rp_take_loop *loop)
{
    if (loop->flags & 1) {
        run_command(r, (rp_command){.kind = RP_COMMAND_LOOP, .a = loop->from, .b = loop->to});
    }
}

static rp_status others_take(run *r, rp_take_array *input)
{
    rp_take *take = r->take.take;
    const rp_take_index_other *other;
    rp_status status = RP_OK;
    for (uint64_t i = 0; !status && (other = rp_take_other_at(take, i)); i++) {
        union {
            rp_take_loop loop;
            rp_take_crash crash;
        } fixed;
        if (other->type != RP_TAKE_LOOP && other->type != RP_TAKE_CRASH) {
            continue;
        }
        input->used_bytes = 0;
        status = rp_take_other_read(take, i, &fixed, input, NULL);
        if (status) {
            break;
        }
        if (other->type == RP_TAKE_LOOP) {
            loop_take(r, &fixed.loop);
        } else {
            crash_take(r, &fixed.crash, input);
        }
    }
    return status;
}

/* ---- opening ---- */

static int exit_code_of(rp_status status)
{
    switch (status) {
    case RP_E_ARGUMENT:
        return RUN_EXIT_UNKNOWN;
    case RP_E_UNSUPPORTED:
    case RP_E_CHANGED:
    case RP_E_TAKEN:
        return RUN_EXIT_PLACE;
    default:
        return RUN_EXIT_FAILED;
    }
}

static void moved_tell(const run *r)
{
    const take_session *t = &r->take_opened;
    if (t->notes[0]) {
        fprintf(stderr, "reprise: %s", t->notes);
    }
    if (t->move_count) {
        fprintf(stderr,
                "reprise: %s: %zu libraries or builds lie elsewhere in this process, the first is "
                "%s: %llu words that lead into them were moved, so hashes are others than the "
                "take's\n",
                r->take.path, t->move_count, t->moves[0].name, (unsigned long long)t->moved_words);
    }
}

/* The records that are read into the history. */
static void window_choose(const run *r, uint64_t index, uint64_t *first, uint64_t *last)
{
    uint64_t most = r->options.history, end = take_session_course_end(&r->take, index);
    *first = index > most ? index - most : 0;
    *last = end - index > most ? index + most : end;
    if (*first || *last < end) {
        fprintf(stderr,
                "reprise: %s: frames %llu to %llu are in the history: --history all reads the "
                "others, too, and --frame begins elsewhere\n",
                r->take.path, (unsigned long long)rp_take_frame_at(r->take.take, *first)->frame,
                (unsigned long long)rp_take_frame_at(r->take.take, *last)->frame);
    }
}

static rp_status world_stand(run *r, uint64_t index)
{
    uint64_t first, last;
    take_session *t = &r->take_opened;
    const take_session_desc desc = {.file = &r->take,
                                    .copies = r->copies.path,
                                    .trust = r->options.trust,
                                    .known = r->options.module,
                                    .session = run_session_desc(r)};
    window_choose(r, index, &first, &last);
    rp_status status = take_session_open(&desc, index, t, &r->session);
    status = status ? status : take_session_load(t, first, last, loads_on, NULL);
    status = status ? status : take_session_stand(t, rp_take_frame_at(r->take.take, index)->frame);
    if (status) {
        r->exit_code = exit_code_of(status);
    }
    return status;
}

/* Whether it is to play at once: without a person there is nobody who would start it. */
static bool plays(const run *r)
{
    return r->options.plays || (r->stage_class == &stage_none_class && r->options.frames);
}

static rp_status begin(run *r)
{
    uint64_t index = 0;
    rp_take_array input = {0};
    rp_status status = take_file_open(&r->take, r->options.opens);
    status = status ? status : record_choose(r, &index);
    status = status ? status : world_stand(r, index);
    if (status) {
        return status;
    }
    moved_tell(r);
    r->opened = true;
    run_at(r);
    status = rp_take_array_init(&input, RP_TAKE_INPUT_MOST_BYTES);
    status = status ? status : others_take(r, &input);
    rp_take_array_finish(&input);
    if (!status && !plays(r)) {
        run_command(r, (rp_command){.kind = RP_COMMAND_PAUSE});
    }
    return status ? status : session_show(&r->session);
}

int cmd_open(int argc, char **argv)
{
    static run r; /* large, and one in a process */
    bool help;
    if (run_options_read_open(argc, argv, &r.options, &help)) {
        fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
        return RUN_EXIT_USAGE;
    }
    if (help) {
        help_print();
        return RUN_EXIT_DONE;
    }
    return run_all(&r, begin);
}
