/* `reprise plot`: a variable over the frames of a take. */
#ifndef HOST_CMD_PLOT_H
#define HOST_CMD_PLOT_H

int cmd_plot(int argc, char **argv);

#endif
