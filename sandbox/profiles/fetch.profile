# Fetching packages: as for installing them, and the network.
include core.list
include network.list
include programs.list
errno EPERM listen accept accept4  # nobody calls in
