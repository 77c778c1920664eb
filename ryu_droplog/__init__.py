"""Which packets Open vSwitch dropped, in which table of the pipeline, and whose they were."""

__version__ = "0.1.0"
