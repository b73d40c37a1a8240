# Functions with a program of their own and a way out: as without, and TCP to the egress process.
include core.list
include placement.list
include proxy.list
include exec-once.list
