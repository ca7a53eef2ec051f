/* Expressions in an image. Layer: module. */
#include "module/value_internal.h"
#include "module/value_parse.h"

#include "base/bits.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

/* What a part of an expression is: something in memory, or a number. */
typedef struct operand {
    bool in_memory;
    value_scalar place; /* of anything, also of structs */
    double number;
} operand;

typedef struct evaluation {
    rp_values *values;
    const rp_image *image;
    const rp_expression *e;
} evaluation;

static rp_status evaluate(const evaluation *ev, uint8_t index, operand *result, int depth);

/* ---- variables by name ---- */

static bool is_named(const rp_symbol *symbol, const char *scope, size_t scope_bytes,
                     const char *name, size_t name_bytes)
{
    bool named = symbol->base_length == name_bytes && memcmp(symbol->base, name, name_bytes) == 0;
    if (!named || !scope_bytes) {
        return named;
    }
    return (strlen(symbol->scope) == scope_bytes &&
            memcmp(symbol->scope, scope, scope_bytes) == 0) ||
           (strlen(symbol->file) == scope_bytes && memcmp(symbol->file, scope, scope_bytes) == 0);
}

static const value_variable *none(const rp_values *values, const char *name, size_t name_bytes)
{
    char storage[300];
    rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
    uint32_t shown = 0;
    for (uint32_t i = 0; i < values->variable_count && shown < 12; i++) {
        rp_text_add(&text, "%s", shown++ ? ", " : "");
        value_variable_name(values, values->variables[i].symbol, &text);
    }
    rp_fail(RP_E_NOT_FOUND, "%.*s: the build has no such variable with a known type; it has %s%s",
            (int)name_bytes, name, shown ? storage : "none",
            shown < values->variable_count ? ", …" : "");
    return NULL;
}

static const value_variable *several(const rp_values *values, const char *name, size_t name_bytes)
{
    char storage[240];
    rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
    for (uint32_t i = 0; i < values->variable_count; i++) {
        const rp_symbol *symbol = values->variables[i].symbol;
        if (is_named(symbol, "", 0, name, name_bytes)) {
            rp_text_add(&text, "%s", text.length ? ", " : "");
            value_variable_name(values, symbol, &text);
        }
    }
    rp_fail(RP_E_NOT_FOUND, "%.*s: several variables have that name: say which: %s",
            (int)name_bytes, name, storage);
    return NULL;
}

/* A global one before the statics of files and functions. */
const value_variable *value_find(const rp_values *values, const char *scope, size_t scope_bytes,
                                 const char *name, size_t name_bytes)
{
    const value_variable *found = NULL, *global = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < values->variable_count; i++) {
        const value_variable *variable = &values->variables[i];
        if (is_named(variable->symbol, scope, scope_bytes, name, name_bytes)) {
            found = variable;
            count++;
            global = variable->symbol->local ? global : variable;
        }
    }
    if (!count) {
        return none(values, name, name_bytes);
    }
    found = global ? global : found;
    return count == 1 || global ? found : several(values, name, name_bytes);
}

/* ---- texts of errors ---- */

static void type_of(const evaluation *ev, const operand *o, char *text, size_t capacity)
{
    value_type_text(ev->values, o->place.node, text, capacity);
}

static rp_status misfit(const evaluation *ev, const operand *o, const char *wanted)
{
    char type[96] = "a number";
    if (o->in_memory) {
        type_of(ev, o, type, sizeof type);
    }
    return rp_fail(RP_E_ARGUMENT, "%s: %s is needed where there is %s", ev->e->text, wanted, type);
}

/* ---- members ---- */

static void list_members(const graph_node *of, rp_text_buffer *text)
{
    for (uint32_t i = 0; i < of->member_count; i++) {
        rp_text_add(text, "%s%.48s", text->length ? ", " : "", of->members[i].name);
    }
}

/* Also in base classes and unnamed unions. `offset_bits` grows by where it lies. */
static const graph_member *find_member(const rp_values *values, const graph_node *of,
                                       const char *name, size_t bytes, uint64_t *offset_bits,
                                       int depth)
{
    for (uint32_t i = 0; i < of->member_count && depth < VALUE_DEPTH_MOST; i++) {
        const graph_member *member = &of->members[i];
        if (!member->base && strlen(member->name) == bytes &&
            memcmp(member->name, name, bytes) == 0) {
            *offset_bits += member->offset_bits;
            return member;
        }
    }
    for (uint32_t i = 0; i < of->member_count && depth < 4; i++) {
        const graph_member *member = &of->members[i];
        uint64_t within = *offset_bits + member->offset_bits;
        const graph_member *found = member->base || member->name[0] == '('
                                        ? find_member(values, value_node(values, member->node),
                                                      name, bytes, &within, depth + 1)
                                        : NULL;
        if (found) {
            *offset_bits = within;
            return found;
        }
    }
    return NULL;
}

