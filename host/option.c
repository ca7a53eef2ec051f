#include "option.h"

#include <string.h>

bool option_takes_value(const char *option, int argc, char **argv, int *i, const char **value)
{
    size_t length = strlen(option);
    if (strncmp(argv[*i], option, length) != 0) {
        return false;
    }
    if (argv[*i][length] == '=') {
        *value = argv[*i] + length + 1;
        return true;
    }
    if (argv[*i][length] || *i + 1 >= argc) {
        return false;
    }
    *value = argv[++*i];
    return true;
}
