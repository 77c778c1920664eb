"""Table names and probable causes: flows/*.yaml."""
