# Fetching packages: as for installing them, and the network.
include core.list
include placement.list
include network.list
include programs.list
