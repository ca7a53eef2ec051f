/* The doctor's table, for a person. */
#include "doctor/doctor.h"

#include "base/bits.h"
#include "base/text.h"
#include "region/region.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void row(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void row(const char *name, const char *format, ...)
{
    va_list arguments;
    printf("  %-16s ", name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static const char *limit_text(uint64_t bytes, char text[32])
{
    rp_text_buffer buffer = rp_text_buffer_over(text, 32);
    if (bytes == RP_OS_NO_LIMIT) {
        rp_text_add(&buffer, "unlimited");
    } else {
        rp_text_add_bytes(&buffer, bytes);
    }
    return text;
}

/* ---- the machine ---- */

static void print_limits(const rp_os_machine *m)
{
    static const char *const overcommit[] = {"by heuristic", "always", "never (charged)"};
    char space[32], stack[32];
    row("limits", "address space %s, stack %s, %" PRIu64 " mappings",
        limit_text(m->address_space_limit_bytes, space), limit_text(m->stack_limit_bytes, stack),
        m->mapping_limit);
    row("memory", "overcommit %s, huge pages %s",
        m->overcommit >= 0 && m->overcommit <= 2 ? overcommit[m->overcommit] : "unknown",
        m->huge_pages[0] ? m->huge_pages : "none");
    row("watches", "%" PRIu64 " in %" PRIu64 " instances (inotify)", m->watch_limit,
        m->watch_instance_limit);
}

static void print_machine(const doctor *d)
{
    const rp_os_machine *m = &d->machine;
    puts("machine");
    row("kernel", "Linux %s, %s, pages of %" PRIu32 " bytes", m->kernel, m->architecture,
        m->page_bytes);
    row("addresses", "%" PRIu32 " bits, %" PRIu32 " of them randomised%s%s, lowest %#" PRIx64,
        m->address_bits, m->randomisation_bits,
        m->randomisation == 0 || m->randomisation_off ? " (off now)" : "",
        m->legacy_layout ? ", legacy layout" : "", m->lowest_address);
    print_limits(m);
    row("runs in", "%s%s%s, seccomp %s%s", m->container[0] ? m->container : "no container",
        m->emulator[0] ? ", " : "", m->emulator,
        m->seccomp == 2   ? "filter"
        : m->seccomp == 1 ? "strict"
        : m->seccomp == 0 ? "off"
                          : "unknown",
        m->no_new_privileges ? ", no new privileges" : "");
}

static void print_features(const doctor *d)
{
    puts("\nkernel features");
    for (size_t i = 0; i < d->feature_count; i++) {
        const rp_os_feature *f = &d->features[i];
        row(f->id, "%-4s %s%s%s", f->system_code ? "no" : "yes", f->what,
            f->system_code ? ": " : "", f->system_code ? strerrordesc_np(f->system_code) : "");
    }
    puts("\nwrite tracking, best first");
    bool used = false;
    for (size_t i = 0; i < d->rung_count; i++) {
        const doctor_rung *r = &d->rungs[i];
        row(r->name, "%-4s %s", !r->present ? "no" : used ? "yes" : "USED", r->cost);
        used = used || r->present;
    }
}

/* ---- the program ---- */

static void print_program(const doctor *d)
{
    static const char *const names[] = {"AddressSanitizer", "ThreadSanitizer", "MemorySanitizer"};
    const doctor_program *p = &d->program;
    printf("\nprogram\n");
    row("file", "%s%s", p->path, !d->options.itself ? "" : " (this command: no program was named)");
    printf("  %-16s %s", "kind", doctor_kind_name(p->kind));
    for (int i = 0; i < RP_SURVEY_SANITIZERS; i++) {
        printf("%s%s", p->sanitizers[i] ? ", " : "", p->sanitizers[i] ? names[i] : "");
    }
    printf("%s%s%s\n", d->emulator[0] ? ", in " : "", d->emulator,
           p->has_region ? ", opens Reprise's region itself" : "");
}

static void print_modes(const doctor *d)
{
    printf("\nbase %#" PRIx64 " to %#" PRIx64 " (%" PRIu64 " GiB)\n", RP_REGION_BASE,
           RP_MODULE_LIMIT, (RP_MODULE_LIMIT - RP_REGION_BASE) >> 30);
    printf("  %-18s %6s %6s %8s   %s\n", "mode", "runs", "free", "proved", "of proofs");
    for (int i = 0; i < RP_OS_SUBJECT_MODES; i++) {
        const doctor_mode *m = &d->modes[i];
        const char *name = doctor_mode_name((rp_os_subject_mode)i);
        if (m->refused) {
            printf("  %-18s not allowed here\n", name);
        } else {
            printf("  %-18s %6" PRIu32 " %6" PRIu32 " %8" PRIu32 "   %" PRIu32 "\n", name,
                   m->run_count, m->free_count, m->proved_count, m->proof_count);
        }
    }
}

static void print_grade(const rp_survey_grade *grade)
{
    static const char *const names[] = {"asan", "tsan", "msan"};
    printf(" %8u  ", grade->reach_bits);
    for (int i = 0; i < RP_SURVEY_SANITIZERS; i++) {
        printf(" %-4s", grade->sanitizers[i] ? names[i] : "-");
    }
}

static void print_windows(const doctor *d)
{
    puts("\nwindows that were free in every run, best first");
    printf("  %-30s %9s %8s   %-14s %s\n", "from to", "GiB", "bits", "sanitizers", "base");
    for (size_t i = 0; i < d->window_count; i++) {
        const rp_survey_window *w = &d->windows[i];
        printf("  %#014" PRIx64 " %#014" PRIx64 "  %9" PRIu64, w->start, w->end,
               (w->end - w->start) >> 30);
        print_grade(&w->grade);
        printf("  %#" PRIx64 "%s\n", w->base, w->is_default ? " (built in)" : "");
    }
    if (!d->window_count) {
        puts("  none is large enough");
    }
    puts("  bits: of address randomisation at which the window still is out of reach");
}

/* ---- findings ---- */

static void print_findings(const doctor *d)
{
    static const char *const weights[] = {"note", "less", "file", "forbidden", "base"};
    putchar('\n');
    for (size_t i = 0; i < d->finding_count; i++) {
        const doctor_finding *f = &d->findings[i];
        printf("%s: %s: %s: %s\n", weights[f->weight], f->what, f->why, f->remedy);
    }
    int code = doctor_exit_code(d);
    if (d->recorded[0]) {
        printf("written: %s\n", d->recorded);
    }
    puts(code == DOCTOR_EXIT_FINE        ? "fine: the region can lie at its base"
         : code == DOCTOR_EXIT_LESS      ? "works, with less: see above"
         : code == DOCTOR_EXIT_FORBIDDEN ? "reprise cannot run like this: see above"
         : code == DOCTOR_EXIT_FILE      ? "the project file does not fit: see above"
                                         : "the region cannot lie at its base: see above");
}

void doctor_print_text(const doctor *d)
{
    print_machine(d);
    print_features(d);
    print_program(d);
    print_modes(d);
    if (d->options.survey || !d->default_free) {
        print_windows(d);
    }
    print_findings(d);
}
