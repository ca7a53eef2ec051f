/* What came out, for people, for programs, for CI. */
#include "foreign_text.h"
#include "verify/verify.h"

#include <string.h>

static const char *const words[] = {"same", "differs", "failed", "unknown"};

void verify_print(const char *path, const verify_result *result, FILE *to)
{
    static const char *const marks[] = {"ok", "DIFFERS", "FAILED", "UNKNOWN"};
    fprintf(to, "%-7s %s: %s (%.1f s)\n", marks[result->outcome], path, result->text,
            result->seconds);
    for (int i = 0; i < result->line_count; i++) {
        fprintf(to, "          %s\n", result->lines[i]);
    }
    if (result->differ_count > VERIFY_LINES_MOST) {
        fprintf(to, "          … %llu in all\n", (unsigned long long)result->differ_count);
    }
}

static json_t *result_json(const char *path, const verify_result *r)
{
    json_t *lines = json_array();
    for (int i = 0; i < r->line_count; i++) {
        json_array_append_new(lines, json_string(r->lines[i]));
    }
    json_t *object =
        json_pack("{s:s?,s:s,s:s?,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:o}", "file", path, "outcome",
                  words[r->outcome], "text", r->text, "frames", (json_int_t)r->frames, "hashes",
                  (json_int_t)r->hashes, "left_out", (json_int_t)r->left_out, "other_frames",
                  (json_int_t)r->other_frames, "checks", (json_int_t)r->checks, "recorded",
                  (json_int_t)r->recorded, "seconds", r->seconds, "lines", lines);
    if (r->differs_at) {
        json_object_set_new(object, "differs_at", json_integer((json_int_t)r->differs_at));
    }
    return object;
}

static size_t count_of(const verify_report *report, verify_outcome outcome)
{
    size_t count = 0;
    for (size_t i = 0; i < report->count; i++) {
        count += report->results[i].outcome == outcome;
    }
    return count;
}

json_t *verify_json(const verify_report *report)
{
    json_t *files = json_array();
    for (size_t i = 0; i < report->count; i++) {
        json_array_append_new(files, result_json(report->paths[i], &report->results[i]));
    }
    json_t *object = json_pack("{s:f,s:o}", "seconds", report->seconds, "files", files);
    for (verify_outcome o = VERIFY_SAME; o <= VERIFY_UNKNOWN; o++) {
        json_object_set_new(object, words[o], json_integer((json_int_t)count_of(report, o)));
    }
    return object;
}

static void put_case(const char *path, const verify_result *r, FILE *to)
{
    fputs("  <testcase classname=\"reprise.verify\" name=\"", to);
    foreign_put_xml(path, to);
    fprintf(to, "\" time=\"%.3f\">\n", r->seconds);
    if (r->outcome != VERIFY_SAME) {
        const char *tag = r->outcome == VERIFY_DIFFERS ? "failure" : "error";
        fprintf(to, "    <%s type=\"%s\" message=\"", tag, words[r->outcome]);
        foreign_put_xml(r->text, to);
        fputs("\">", to);
        for (int i = 0; i < r->line_count; i++) {
            foreign_put_xml(r->lines[i], to);
            fputc('\n', to);
        }
        fprintf(to, "</%s>\n", tag);
    } else {
        fputs("    <system-out>", to);
        foreign_put_xml(r->text, to);
        fputs("</system-out>\n", to);
    }
    fputs("  </testcase>\n", to);
}

void verify_junit(const verify_report *report, FILE *to)
{
    fprintf(to,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuite name=\"reprise verify\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" "
            "time=\"%.3f\">\n",
            report->count, count_of(report, VERIFY_DIFFERS),
            count_of(report, VERIFY_FAILED) + count_of(report, VERIFY_UNKNOWN), report->seconds);
    for (size_t i = 0; i < report->count; i++) {
        put_case(report->paths[i], &report->results[i], to);
    }
    fputs("</testsuite>\n", to);
}
