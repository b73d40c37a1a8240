#define _GNU_SOURCE
#include "terminal.h"
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

int apus_terminal_columns(int descriptor)
{
    struct winsize size;
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int apus_terminal_rows(int descriptor)
{
    struct winsize size;
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

static struct termios shown;
static int hidden = -1;
static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

// Both calls are safe in a handler.
static void show_and_end(int number)
{
    if (hidden >= 0) tcsetattr(hidden, TCSANOW, &shown);
    raise(number);
}

int apus_terminal_hide_input(int descriptor)
{
    if (tcgetattr(descriptor, &shown) != 0) return -1;
    struct termios quiet = shown;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    hidden = descriptor;
    for (unsigned index = 0; index < sizeof ends / sizeof ends[0]; index++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = show_and_end;
        action.sa_flags = (int)SA_RESETHAND | SA_NODEFER;
        sigaction(ends[index], &action, 0);
    }
    return tcsetattr(descriptor, TCSAFLUSH, &quiet);
}

void apus_terminal_show_input(int descriptor)
{
    tcsetattr(descriptor, TCSAFLUSH, &shown);
    hidden = -1;
    for (unsigned index = 0; index < sizeof ends / sizeof ends[0]; index++) signal(ends[index], SIG_DFL);
}
