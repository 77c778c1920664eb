"""Where drops go: lines, packet events, forwards."""