static rp_status take_member(const evaluation *ev, const rp_expression_node *node, operand *o)
{
    const rp_values *values = ev->values;
    const graph_node *of = value_node(values, o->place.node);
    const char *name = ev->e->text + node->name;
    uint64_t offset_bits = 0;
    if (!o->in_memory || (of->kind != NODE_STRUCT && of->kind != NODE_UNION)) {
        return misfit(ev, o, node->kind == EXPRESSION_ARROW ? "a pointer to a struct" : "a struct");
    }
    const graph_member *member = find_member(values, of, name, node->name_bytes, &offset_bits, 0);
    if (!member) {
        char storage[240], type[96];
        rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
        list_members(of, &text);
        type_of(ev, o, type, sizeof type);
        return rp_fail(RP_E_NOT_FOUND, "%s: %s has no member %.*s; it has %s", ev->e->text, type,
                       (int)node->name_bytes, name, storage[0] ? storage : "none");
    }
    o->place = (value_scalar){.node = member->node,
                              .width_bits = member->width_bits,
                              .address = o->place.address + offset_bits / 8,
                              .bit = member->width_bits ? (uint32_t)(offset_bits % 8) : 0,
                              .count = 1};
    return RP_OK;
}

/* ---- pointers and arrays ---- */

/* To element `at` of what a pointer or array leads to. */
static rp_status take_element(const evaluation *ev, operand *o, int64_t at)
{
    const rp_values *values = ev->values;
    const graph_node *of = value_node(values, o->place.node);
    value_content content;
    if (!o->in_memory || (of->kind != NODE_POINTER && of->kind != NODE_ARRAY)) {
        return misfit(ev, o, "a pointer or an array");
    }
    uint64_t each = value_node(values, of->target)->size_bytes, address = o->place.address;
    if (!each) {
        return misfit(ev, o, "a pointer to a known type");
    }
    if (of->kind == NODE_ARRAY && of->count && (at < 0 || (uint64_t)at >= of->count)) {
        return rp_fail(RP_E_RANGE, "%s: there is no element %lld: the array has %llu", ev->e->text,
                       (long long)at, (unsigned long long)of->count);
    }
    if (of->kind == NODE_POINTER) {
        if (!value_load(values, ev->image, &o->place, &content)) {
            return rp_fail(RP_E_RANGE, "%s: the pointer is in no memory that was recorded",
                           ev->e->text);
        }
        if (!content.bits) {
            return rp_fail(RP_E_RANGE, "%s: a pointer in it is null", ev->e->text);
        }
        address = content.bits;
    }
    o->place =
        (value_scalar){.node = of->target, .address = address + (uint64_t)at * each, .count = 1};
    return RP_OK;
}

static rp_status number_of(const evaluation *ev, operand *o, double *number)
{
    value_content content;
    if (!o->in_memory) {
        *number = o->number;
        return RP_OK;
    }
    if (!value_is_scalar(ev->values, o->place.node) || value_is_text(ev->values, o->place.node)) {
        return misfit(ev, o, "a number");
    }
    if (!value_load(ev->values, ev->image, &o->place, &content)) {
        return rp_fail(RP_E_RANGE, "%s: it leads to no memory that was recorded", ev->e->text);
    }
    *number = content.number;
    return RP_OK;
}

static rp_status take_index(const evaluation *ev, const rp_expression_node *node, operand *o,
                            int depth)
{
    operand index;
    double number = 0;
    rp_status status = evaluate(ev, node->right, &index, depth + 1);
    status = status ? status : number_of(ev, &index, &number);
    if (!status && !(number > -9e15 && number < 9e15)) {
        status = rp_fail(RP_E_RANGE, "%s: there is no such element", ev->e->text);
    }
    return status ? status : take_element(ev, o, (int64_t)number);
}

/* ---- numbers ---- */

