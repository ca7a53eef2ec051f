/* What an expression is made of. Layer: module, internal. */
#ifndef RP_MODULE_VALUE_PARSE_H
#define RP_MODULE_VALUE_PARSE_H

#include "module/value.h"

typedef enum expression_kind {
    EXPRESSION_NONE,
    EXPRESSION_NUMBER,
    EXPRESSION_NAME,
    EXPRESSION_MEMBER,
    EXPRESSION_ARROW,
    EXPRESSION_INDEX,
    EXPRESSION_TARGET, /* *left */
    EXPRESSION_MINUS,
    EXPRESSION_SUM,
    EXPRESSION_DIFFERENCE,
    EXPRESSION_PRODUCT,
    EXPRESSION_QUOTIENT
} expression_kind;

#endif
