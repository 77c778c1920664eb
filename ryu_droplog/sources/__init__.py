"""Where drops come from: a bridge, Geneve datagrams, a capture."""
