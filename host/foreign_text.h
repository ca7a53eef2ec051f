/* Text that comes from files, programs and takes, made fit for the places it goes to. It is bytes:
 * it need not be UTF-8, and may hold what would end a document or what a terminal obeys.
 *
 * Layer: host.  Tests: tests/host/test_foreign_text.c
 */
#ifndef HOST_FOREIGN_TEXT_H
#define HOST_FOREIGN_TEXT_H

#include <jansson.h>
#include <stdio.h>

/* A string of JSON. Where the text is no UTF-8, each byte outside ASCII is '?'. The caller owns it;
 * null: no memory. */
json_t *foreign_json(const char *text);

/* The text as the content of an element or attribute of XML 1.0, whose characters (XML 1.0, 2.2)
 * leave out the control characters but tab and the ends of lines, the surrogates, U+FFFE and
 * U+FFFF, which become '?', as does each byte that is no UTF-8. The ends of lines and tabs become
 * references, since a reader makes blanks of them in an attribute. */
void foreign_put_xml(const char *text, FILE *to);

#endif
