/* Which builds may be run: those that this user ran before.
 *
 *   $XDG_STATE_HOME/reprise/builds   (~/.local/state/reprise/builds)
 *   sha256-of-the-file  build-id  name
 *
 * A build is known by what its file holds: its build id is a claim that anybody can write into
 * another file. The list is added to where a take is made of builds that ran here, and where the
 * user vouched for one. It may be edited or removed; what is no line of it is passed over.
 *
 * Knowing a build says that its code is the user's own. The memory that a take brings is not
 * covered by it: see docs/takes.md.
 *
 * Layer: host.  Threads: the main thread.  Tests: tests/host/test_take_trust.c
 */
#ifndef HOST_TAKE_TRUST_H
#define HOST_TAKE_TRUST_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>

bool take_trust_knows(const void *bytes, size_t size_bytes);
/* Once; a build that is known stays as it is. RP_E_SYSTEM: the list cannot be written, which loses
 * nothing but a question. `build_id`, `name`: for people. */
rp_status take_trust_add(const void *bytes, size_t size_bytes, const char *build_id,
                         const char *name);
/* The list's path. RP_E_NOT_FOUND: there is no home. */
rp_status take_trust_path(char *path, size_t capacity);

#endif
