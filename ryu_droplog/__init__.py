"""Which packets Open vSwitch dropped, in which table of the pipeline, and why."""

__version__ = "0.1.0"
