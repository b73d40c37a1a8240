# Functions on Python: no network, no programs.
include core.list
include placement.list
include no-network.list
include exec-once.list
