/* `reprise strip`: a take without the memory of some scopes. */
#ifndef HOST_CMD_STRIP_H
#define HOST_CMD_STRIP_H

int cmd_strip(int argc, char **argv);

#endif
