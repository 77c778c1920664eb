"""One program for each bridge: the run directory, lock files, which connection has which bridge."""
