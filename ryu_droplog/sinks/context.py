"""What a sink is given by the program."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

from ryu_droplog.model.drop import Explain
from ryu_droplog.plugins.parts import ENCODERS, PACKERS
from ryu_droplog.records.acknowledged import NOTHING_KNOWN, Baseline
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.records.context import (
    NO_BRIDGES,
    Encode,
    EncoderContext,
    EncoderFactory,
    Identify,
    LineStyle,
    Payload,
    explain_nothing,
    identify_nobody,
)


class SinkContext(NamedTuple):
    """What the program gives to each sink."""

    threads: ModuleType
    """The `threading` module as it was before eventlet changed it: a sink's thread is a real one
    under either hub of os-ken, so that a slow disk never holds up who reads from the switch."""
    explain: Explain = explain_nothing
    """What the bridge's owner noted of a drop."""
    node: str = ""
    """Name of this machine."""
    bridges: BridgeDirectory = NO_BRIDGES
    """Names of ports, and datapath ids."""
    identify: Identify = identify_nobody
    baseline: Baseline = NOTHING_KNOWN
    """What somebody knows of."""

    def encoder(
        self, encoding: str, payload: Payload = "headers", line_style: LineStyle = "redirected"
    ) -> Encode:
        """What makes a line of bytes of a drop, by the name of the encoding (`ENCODERS`).

        Each call makes a new one, with caches of its own, for one thread at a time. Raises
        LookupError where no encoding is called so.
        """
        factory: EncoderFactory = ENCODERS.get(encoding)
        return factory(self.encoder_context(payload, line_style))

    def encoder_context(
        self, payload: Payload = "headers", line_style: LineStyle = "redirected"
    ) -> EncoderContext:
        """What an encoding needs to know beside the drop."""
        return EncoderContext(
            self.node,
            self.explain,
            self.bridges,
            payload,
            line_style,
            identify=self.identify,
            baseline=self.baseline,
        )

    def packer(self, encoding: str, payload: Payload = "headers") -> Encode | None:
        """What makes the object of an encoding in msgpack; None: it is made of the line.

        Raises UnicodeEncodeError where the object cannot be had in msgpack.
        """
        if encoding not in PACKERS:
            return None
        factory: EncoderFactory = PACKERS.get(encoding)
        return factory(self.encoder_context(payload))
