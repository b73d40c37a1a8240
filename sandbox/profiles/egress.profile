# The egress process: the network, no programs. Workers call it on sockets that it is given, each of which listens in the network of one worker.
include core.list
include placement.list
include network.list
include exec-once.list
allow accept4  # on those sockets; it makes none that listens
report EPERM - listen accept  # nobody else calls in
