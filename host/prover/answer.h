/* What `reprise doctor` asks of the prover and what it answers, between processes of one machine.
 *
 * The question stands in the environment: REPRISE_PROVE=BASE:BYTES:EXECUTABLE, numbers hexadecimal.
 * The answer is written to RP_OS_SUBJECT_ANSWER_FD.
 *
 * Layer: host.
 */
#ifndef HOST_PROVER_ANSWER_H
#define HOST_PROVER_ANSWER_H

#include <stdint.h>

#define PROVE_VARIABLE "REPRISE_PROVE"
enum { PROVE_MAGIC = 0x50525031, PROVE_ANSWER_FD = 9 };

typedef enum prove_result {
    PROVE_GOOD = 1,
    PROVE_TAKEN,  /* the system said so */
    PROVE_MOVED,  /* the mapping lay elsewhere: at `got` */
    PROVE_LIMIT,  /* no such room: RLIMIT_AS */
    PROVE_SYSTEM, /* mmap, mprotect, read or write failed */
    PROVE_BYTES   /* what was read is not what was written */
} prove_result;

typedef struct prove_answer {
    uint32_t magic, result; /* prove_result */
    int32_t system_code;
    uint32_t process;
    uint64_t base, size_bytes; /* what was proved; smaller than asked for where a limit wanted it */
    uint64_t got;
} prove_answer;

#endif
