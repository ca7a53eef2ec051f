/* `reprise export FILE.take`: parts of a take as plain files.
 *
 * Layer: host.  Tests: tests/host/test_take.c
 */
#ifndef HOST_CMD_EXPORT_H
#define HOST_CMD_EXPORT_H

/* argv[0] is "export". Exit codes: 0 done, 1 could not be done, 2 wrong usage. */
int cmd_export(int argc, char **argv);

#endif
