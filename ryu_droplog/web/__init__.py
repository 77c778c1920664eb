"""The live page: dropped packets in a browser. A process of its own, an observer like others."""
