# Functions that are a command: no network; a process for each event, which may start others.
include core.list
include placement.list
include no-network.list
# The worker is executed as every sandboxed program is.
include own-program.list
allow execve  # programs of the read-only root: Landlock refuses what was written to /tmp
allow prctl when arg0 & 0xffffffff == 4 and arg1 == 0  # PR_SET_DUMPABLE off: no command reads the worker's memory or opens its pipes
