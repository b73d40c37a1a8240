# Functions that bring their own binary: no network, no further programs.
include core.list
include placement.list
include no-network.list
include exec-once.list
