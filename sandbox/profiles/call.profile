# What a call is denied that shares its sandbox with other calls of its function, besides what forks.profile denies. It is a filter of its own,
# loaded by the function's zygote into each process that it forks, before anything of the call is there; the stricter of two decides.
errno EPERM fork vfork  # a call is one process: when it is killed, nothing of it is left, and its memory bound is a bound of the call
errno EPERM clone when arg0 & 0x10000 == 0  # all but threads (CLONE_THREAD)
errno EPERM prctl when arg0 & 0xffffffff == 22  # PR_SET_SECCOMP was for the step that loaded this
errno EPERM prctl when arg0 & 0xffffffff == 36  # PR_SET_CHILD_SUBREAPER: it has no children
errno EPERM sched_setaffinity when arg0 != 0  # of others in the sandbox; Landlock does not look at this one
errno EPERM setpgid when arg0 != 0  # the same
errno EPERM pidfd_open  # a descriptor of another process tells when it ends
