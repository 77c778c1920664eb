"""What `tools/bench` runs: each module measures one thing, docs/benchmarks.md says what and why."""
