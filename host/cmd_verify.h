/* `reprise verify`: replays takes and compares. */
#ifndef HOST_CMD_VERIFY_H
#define HOST_CMD_VERIFY_H

int cmd_verify(int argc, char **argv);

#endif
