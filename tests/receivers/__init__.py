"""Real receivers for the sinks, each a private instance on the loopback, and tests of the beds."""
