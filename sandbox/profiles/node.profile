# Functions on Node: no network, no programs. V8 makes code at run time (mmap, mprotect, pkey_mprotect), which core.list has for
# every runtime; clone3 fails with ENOSYS there, since with EPERM Node ends at its start.
include core.list
include placement.list
include no-network.list
include exec-once.list
