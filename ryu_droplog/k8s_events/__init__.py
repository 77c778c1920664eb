"""Packet events become events of Kubernetes pods: a process of its own, `ryu-droplog events`."""
