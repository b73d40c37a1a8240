# Installing packages that were fetched: no network, programs allowed, since building a package runs its build tools.
include core.list
include placement.list
include no-network.list
include programs.list
