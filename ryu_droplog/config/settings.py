"""Settings: what the configuration says, as the rest of the program uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct

from ryu_droplog.config.capture_spec import FlowSpec
from ryu_droplog.config.endpoint import Endpoint, TcpEndpoint
from ryu_droplog.config.filter_spec import DEFAULTS, FilterSpec
from ryu_droplog.config.sink_spec import SinkSpec

ANY_BRIDGE = "*"
"""Name of a bridge entry that stands for any switch that connects to `listen`."""
SYSLOG = "syslog"
"""`Settings.output` where drop lines go to syslog; no file, because a file's path is absolute."""
SOCKET_ROOM = 8 * 1024 * 1024
"""Bytes that the switch's end of a management socket is to hold, unless the user says otherwise."""
IDENTITY_DEFAULTS: Mapping[str, bool | str | None] = MappingProxyType(
    {
        "names": None,
        "opflex": None,
        "southbound": True,
        "libvirt": "/run/libvirt/qemu",
        "ovsdb": True,
    }
)
"""Where it is looked up whose a packet is, where the configuration does not say."""
LONGEST_LEASE = 0xFFFF
"""Seconds: hard_timeout has 16 bits (OpenFlow 1.3.5 section 7.3.4.1)."""


def is_bridge_name(name: str) -> bool:
    """Whether a bridge may be called so: 1 to 63 printable characters without spaces, / and *."""
    return 1 <= len(name) <= 63 and name.isprintable() and not set(name) & set(" /*")


class Meter(Struct, frozen=True):
    """Holds back a flood of drops, one meter for each table."""

    rate: int = 1000
    """Packets per second that a table may send, 1 to 1,000,000."""
    burst: int = 100
    """Packets that may come at once, a thousandth of the rate to 2^32-1.

    It is burst_size in OpenFlow 1.3.5 section 7.3.4.4.
    """
    required: bool = True
    """False: on a switch without meters, add the flows without."""


class Storm(Struct, frozen=True):
    """How many loud flows of packets step aside while a meter drops."""

    enable: bool = True
    per_table: int = 16
    """Summary flows that a table may have, 1 to 1024."""
    per_bridge: int = 256
    """Summary flows that a bridge may have, 1 to 65536."""


class Lease(Struct, frozen=True):
    """How long the flows outlive the program."""

    duration: int = 60
    """Seconds from its last renewal to a flow's end, 3 to 65535 (hard_timeout, section 7.3.4.1)."""
    renew: int = 20
    """Seconds between two renewals, 1 to half of the duration."""


class Deduplication(Struct, frozen=True):
    """Folds the repeats of a drop into one line."""

    window: float
    """Seconds from the first drop to the line that ends the window, 0.1 to 3600."""
    entries: int
    """Windows that may be open at once, a bridge; past that the least recently used one ends."""


class ExplicitDrops(Struct, frozen=True):
    """What is done about flows of others whose action is to drop."""

    log: bool | frozenset[int] = False
    """True: their packets are captured and logged; or in these tables only. Else they are counted,
    from the counters of those flows."""
    modify: bool = False
    """True: where no flow of ours finds a place, the owner's own drop flow is made to tell us."""


class RingBounds(Struct, frozen=True):
    """How many of the last drops each bridge, or other source, keeps for observers."""

    drops: int = 4096
    """16 to 1,000,000."""
    bytes: int = 8_000_000
    """Of all that they take, 64,000 to 10^9."""
    snaplen: int = 256
    """Bytes of each frame that are kept, 64 to 65,535."""
    payload: Literal["headers", "full"] = "headers"
    """What of these bytes observers get: up to the end of the headers, or all."""


class Bridge(Struct, frozen=True):
    """A bridge whose drops are logged."""

    name: str
    """As Open vSwitch knows it, or `*`: any switch that connects to `listen`."""
    prefix: str | None
    """Stands before the table name in a drop line; None: the pipeline's own prefix."""
    pipeline: str
    endpoint: Endpoint
    explicit_drops: ExplicitDrops = ExplicitDrops()


class Arrivals(Struct, frozen=True):
    """How much those may take up who connect to `listen`."""

    connections: int = 64
    """Connections that have not got through OpenFlow's handshake, 1 to 4096."""
    bridges: int = 64
    """Bridges of the entry `*` that are connected or remembered, 1 to 4096."""
    forget: float = 600.0
    """Seconds after its last connection until a bridge of the entry `*` is forgotten, 1 to
    86400."""


