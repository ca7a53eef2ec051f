/* `reprise new DIR`: a small project that runs.
 *
 * Layer: host.  Tests: tests/programs/test_new.c
 */
#ifndef HOST_CMD_NEW_H
#define HOST_CMD_NEW_H

/* argv[0] is "new", its arguments follow. Writes the files of host/new/ into DIR, which must not
 * exist or be empty; says what to type next on standard output. On a failure what it made is taken
 * away again. Returns the exit code: 0 done, 1 could not be done, 2 wrong usage. */
int cmd_new(int argc, char **argv);

#endif
