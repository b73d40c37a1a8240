# The auditor of denied calls: it waits, is told of a call, counts it in memory that it has, and answers. Any other call ends it, and with it
# its listeners, so that what they were to tell of stays denied. It is not a sandbox: nobody's code runs in it.
allow epoll_create1 epoll_ctl epoll_wait epoll_pwait  # waiting
allow rt_sigaction alarm setitimer rt_sigreturn  # ending itself when an answer takes too long
allow sendto  # the one word that it is there
allow recvmsg close  # listeners come over its channel, and go
allow ioctl when arg1 & 0xffffffff == 0xc0502100  # SECCOMP_IOCTL_NOTIF_RECV
allow ioctl when arg1 & 0xffffffff == 0xc0182101  # SECCOMP_IOCTL_NOTIF_SEND; neither ADDFD nor SET_FLAGS: it gives nobody anything
allow exit_group restart_syscall  # its end
