#!/bin/sh
# Makes the topic of a fleet's drops, with Kafka's own tool. The address is an example.
kafka-topics.sh --bootstrap-server kafka-1.example.net:9092 --create --if-not-exists \
    --topic ryu_droplog.drops \
    --partitions 12 \
    --replication-factor 3 \
    --config min.insync.replicas=2 \
    --config compression.type=producer \
    --config retention.ms=86400000 \
    --config retention.bytes=21474836480 \
    --config segment.ms=3600000 \
    --config max.message.bytes=1048588
