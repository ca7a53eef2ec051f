/* Expressions from text. Layer: module.
 *
 * A descent over the text; nodes are numbered, so that the result is plain bytes without pointers.
 * Depth and count are bounded, as the text comes from anywhere. */
#include "module/value_parse.h"

#include "base/error.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NEST_MOST = 32 };

typedef struct parser {
    rp_expression *e;
    size_t at;
    int depth;
    bool failed;
} parser;

static char here(parser *p)
{
    while (p->e->text[p->at] == ' ' || p->e->text[p->at] == '\t') {
        p->at++;
    }
    return p->e->text[p->at];
}

static uint8_t wrong(parser *p, const char *what)
{
    if (!p->failed) {
        p->failed = true;
        rp_fail(RP_E_ARGUMENT, "%s: at character %zu: %s", p->e->text, p->at + 1, what);
    }
    return 0;
}

static uint8_t add(parser *p, rp_expression_node node)
{
    if (p->failed) {
        return 0;
    }
    if (p->e->count + 1 >= RP_EXPRESSION_NODES) {
        return wrong(p, "it has too many parts");
    }
    p->e->nodes[++p->e->count] = node;
    return p->e->count;
}

static bool skips(parser *p, const char *sign)
{
    here(p);
    size_t length = strlen(sign);
    bool is = strncmp(p->e->text + p->at, sign, length) == 0;
    p->at += is ? length : 0;
    return is;
}

static bool starts_name(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static uint16_t name_length(const char *text)
{
    uint16_t length = 0;
    while (starts_name(text[length]) || (length && isdigit((unsigned char)text[length])) ||
           text[length] == '$') {
        length++;
    }
    return length;
}

static bool takes_name(parser *p, uint16_t *start, uint16_t *bytes)
{
    here(p);
    *start = (uint16_t)p->at;
    *bytes = name_length(p->e->text + p->at);
    p->at += *bytes;
    return *bytes;
}

/* ---- the grammar ---- */

static uint8_t sum(parser *p);

static uint8_t number(parser *p)
{
    char *end;
    double value = strtod(p->e->text + p->at, &end);
    p->at = (size_t)(end - p->e->text);
    return add(p, (rp_expression_node){.kind = EXPRESSION_NUMBER, .number = value});
}

static uint8_t variable(parser *p)
{
    rp_expression_node node = {.kind = EXPRESSION_NAME};
    if (here(p) == '\'') {
        const char *start = p->e->text + p->at + 1, *end = strchr(start, '\'');
        if (!end) {
            return wrong(p, "the file's name has no end: write 'file.c'::name");
        }
        node.scope = (uint16_t)(p->at + 1);
        node.scope_bytes = (uint16_t)(end - start);
        p->at += node.scope_bytes + 2u;
        if (!skips(p, "::")) {
            return wrong(p, "write 'file.c'::name");
        }
    }
    if (!takes_name(p, &node.name, &node.name_bytes)) {
        return wrong(p, "here a variable is missing");
    }
    if (!node.scope && skips(p, "::")) {
        node.scope = node.name;
        node.scope_bytes = node.name_bytes;
        if (!takes_name(p, &node.name, &node.name_bytes)) {
            return wrong(p, "here a variable is missing");
        }
    }
    return add(p, node);
}

static uint8_t primary(parser *p)
{
    char c = here(p);
    if (isdigit((unsigned char)c)) {
        return number(p);
    }
    if (!skips(p, "(")) {
        return variable(p);
    }
    uint8_t inner = sum(p);
    return p->failed || skips(p, ")") ? inner : wrong(p, "here a ) is missing");
}

static uint8_t member(parser *p, uint8_t left, uint8_t kind)
{
    rp_expression_node node = {.kind = kind, .left = left};
    if (!takes_name(p, &node.name, &node.name_bytes)) {
        return wrong(p, "here a member is missing");
    }
    return add(p, node);
}

static uint8_t postfix(parser *p)
{
    uint8_t left = primary(p);
    while (!p->failed) {
        if (skips(p, "->")) {
            left = member(p, left, EXPRESSION_ARROW);
        } else if (skips(p, ".")) {
            left = member(p, left, EXPRESSION_MEMBER);
        } else if (skips(p, "[")) {
            uint8_t right = sum(p);
            if (!p->failed && !skips(p, "]")) {
                return wrong(p, "here a ] is missing");
            }
            left = add(p, (rp_expression_node){EXPRESSION_INDEX, left, right, 0, 0, 0, 0, 0});
        } else {
            break;
        }
    }
    return left;
}

static uint8_t unary(parser *p)
{
    uint8_t kind = EXPRESSION_NONE;
    if (skips(p, "-")) {
        kind = EXPRESSION_MINUS;
    } else if (skips(p, "*")) {
        kind = EXPRESSION_TARGET;
    } else {
        return postfix(p);
    }
    if (++p->depth > NEST_MOST) {
        return wrong(p, "it is nested too deeply");
    }
    uint8_t inner = unary(p);
    p->depth--;
    return add(p, (rp_expression_node){.kind = kind, .left = inner});
}

static uint8_t product(parser *p)
{
    uint8_t left = unary(p);
    while (!p->failed && (here(p) == '*' || here(p) == '/')) {
        uint8_t kind = p->e->text[p->at++] == '*' ? EXPRESSION_PRODUCT : EXPRESSION_QUOTIENT;
        uint8_t right = unary(p);
        left = add(p, (rp_expression_node){kind, left, right, 0, 0, 0, 0, 0});
    }
    return left;
}

static uint8_t sum(parser *p)
{
    if (++p->depth > NEST_MOST) {
        return wrong(p, "it is nested too deeply");
    }
    uint8_t left = product(p);
    while (!p->failed && (here(p) == '+' || here(p) == '-')) {
        uint8_t kind = p->e->text[p->at++] == '+' ? EXPRESSION_SUM : EXPRESSION_DIFFERENCE;
        uint8_t right = product(p);
        left = add(p, (rp_expression_node){kind, left, right, 0, 0, 0, 0, 0});
    }
    p->depth--;
    return left;
}

rp_status rp_expression_parse(const char *text, rp_expression *expression)
{
    parser p = {.e = expression};
    *expression = (rp_expression){0};
    if (!rp_text_copy(expression->text, sizeof expression->text, text)) {
        return rp_fail(RP_E_ARGUMENT, "the expression has more than %d characters",
                       RP_EXPRESSION_BYTES - 1);
    }
    expression->root = sum(&p);
    if (!p.failed && here(&p)) {
        wrong(&p, "this is more than an expression");
    }
    return p.failed ? RP_E_ARGUMENT : RP_OK;
}
