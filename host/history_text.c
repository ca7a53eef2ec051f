/* History in words. */
#include "history_text.h"

#include "base/bits.h"

#include <string.h>

static const char *const covered[] = {
    "oldest",       "newest",      "world_bytes",  "history_bytes",    "budget_bytes",
    "evicted",      "records",     "thinned",      "every_frame_from", "raw_bytes",
    "packed_bytes", "table_bytes", "record_bytes", "sought_bytes",     "written_bytes",
    "raw_records",  "packing_ns",  "rate_hz",      "room_bytes",       "working_bytes",
};

bool history_text_covers(const char *key)
{
    for (size_t i = 0; i < RP_COUNT_OF(covered); i++) {
        if (strcmp(covered[i], key) == 0) {
            return true;
        }
    }
    return false;
}

static double number(const json_t *status, const char *key)
{
    return json_number_value(json_object_get(status, key));
}

typedef struct size_text {
    char text[32];
} size_text;

/* "312 bytes", "9.3 KiB", "498 MiB": three digits, or what there is. */
static size_text size_of(double bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
    size_text size;
    size_t unit = 0;
    while (bytes >= 1000 && unit + 1 < RP_COUNT_OF(units)) {
        bytes /= 1024;
        unit++;
    }
    int digits = unit == 0 || bytes >= 100 ? 0 : bytes >= 10 ? 1 : 2;
    snprintf(size.text, sizeof size.text, "%.*f %s", digits, bytes, units[unit]);
    return size;
}

static size_text size_at(const json_t *status, const char *key)
{
    return size_of(number(status, key));
}

static void print_span(const json_t *status, FILE *out)
{
    double oldest = number(status, "oldest"), newest = number(status, "newest");
    double every = number(status, "every_frame_from"), rate = number(status, "rate_hz");
    fprintf(out, "history    frames %.0f to %.0f", oldest, newest);
    if (rate > 0) {
        fprintf(out, ", %.1f s back at %.0f Hz", (newest - oldest) / rate, rate);
    }
    if (every > oldest) {
        fprintf(out, "; every frame from %.0f on, before it some\n", every);
    } else {
        fprintf(out, "; every frame\n");
    }
}

static void print_parts(const json_t *status, FILE *out)
{
    double raw = number(status, "raw_records"), thinned = number(status, "thinned");
    double packed = number(status, "records") - raw - thinned - 1; /* the newest is the state */
    fprintf(out, "  raw      %s in %.0f frames, the newest\n", size_at(status, "raw_bytes").text,
            raw);
    fprintf(out, "  packed   %s in %.0f frames, and %s of tables\n",
            size_at(status, "packed_bytes").text, packed > 0 ? packed : 0,
            size_at(status, "table_bytes").text);
    fprintf(out, "  thinned  %.0f frames, of which input and hash are left; %.0f dropped\n",
            thinned, number(status, "evicted"));
    fprintf(out, "  inputs   %s, with the list of frames\n", size_at(status, "record_bytes").text);
    double room = number(status, "room_bytes") + number(status, "working_bytes");
    fprintf(out, "  room     %s for frames to come and for packing\n", size_of(room).text);
}

void history_text_print(const json_t *status, FILE *out)
{
    if (!json_is_number(json_object_get(status, "history_bytes"))) {
        return;
    }
    double history = number(status, "history_bytes"), written = number(status, "written_bytes");
    print_span(status, out);
    fprintf(out, "costs      %s of a budget of %s, beside the state of %s\n", size_of(history).text,
            size_at(status, "budget_bytes").text, size_at(status, "world_bytes").text);
    print_parts(status, out);
    if (number(status, "sought_bytes") > 0) {
        fprintf(out, "  sought   %s beside the budget, while an old frame is shown\n",
                size_at(status, "sought_bytes").text);
    }
    if (written > 0) {
        fprintf(out,
                "  of       %s that these frames wrote: %.2f of it; packing took %.1f us a page\n",
                size_of(written).text, history / written,
                number(status, "packing_ns") / 1000 / (written / 4096));
    }
}
