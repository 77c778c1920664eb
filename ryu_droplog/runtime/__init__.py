"""The running program: supervisor, status socket, manager of OS-Ken applications."""
