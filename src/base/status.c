#include "base/error.h"
#include "base/text.h"

#include <string.h>

static _Thread_local rp_error record;

static const struct {
    rp_status status;
    const char *text;
} texts[] = {
    {RP_OK, "success"},
    {RP_E_ARGUMENT, "invalid argument"},
    {RP_E_MEMORY, "out of memory"},
    {RP_E_SYSTEM, "the system refused"},
    {RP_E_TAKEN, "the address range is taken"},
    {RP_E_LIMIT, "a resource limit forbids it"},
    {RP_E_UNSUPPORTED, "not supported here"},
    {RP_E_FORMAT, "damaged or not of the right format"},
    {RP_E_INCOMPLETE, "not complete yet"},
    {RP_E_NOT_FOUND, "not found"},
    {RP_E_BUDGET, "the history's budget is too small"},
    {RP_E_MODULE, "the module cannot be used"},
    {RP_E_CHANGED, "changed in a way that cannot be carried over"},
    {RP_E_DIED, "the runner ended"},
    {RP_E_TIMEOUT, "no answer in time"},
    {RP_E_BUSY, "in use by somebody else"},
    {RP_E_RANGE, "outside what there is"},
    {RP_E_CLOSED, "closed by the other side"},
};

const char *rp_status_text(rp_status status)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return "unknown status";
}

const rp_error *rp_error_last(void)
{
    return &record;
}

void rp_error_clear(void)
{
    record = (rp_error){.status = RP_OK};
}

static rp_status keep(rp_status status, int system_code, const char *format, va_list arguments)
{
    char text[sizeof record.text]; /* the arguments may point into the record */
    rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
    rp_text_add_v(&buffer, format, arguments);
    if (system_code) {
        /* Not strerror_r: it looks for a translation, and allocates for that. Who fails may hold
         * the lock of the allocator that malloc is. */
        const char *why = strerrordesc_np(system_code);
        rp_text_add(&buffer, ": %s", why ? why : "an error without a name");
    }
    record.status = status;
    record.system_code = system_code;
    memcpy(record.text, text, sizeof text);
    return status;
}

rp_status rp_fail(rp_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    keep(status, 0, format, arguments);
    va_end(arguments);
    return status;
}

rp_status rp_fail_system(rp_status status, int system_code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    keep(status, system_code, format, arguments);
    va_end(arguments);
    return status;
}
