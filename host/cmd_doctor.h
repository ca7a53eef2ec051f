/* `reprise doctor [PROG [ARGUMENTS]]`: whether the region can lie at its base on this machine and
 * in this program, and what else is missing here.
 *
 * Layer: host.  Design: docs/internals/doctor.md  Tests: tests/host/test_doctor.c,
 * tests/e2e/doctor_*.sh
 */
#ifndef HOST_CMD_DOCTOR_H
#define HOST_CMD_DOCTOR_H

/* argv[0] is "doctor". Returns the exit code, as --help documents it. */
int cmd_doctor(int argc, char **argv);

#endif
