/* The project's file of answers about types: any text, read as the host reads it.
 *
 * Every answer that comes out is a name and a type, neither empty.
 */
#include "type_answers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    type_answers answers;
    if (type_answers_parse((const char *)data, size, "answers", &answers) == RP_OK) {
        for (const rp_type_answer *answer = answers.first; answer; answer = answer->next) {
            if (!answer->what[0] || !answer->type[0]) {
                abort();
            }
        }
        type_answers_drop(&answers);
    }
    return 0;
}