class Opflex(Struct, frozen=True):
    """What is taken from the files of an OpFlex agent, and what its numbers mean."""

    droplog_directory: str | None = None
    """Where its control files are obeyed; None: they are not."""
    ids_directory: str = "/var/lib/opflex-agent-ovs/ids"
    """Where it keeps the names of its policies."""
    print_tenant: bool = False
    """True: drop lines name the tenants of source and destination."""
    tenants: Mapping[int, str] = MappingProxyType({})
    """By the number of the group."""

    @property
    def shown_tenants(self) -> Mapping[int, str] | None:
        """The tenants that drop lines name; None: they name none."""
        return self.tenants if self.print_tenant else None


class Events(Struct, frozen=True):
    """The listener that turns packet events into events of pods: `ryu-droplog events`."""

    socket: str = "/usr/local/var/run/aci-containers-packet-event-notification.sock"
    """Path of the Unix stream socket where it listens, the field's by default."""
    max_age: float = 600.0
    """Seconds after which a packet event is not told any more, 1 to 86400."""
    interval: float = 120.0
    """Seconds after an event within which the same two addresses make no other, 0 to 86400."""
    node: str | None = None
    """The node whose pods get events; None: what the environment or the host says."""
    kubeconfig: str | None = None
    """Absolute path of the file with credentials; None: the cluster's own, or the user's."""


class KeyLines:
    """On which line of the file a key stands. It is no part of what the file says.

    So one is equal to every other: a remark that is added above changes no settings.
    """

    def __init__(self, line: Callable[[Sequence[object]], int | None] = lambda path: None) -> None:
        self._line = line

    def of(self, path: Sequence[object]) -> int | None:
        """The line of the key at `path`, from 1; None where the file does not have it."""
        return self._line(path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyLines)

    def __hash__(self) -> int:
        return hash(KeyLines)


class Settings(Struct, frozen=True, kw_only=True):
    """What droplog.yaml says, defaults filled in and all of it checked."""

    source: str
    """Name of the file, for messages."""
    enable: bool
    """False: nothing is added to the switch, and the program waits."""
    disable_events: bool
    output: str | None
    """Where drop lines go: the absolute path of a file, SYSLOG, or None for standard output."""
    log_directory: str
    run_directory: str
    """Locks and sockets of the running program."""
    pipeline_directory: str | None
    bridges: tuple[Bridge, ...]
    """At least one, with different names."""
    listen: TcpEndpoint | None
    """Where switches may connect; the host is an address. None: nowhere."""
    arrivals: Arrivals = Arrivals()
    meter: Meter
    lease: Lease
    storm: Storm = Storm()
    throttle: Deduplication | None = None
    """None: repeats are not folded."""
    socket_room: int = SOCKET_ROOM
    """Bytes that the switch's end of a management connection is to hold; 0: it stays as it is."""
    report_interval: int = 60
    """Seconds between two reports of the books in the program's log; 0: none."""
    receive: Mapping[str, Any] = MappingProxyType({})
    """Where drops of others are received, by the type of source; a place is as its class has it."""
    identity: Mapping[str, Any] = IDENTITY_DEFAULTS
    """Where it is looked up whose a packet is, by the source of identities."""
    prune: tuple[FilterSpec, ...] = DEFAULTS
    """What is left out: the default rules, where they are wanted, and the user's filters."""
    opflex: Opflex = Opflex()
    flows: tuple[FlowSpec, ...] | None = None
    """What is captured, in the agent's mode `flow-based`; None: everything."""
    format: str = "opflex"
    """How a drop is written: `opflex`, `extended` or `json`."""
    events: Events = Events()
    sinks: tuple[SinkSpec, ...] = ()
    """Where drops go: what the short way says (`log`, `packet-events`), then what `sinks` lists."""
    listed_sinks: bool = False
    """Whether `sinks` is given."""
    ring: RingBounds = RingBounds()
    socket_group: str | None = None
    """The group that may observe; None: root and the user of the program alone."""
    baseline: str | None = None
    """Absolute path of the file of known drops; None: there is none."""
    lines: KeyLines = KeyLines()
    """Where in the file its keys are."""

    @property
    def alike(self) -> list[tuple[str, ...]]:
        """Bridges of one pipeline and one prefix: a line that names no bridge tells none apart."""
        groups: dict[tuple[str, str | None], tuple[str, ...]] = {}
        for bridge in self.bridges:
            key = bridge.pipeline, bridge.prefix
            groups[key] = (*groups.get(key, ()), bridge.name)
        return [names for names in groups.values() if len(names) > 1]

    @property
    def by_pipeline(self) -> dict[str, tuple[str, str | None]]:
        """Name and own prefix of the bridge that has a pipeline, by the pipeline's name."""
        return {bridge.pipeline: (bridge.name, bridge.prefix) for bridge in self.bridges}
