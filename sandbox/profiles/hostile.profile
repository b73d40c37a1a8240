# What functions with `isolation: hostile` are denied besides what their runtime's profile denies. It is a filter of its own, and the stricter
# of two decides: what no rule here names is the other's to say. The host's /usr is the same file for every sandbox, so that a lock on it, or
# whether its pages are in memory, would tell one function of another.
errno ENOLCK flock  # a lock on a shared read-only file is a channel between sandboxes
errno ENOLCK fcntl when arg1 & 0xffffffff == 5  # F_GETLK sees the locks of others
errno ENOLCK fcntl when arg1 & 0xffffffff == 6  # F_SETLK
errno ENOLCK fcntl when arg1 & 0xffffffff == 7  # F_SETLKW
errno ENOLCK fcntl when arg1 & 0xffffffff == 36  # F_OFD_GETLK
errno ENOLCK fcntl when arg1 & 0xffffffff == 37  # F_OFD_SETLK
errno ENOLCK fcntl when arg1 & 0xffffffff == 38  # F_OFD_SETLKW
errno EPERM mincore  # which pages of a shared file are in memory
errno EPERM preadv2 when arg5 & 0xffffffff == 8  # RWF_NOWAIT tells the same
errno EPERM fadvise64 readahead  # brings pages of shared files in, or drops them
