"""One program a bridge: the run directory, lock files, and who has which bridge."""
