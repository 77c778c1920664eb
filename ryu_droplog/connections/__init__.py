"""Who connects to whom: the program to a bridge, a switch to the program."""
