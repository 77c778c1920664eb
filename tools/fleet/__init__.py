"""A fleet that is simulated: the records that many nodes write, and what is true of them.

`catalogue` says what is dropped where and from when on, `frames` builds the packets, `node` has
their records made by the program's own encoder, `truth` counts what the questions of docs/fleet
ask, and `__main__` writes it all into a broker of Kafka's (tools/fleet-sim).
"""
