# The zygote of one function (sandbox/runtimes/python/apus/_forks.py): what any function on Python may call, and what it takes to confine
# the processes that it forks, one for each call, below itself. The rules of Landlock are in core.list already.
include core.list
include no-network.list
include exec-once.list
allow prctl when arg0 & 0xffffffff == 22 and arg1 == 2  # PR_SET_SECCOMP, a filter: call.profile, which forbids it to the calls; without flags, so no listener
