"""The way of a packet, from the queue behind its source to the sinks."""
