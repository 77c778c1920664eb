"""Parts that are found by name: sinks and whatever else can be added without a change elsewhere."""
