# Functions on Python: no network, no programs.
include core.list
include no-network.list
include exec-once.list
