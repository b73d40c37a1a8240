# Functions that are a command: no network; a process for each event, which may start others.
include core.list
include placement.list
include no-network.list
# The worker is executed as every sandboxed program is, once, from descriptor 1000; see exec-once.list.
allow execveat when arg0 == 1000 and arg1 == 0x10 and arg4 == 0x1000  # 0x1000 is AT_EMPTY_PATH
allow execve  # programs of the read-only root: Landlock refuses what was written to /tmp
allow prctl when arg0 & 0xffffffff == 4 and arg1 == 0  # PR_SET_DUMPABLE off: no command reads the worker's memory or opens its pipes
