# The Python zygote, and below it every clone of it, which keeps this filter and adds that of python.profile before any code of a function
# runs. So it holds what those steps take (sandbox/nursery/confine.c), and what a worker may call at all: how much of that, its own filter says.
include exec-once.list

# What the steps take, and no function ever may.
allow clone3  # the clone itself; its flags lie in memory, where only the zygote's own code writes
allow mount umount2 pivot_root move_mount  # the clone's own root, scratch and bundle, in its own mount namespace
allow unshare when arg0 == 0x02000000  # NEWCGROUP
allow keyctl when arg0 & 0xffffffff == 1  # JOIN_SESSION_KEYRING
allow setgroups setresgid setresuid capset  # becoming the slot's user, without capabilities
allow sethostname  # the clone's own
allow seccomp  # the clone's own filter
allow landlock_create_ruleset landlock_add_rule landlock_restrict_self  # the clone's own rules
allow io_uring_setup io_uring_register  # pages that every clone writes to, registered with a ring that is never entered (sandbox/zygote/pages.c)
allow prctl setrlimit prlimit64  # securebits, the bounding set, the parent's death, limits

# What a worker may call.
allow read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range dup dup2  # as core.list says
allow dup3 fsync fdatasync sync_file_range ftruncate truncate fallocate fadvise64 readahead copy_file_range  # as core.list says
allow sendfile open openat access faccessat faccessat2 stat fstat lstat newfstatat statx statfs fstatfs  # as core.list says
allow getdents getdents64 getcwd chdir fchdir readlink readlinkat mkdir mkdirat rmdir unlink unlinkat rename  # as core.list says
allow renameat renameat2 link linkat symlink symlinkat chmod fchmod fchmodat umask utime utimes utimensat  # as core.list says
allow futimesat getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr flock fcntl mmap mprotect munmap  # as core.list says
allow mremap brk madvise mincore msync mlock munlock membarrier memfd_create pkey_alloc pkey_free pkey_mprotect  # as core.list says
allow clone fork vfork exit exit_group wait4 waitid kill tgkill tkill pidfd_open pidfd_send_signal getpid  # as core.list says
allow getppid gettid getpgid getpgrp getsid setpgid setsid getuid geteuid getgid getegid getresuid getresgid  # as core.list says
allow getgroups capget set_tid_address set_robust_list get_robust_list futex rseq arch_prctl restart_syscall  # as core.list says
allow getrlimit getrusage times sysinfo uname getpriority sched_yield sched_getaffinity sched_setaffinity  # as core.list says
allow sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min getcpu rt_sigaction  # as core.list says
allow rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo rt_sigsuspend  # as core.list says
allow sigaltstack signalfd4 pause clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time  # as core.list says
allow getitimer setitimer alarm timer_create timer_settime timer_gettime timer_getoverrun timer_delete  # as core.list says
allow timerfd_create timerfd_settime timerfd_gettime poll ppoll select pselect6 epoll_create1 epoll_ctl  # as core.list says
allow epoll_wait epoll_pwait epoll_pwait2 eventfd2 pipe pipe2 getrandom socketpair sendto recvfrom sendmsg  # as core.list says
allow recvmsg sendmmsg recvmmsg shutdown getsockname getpeername getsockopt setsockopt ioctl  # as core.list says

# Neither the zygote nor any clone. What is not named here fails with ENOSYS, or as a clone's own filter says.
kill init_module finit_module delete_module kexec_load kexec_file_load reboot  # the kernel itself
kill fsopen fsmount fsconfig fspick open_tree mount_setattr setns  # mounts and namespaces that no step makes
kill open_by_handle_at bpf iopl ioperm  # ways around everything
