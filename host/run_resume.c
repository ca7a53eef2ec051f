/* `reprise run --resume`: what the last run left, and what the next one needs. See run.h,
 * resume.h. */
#include "run.h"

#include <base/error.h>
#include <stdio.h>

/* Of the history so much is brought back; all of a long run would take seconds. */
enum { FRAMES_MOST = 3600 };

static rp_status world_stand(run *r)
{
    take_session *t = &r->take_opened;
    uint64_t last = r->take.overview.frame_count;
    const take_session_desc desc = {
        .file = &r->take, .copies = r->copies.path, .own = true, .session = run_session_desc(r)};
    do {
        if (!last--) {
            return rp_fail(RP_E_NOT_FOUND, "%s: no whole frame is in it", r->take.path);
        }
    } while (rp_take_frame_at(r->take.take, last)->flags & RP_TAKE_THIN);
    rp_status status = take_session_open(&desc, last, t, &r->session);
    uint64_t first = last > FRAMES_MOST ? last - FRAMES_MOST : 0;
    status = status ? status : take_session_load(t, first, last, NULL, NULL);
    status = status ? status : take_session_stand(t, rp_take_frame_at(r->take.take, last)->frame);
    if (status && t->session) {
        rp_error why = *rp_error_last();
        session_close(&r->session);
        rp_fail(why.status, "%s", why.text);
    }
    return status;
}

rp_status run_resume(run *r, bool *resumed)
{
    char path[RESUME_PATH_BYTES];
    uint32_t number = 0;
    rp_status status = resume_open(&r->resume, r->options.module);
    *resumed = false;
    while (!status && !*resumed && resume_next(&r->resume, &number, path, sizeof path)) {
        rp_status read = take_file_open_quietly(&r->take, path);
        read = read ? read : world_stand(r);
        *resumed = r->opened = read == RP_OK;
        if (read) {
            fprintf(stderr, "reprise: resume: %s\n", rp_error_last()->text);
        }
        take_session_close(&r->take_opened); /* it reads from the file; the session needs neither */
        take_file_close(&r->take);
    }
    if (*resumed) {
        fprintf(stderr, "reprise: resume: goes on behind frame %llu\n",
                (unsigned long long)session_frame(&r->session));
        run_at(r);
    }
    return status;
}

rp_status run_resume_record(run *r)
{
    return resume_record(&r->resume, &r->session);
}

/* It is no reason to end that the next run could not go on from here. */
void run_resume_tend(run *r)
{
    if (resume_tend(&r->resume, &r->session)) {
        run_warn(r, "resume: nothing is kept for the next run any more: %s", rp_error_last()->text);
    }
}
