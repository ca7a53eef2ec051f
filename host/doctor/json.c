/* The doctor's result as one JSON object. Addresses are text, "0x…": a number of JSON need not hold
 * 64 bits. */
#include "doctor/doctor.h"

#include "base/bits.h"
#include "foreign_text.h"
#include "region/region.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static json_t *address(uint64_t value)
{
    return json_sprintf("0x%" PRIx64, value);
}

static json_t *limit(uint64_t value)
{
    return value == RP_OS_NO_LIMIT ? json_null() : json_integer((json_int_t)value);
}

static json_t *machine(const rp_os_machine *m)
{
    return json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:i, s:b, s:b, s:o, s:i, s:I, s:I, s:o, s:o, s:o, s:I, s:I, "
        "s:s, "
        "s:b, s:i, s:s, s:s}",
        "architecture", m->architecture, "kernel", m->kernel, "page_bytes", (int)m->page_bytes,
        "address_bits", (int)m->address_bits, "randomisation_bits", (int)m->randomisation_bits,
        "randomisation", m->randomisation, "randomisation_off", m->randomisation_off,
        "legacy_layout", m->legacy_layout, "lowest_address", address(m->lowest_address),
        "overcommit", m->overcommit, "mapping_limit", (json_int_t)m->mapping_limit, "memory_bytes",
        (json_int_t)m->memory_bytes, "address_space_limit_bytes",
        limit(m->address_space_limit_bytes), "stack_limit_bytes", limit(m->stack_limit_bytes),
        "open_files_limit", limit(m->open_files_limit), "watch_limit", (json_int_t)m->watch_limit,
        "watch_instance_limit", (json_int_t)m->watch_instance_limit, "huge_pages", m->huge_pages,
        "no_new_privileges", m->no_new_privileges, "seccomp", m->seccomp, "container", m->container,
        "emulator", m->emulator);
}

static json_t *features(const doctor *d)
{
    json_t *all = json_object();
    for (size_t i = 0; i < d->feature_count; i++) {
        json_object_set_new(all, d->features[i].id,
                            json_pack("{s:b, s:i}", "present", !d->features[i].system_code, "errno",
                                      d->features[i].system_code));
    }
    return all;
}

static json_t *rungs(const doctor *d)
{
    json_t *all = json_array();
    bool used = false;
    for (size_t i = 0; i < d->rung_count; i++) {
        const doctor_rung *r = &d->rungs[i];
        json_array_append_new(all, json_pack("{s:s, s:b, s:b}", "name", r->name, "present",
                                             r->present, "used", r->present && !used));
        used = used || r->present;
    }
    return all;
}

static json_t *sanitizers(const bool which[RP_SURVEY_SANITIZERS])
{
    static const char *const names[] = {"address", "thread", "memory"};
    json_t *all = json_array();
    for (int i = 0; i < RP_SURVEY_SANITIZERS; i++) {
        if (which[i]) {
            json_array_append_new(all, json_string(names[i]));
        }
    }
    return all;
}

static json_t *modes(const doctor *d)
{
    json_t *all = json_object();
    for (int i = 0; i < RP_OS_SUBJECT_MODES; i++) {
        const doctor_mode *m = &d->modes[i];
        json_object_set_new(
            all, doctor_mode_id((rp_os_subject_mode)i),
            json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "allowed", !m->refused, "runs",
                      (json_int_t)m->run_count, "free", (json_int_t)m->free_count, "traced",
                      (json_int_t)m->traced_count, "ended", (json_int_t)m->ended_count, "proofs",
                      (json_int_t)m->proof_count, "proved", (json_int_t)m->proved_count,
                      "proved_bytes", (json_int_t)m->least_proved_bytes));
    }
    return all;
}

static json_t *blockers(const doctor *d)
{
    json_t *all = json_array();
    for (size_t i = 0; i < d->blocker_count; i++) {
        const doctor_blocker *b = &d->blockers[i];
        json_array_append_new(all,
                              json_pack("{s:o, s:o, s:s, s:o, s:s, s:I}", "from", address(b->from),
                                        "to", address(b->to), "permissions", b->permissions, "name",
                                        foreign_json(b->name), "mode", doctor_mode_id(b->mode),
                                        "runs", (json_int_t)b->run_count));
    }
    return all;
}

static json_t *windows(const doctor *d)
{
    json_t *all = json_array();
    for (size_t i = 0; i < d->window_count; i++) {
        const rp_survey_window *w = &d->windows[i];
        json_array_append_new(
            all,
            json_pack("{s:o, s:o, s:o, s:I, s:i, s:o, s:b}", "from", address(w->start), "to",
                      address(w->end), "base", address(w->base), "distance_bytes",
                      (json_int_t)w->distance, "randomisation_bits", (int)w->grade.reach_bits,
                      "sanitizers", sanitizers(w->grade.sanitizers), "built_in", w->is_default));
    }
    return all;
}

static json_t *findings(const doctor *d)
{
    static const char *const weights[] = {"note", "less", "file", "forbidden", "base"};
    json_t *all = json_array();
    for (size_t i = 0; i < d->finding_count; i++) {
        const doctor_finding *f = &d->findings[i];
        json_array_append_new(all,
                              json_pack("{s:s, s:s, s:o, s:o, s:s}", "weight", weights[f->weight],
                                        "id", f->id, "what", foreign_json(f->what), "why",
                                        foreign_json(f->why), "remedy", f->remedy));
    }
    return all;
}

json_t *doctor_json(const doctor *d)
{
    const doctor_program *p = &d->program;
    json_t *program =
        json_pack("{s:o, s:s, s:o, s:s, s:b, s:s}", "path", foreign_json(p->path), "kind",
                  doctor_kind_name(p->kind), "sanitizers", sanitizers(p->sanitizers), "emulator",
                  d->emulator, "has_region", p->has_region, "build_id", p->build_id);
    json_t *base =
        json_pack("{s:o, s:o, s:I, s:b, s:i, s:o}", "from", address(RP_REGION_BASE), "to",
                  address(RP_MODULE_LIMIT), "reserve_bytes", (json_int_t)RP_REGION_RESERVE_BYTES,
                  "free", d->default_free, "randomisation_bits", (int)d->grade.reach_bits,
                  "sanitizers", sanitizers(d->grade.sanitizers));
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "exit_code",
                     doctor_exit_code(d), "machine", machine(&d->machine), "features", features(d),
                     "tracking", rungs(d), "program", program, "base", base, "modes", modes(d),
                     "blockers", blockers(d), "windows", windows(d), "findings", findings(d),
                     "recorded", foreign_json(d->recorded));
}
