#include "foreign_text.h"

#include "deck/font.h"

#include <stdlib.h>
#include <string.h>

json_t *foreign_json(const char *text)
{
    json_t *string = json_string(text);
    if (string) {
        return string;
    }
    char *clean = strdup(text);
    for (char *c = clean; c && *c; c++) {
        *c = (unsigned char)*c < 0x80 ? *c : '?';
    }
    string = json_string(clean ? clean : "");
    free(clean);
    return string;
}

static const char *xml_entity(uint32_t code_point)
{
    switch (code_point) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\t':
        return "&#9;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    default:
        return code_point < ' ' || (code_point >= 0xFFFD && code_point <= 0xFFFF) ? "?" : NULL;
    }
}

void foreign_put_xml(const char *text, FILE *to)
{
    for (const char *next = text; *text; text = next) {
        const char *entity = xml_entity(rp_utf8_next(&next));
        if (entity) {
            fputs(entity, to);
        } else {
            fwrite(text, 1, (size_t)(next - text), to);
        }
    }
}
