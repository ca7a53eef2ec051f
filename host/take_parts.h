/* What of a session stands in a take beside its frames: the environment, builds and their files,
 * what is loaded and where state lies, checked values, the failure. For recording.c, which hands
 * frames over as they are made, and saving.c, which writes those that are kept.
 *
 * What a runner wrote into the link is not believed: counts are cut, texts end.
 *
 * Layer: host.  Threads: none.  Tests: tests/e2e/robust_record.sh
 */
#ifndef HOST_TAKE_PARTS_H
#define HOST_TAKE_PARTS_H

#include "session.h"

#include <take/memory.h>
#include <take/writer.h>

void take_environment_fill(const session *s, rp_take_environment *environment);
void take_build_fill(const session *s, uint32_t number, rp_take_build *build);
/* Calls `add` for each file of a build: the module, and its debug information where that is another
 * file. `path` is where it can be read. */
typedef rp_status take_file_add(void *context, const rp_take_part *part, const char *path);
rp_status take_build_files(const session *s, uint32_t number, take_file_add *add, void *context);

/* The objects of a runner, as the list's struct and its tail; the module is build `number`. */
rp_status take_objects_list(const session *s, const process *p, uint32_t number,
                            rp_take_array *list, rp_take_objects *head);
rp_status take_ranges_list(const session *s, rp_take_array *list, rp_take_ranges *head);
/* The values that a frame checked under a build; head->count 0: none are known. */
rp_status take_checks_list(const session *s, uint64_t frame, uint32_t build, rp_take_array *list,
                           rp_take_checks *head);
/* What ended the program last; the report's text goes to `report`. */
rp_status take_crash_fill(const session *s, rp_take_array *report, rp_take_crash *crash);

#endif