static double calculate(uint8_t kind, double left, double right)
{
    switch (kind) {
    case EXPRESSION_SUM:
        return left + right;
    case EXPRESSION_DIFFERENCE:
        return left - right;
    case EXPRESSION_PRODUCT:
        return left * right;
    default:
        return left / right;
    }
}

static rp_status take_number(const evaluation *ev, const rp_expression_node *node, operand *o,
                             int depth)
{
    operand other = {0};
    double left = 0, right = 0;
    rp_status status = number_of(ev, o, &left);
    if (!status && node->kind != EXPRESSION_MINUS) {
        status = evaluate(ev, node->right, &other, depth + 1);
        status = status ? status : number_of(ev, &other, &right);
    }
    *o = (operand){.number =
                       node->kind == EXPRESSION_MINUS ? -left : calculate(node->kind, left, right)};
    return status;
}

/* ---- all ---- */

static rp_status take_variable(const evaluation *ev, const rp_expression_node *node, operand *o)
{
    const char *text = ev->e->text;
    const value_variable *variable = value_find(ev->values, text + node->scope, node->scope_bytes,
                                                text + node->name, node->name_bytes);
    if (!variable) {
        return rp_error_last()->status;
    }
    *o = (operand){.in_memory = true,
                   .place = {.node = variable->node, .address = variable->address, .count = 1}};
    return RP_OK;
}

static rp_status apply(const evaluation *ev, const rp_expression_node *node, operand *o, int depth)
{
    rp_status status;
    switch (node->kind) {
    case EXPRESSION_ARROW:
        status = take_element(ev, o, 0);
        return status ? status : take_member(ev, node, o);
    case EXPRESSION_MEMBER:
        return take_member(ev, node, o);
    case EXPRESSION_INDEX:
        return take_index(ev, node, o, depth);
    case EXPRESSION_TARGET:
        return take_element(ev, o, 0);
    default:
        return take_number(ev, node, o, depth);
    }
}

static rp_status evaluate(const evaluation *ev, uint8_t index, operand *result, int depth)
{
    *result = (operand){0};
    if (!index || index > ev->e->count || depth > RP_EXPRESSION_NODES) {
        return rp_fail(RP_E_ARGUMENT, "%s: is no expression", ev->e->text);
    }
    const rp_expression_node *node = &ev->e->nodes[index];
    if (node->kind == EXPRESSION_NUMBER) {
        result->number = node->number;
        return RP_OK;
    }
    if (node->kind == EXPRESSION_NAME) {
        return take_variable(ev, node, result);
    }
    rp_status status = evaluate(ev, node->left, result, depth + 1);
    return status ? status : apply(ev, node, result, depth);
}

static rp_status finish(const evaluation *ev, operand *o, rp_value *value)
{
    *value = (rp_value){.number = NAN};
    if (!o->in_memory) {
        rp_text_buffer text = rp_text_buffer_over(value->text, sizeof value->text);
        rp_text_add(&text, "%.15g", o->number);
        rp_text_copy(value->type, sizeof value->type, "number");
        value->number = o->number;
        return RP_OK;
    }
    type_of(ev, o, value->type, sizeof value->type);
    value->address = o->place.address;
    value->size_bytes = value_scalar_bytes(ev->values, &o->place);
    if (!value_is_scalar(ev->values, o->place.node)) {
        char storage[240];
        rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
        const graph_node *of = value_node(ev->values, o->place.node);
        if (of->kind == NODE_STRUCT || of->kind == NODE_UNION) {
            list_members(of, &text);
            return rp_fail(RP_E_ARGUMENT, "%s: is %s and no number: name a member: %s", ev->e->text,
                           value->type, storage);
        }
        return rp_fail(RP_E_ARGUMENT, "%s: is %s and no number", ev->e->text, value->type);
    }
    if (!value_text(ev->values, NULL, ev->image, &o->place, value->text, sizeof value->text)) {
        return rp_fail(RP_E_RANGE, "%s: it leads to no memory that was recorded", ev->e->text);
    }
    value_content content;
    if (value_load(ev->values, ev->image, &o->place, &content)) {
        value->number = content.number;
    }
    return RP_OK;
}

rp_status rp_value_get(rp_values *values, const rp_image *image, const rp_expression *expression,
                       rp_value *value)
{
    evaluation ev = {values, image, expression};
    operand o;
    rp_status status = evaluate(&ev, expression->root, &o, 0);
    *value = (rp_value){.number = NAN};
    return status ? status : finish(&ev, &o, value);
}
