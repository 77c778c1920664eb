"""What droplog.yaml may hold: every key with its meaning, range and default.

From here come the check, the defaults, the words of a refusal, the JSON Schema and the reference
page `docs/configuration-reference.md`. `config.loader` makes `Settings` of it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from ryu_droplog.config.endpoint import parse_bridge_endpoint, parse_listen, unix
from ryu_droplog.config.observer_keys import Group, RingKeys
from ryu_droplog.config.settings import (
    ANY_BRIDGE,
    LONGEST_LEASE,
    SOCKET_ROOM,
    Arrivals,
    Events,
    Lease,
    Meter,
    Opflex,
    is_bridge_name,
)
from ryu_droplog.config.sink_spec import QueueSpec
from ryu_droplog.config.storm_settings import StormKeys
from ryu_droplog.pipelines.file_schema import LAST_TABLE, PipelineName, Prefix
from ryu_droplog.pipelines.loader import AUTO
from ryu_droplog.schema.convert import STRICT
from ryu_droplog.schema.expected import Expected
from ryu_droplog.schema.fields import TIME, Directory, checked_by
from ryu_droplog.schema.units import Duration, Number


def _check_bridge_name(name: str) -> None:
    if name != ANY_BRIDGE and not is_bridge_name(name):
        raise ValueError(
            'a bridge name of 1 to 63 printable characters without spaces, "/" and "*", '
            'or "*" for any switch that connects to listen'
        )


_Tables = Annotated[
    Literal["all"]
    | Annotated[tuple[Annotated[int, Field(ge=0, le=LAST_TABLE)], ...], Field(strict=False)],
    Expected(f'"all", or a list of table numbers from 0 to {LAST_TABLE}'),
]
_Bound = Annotated[int, Field(ge=1, le=4096)]
_Tenant = Annotated[
    str,
    Field(pattern="^[!-~]+$", max_length=64),
    Expected("1 to 64 printable ASCII characters without spaces"),
]
_Node = Annotated[
    str,
    Field(pattern="^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253),
    Expected("the name of a node as `kubectl get nodes` shows it"),
]


class DropLogConfigKeys(BaseModel):
    """The keys that the OpFlex agent's configuration has, too."""

    model_config = STRICT

    enable: bool = Field(
        default=True, description="`false`: nothing is added to any switch, and the program waits"
    )
    disable_events: bool = Field(
        default=True, description="`false`: each drop is sent to the listener at `events.socket`"
    )
    opflex_redirect_drop_logs: str | None = Field(
        default=None,
        description="where drop lines go: the name of a file inside `log_directory`, `syslog`, or"
        " null for standard output",
        examples=["drop.log", "syslog"],
    )


class ExplicitDropsKeys(BaseModel):
    """What is done about drop flows, in full."""

    model_config = STRICT

    log: _Tables = Field(default="all", description="the tables whose drop flows are logged")
    modify: bool = Field(
        default=False,
        description="`true`: where no flow of ours finds a place, the owner's own drop flow is"
        " changed",
    )


_Explicit = Annotated[
    Literal["count", "log"] | ExplicitDropsKeys,
    Expected('"count", "log", or a mapping with the keys log, modify'),
]


class BridgeKeys(BaseModel):
    """A bridge whose drops are logged."""

    model_config = STRICT

    name: Annotated[str, checked_by(_check_bridge_name)] = Field(
        description='the bridge as `ovs-vsctl list-br` shows it, or `"*"`: any switch that connects'
        " to `listen`",
        examples=["br-int"],
    )
    prefix: Prefix | None = Field(
        default=None,
        description="stands before the table name in a drop line; null: the pipeline's own",
        examples=["Int-"],
    )
    pipeline: PipelineName = Field(
        default=AUTO, description="the pipeline that names its tables; `auto` recognises the owner"
    )
    connect: Annotated[str, checked_by(parse_bridge_endpoint)] | None = Field(
        default=None,
        description="where the bridge is reached: `unix:/absolute/path`, `tcp:HOST:PORT`,"
        " `service`, `listen`, or null for its management socket",
        examples=["tcp:127.0.0.1:6653"],
    )
    explicit_drops: _Explicit | None = Field(
        default=None, description="for this bridge alone; null: as the key outside of `bridges`"
    )


class ListenKeys(BaseModel):
    """Where switches may connect, with bounds."""

    model_config = STRICT

    address: Annotated[int | str, checked_by(parse_listen), Expected("ADDRESS:PORT or a port")] = (
        Field(description="where switches may connect", examples=["127.0.0.1:6653"])
    )
    connections: _Bound = Field(
        default=Arrivals().connections, description="connections that are not through the handshake"
    )
    bridges: _Bound = Field(
        default=Arrivals().bridges, description='bridges of `"*"` that are connected or remembered'
    )
    forget: Annotated[float, Duration("1s", "24h"), TIME] = Field(
        default=Arrivals().forget,
        description='so long after its last connection a bridge of `"*"` is forgotten',
        examples=["10m"],
    )


class MeterKeys(BaseModel):
    """Holds back a flood of drops, one meter for each table."""

    model_config = STRICT

    # Open vSwitch wants a burst that fits the rate: its userspace datapath counts time in whole
    # milliseconds, and a meter whose burst is less than what the rate lets through in one of them
    # never fills again. At 10,000,000 packets a second with a burst of 100 it dropped nearly
    # everything, at 100,001 with 100 too, at 100,000 with 100 nothing. So burst * 1000 >= rate
    # must hold, and a rate beyond what anyone can read is refused.
    rate: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=Meter().rate, description="packets per second, a table"
    )
    burst: Annotated[int, Field(ge=1, le=0xFFFFFFFF)] = Field(
        default=Meter().burst,
        description="packets that may come at once, a table; at least a thousandth of `rate`, which"
        " it is where only `rate` is set",
    )
    required: bool = Field(
        default=Meter().required,
        description="`true`: a switch without meters gets no flows; `false`: it gets flows without",
    )


class LeaseKeys(BaseModel):
    """How long the flows outlive the program."""

    model_config = STRICT

    duration: Annotated[int, Field(ge=3, le=LONGEST_LEASE)] = Field(
        default=Lease().duration,
        description="seconds after its last renewal at which a flow ends; three times `renew` at"
        " least, where only that is set",
    )
    renew: Annotated[int, Field(ge=1, le=LONGEST_LEASE // 2)] = Field(
        default=Lease().renew,
        description="seconds between two renewals, at most half of `duration`, which it is where"
        " only `duration` is set and short",
    )


class ThrottleKeys(BaseModel):
    """Folds the repeats of a drop into one line."""

    model_config = STRICT

    window: Annotated[float, Duration("100ms", "1h"), TIME] = Field(
        description="from the first drop to the end of the window", examples=["1s"]
    )
    entries: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        default=65_536, description="windows that may be open at once, for each bridge"
    )


class BooksKeys(BaseModel):
    """The reports in the program's own log."""

    model_config = STRICT

    interval: Annotated[int, Field(ge=0, le=86_400)] = Field(
        default=60, description="seconds between two reports; 0: no reports"
    )


class ReceiveKeys(BaseModel):
    """Where drops of others are received; its keys are in `config.registered_keys`."""

    model_config = STRICT


class IdentityKeys(BaseModel):
    """Where it is looked up whose a packet is; its keys are in `config.registered_keys`."""

    model_config = STRICT


_Filters = Annotated[tuple[dict[Any, Any], ...], Field(strict=False), Expected("a list of filters")]


class PruneKeys(BaseModel):
    """What is filtered: neither logged nor sent as a packet event."""

    model_config = STRICT

    defaults: bool = Field(default=True, description="filter control chatter that nobody routes")
    filters: _Filters = Field(
        default=(),
        description="more filters, as configuration.md describes them",
        examples=[[{"name": "dns", "dport": 53}]],
    )


class OpflexKeys(BaseModel):
    """The files of an OpFlex agent, and what its numbers mean."""

    model_config = STRICT

    droplog_directory: Directory | None = Field(
        default=None,
        description="a directory whose `*.droplogcfg` and `*.dropflowcfg` are obeyed; null: none",
    )
    ids_directory: Directory = Field(
        default=Opflex().ids_directory,
        description="where the agent keeps the names of its policies",
    )
    print_tenant: bool = Field(
        default=Opflex().print_tenant, description="`true`: drop lines name the tenants"
    )
    tenants: Annotated[
        dict[Annotated[int, Field(ge=1, le=0xFFFFFFFF)], _Tenant],
        Expected("a mapping of group numbers to tenants without spaces", whole=True),
    ] = Field(
        default={}, description="tenants by the number of their group", examples=[{49153: "common"}]
    )


class EventsKeys(BaseModel):
    """Where packet events go, and what `ryu-droplog events` does with them."""

    model_config = STRICT

    socket: Annotated[str, checked_by(unix)] = Field(
        default=Events().socket, description="the Unix socket where the listener is"
    )
    max_age: Annotated[float, Duration("1s", "24h"), TIME] = Field(
        default=Events().max_age, description="what is older is not told any more", examples=["10m"]
    )
    interval: Annotated[float, Duration("0s", "24h"), TIME] = Field(
        default=Events().interval,
        description="for so long the same two addresses make no other event",
        examples=["2m"],
    )
    node: _Node | None = Field(
        default=None,
        description="the node whose pods get events; null: `NODE_NAME` of the environment, else the"
        " host's name",
    )
    kubeconfig: Directory | None = Field(
        default=None,
        description="a file with credentials; null: the cluster's own, then `KUBECONFIG`, then"
        " `~/.kube/config`",
    )


class QueueKeys(BaseModel):
    """The drops that wait for a sink."""

    model_config = STRICT

    drops: Annotated[int, Number(1, 10_000_000)] = Field(
        default=QueueSpec().drops, description="drops that wait at most", examples=["100K"]
    )
    overflow: Literal["newest", "oldest"] = Field(
        default="newest", description="which drops are refused while the queue is full"
    )


class SinkKeys(BaseModel):
    """What every sink has; the others of its keys belong to its type."""

    model_config = STRICT

    name: Annotated[
        str,
        Field(pattern="^[A-Za-z0-9._-]+$", max_length=64),
        Expected("a name of 1 to 64 letters, digits and ._-"),
    ] = Field(description="for messages and counters, different for each", examples=["lines"])
    type: str = Field(description="which sink it is", examples=["file"])
    filters: _Filters = Field(
        default=(), description="what does not go to this sink, in the form of `prune.filters`"
    )
    queue: QueueKeys = Field(default=QueueKeys(), description="the drops that wait for it")
    new_only: bool = Field(
        default=False, description="`true`: what the `baseline` has does not go to this sink"
    )


class ConfigurationFile(BaseModel):
    """droplog.yaml."""

    model_config = STRICT

    drop_log_config: DropLogConfigKeys | None = Field(
        default=None, description="the keys that the OpFlex agent's configuration has, too"
    )
    format: Literal["opflex", "extended", "json"] = Field(
        default="opflex", description="how a drop is written; [formats.md](formats.md) shows them"
    )
    sinks: Annotated[
        Annotated[tuple[dict[Any, Any], ...], Field(strict=False)] | None,
        Expected("a list of sinks or null"),
    ] = Field(
        default=None,
        description="where drops go, any number of each type; null: where"
        " `drop_log_config.opflex_redirect_drop_logs` says",
        examples=[[{"name": "lines", "type": "file", "path": "drop.log"}]],
    )
    log_directory: Directory = Field(
        default="/var/log/ryu-droplog", description="where files of drop lines are"
    )
    run_directory: Directory = Field(
        default="/run/ryu-droplog", description="locks and sockets of the running program"
    )
    pipeline_directory: Directory | None = Field(
        default=None, description="pipeline files of your own; null: none"
    )
    bridges: Annotated[
        tuple[BridgeKeys, ...],
        Field(strict=False, min_length=1),
        Expected("a list of at least one bridge"),
    ] = Field(
        default=(BridgeKeys(name="br-int"),), description="the bridges whose drops are logged"
    )
    explicit_drops: _Explicit = Field(
        default="count", description="what is done about flows of others whose action is to drop"
    )
    listen: Annotated[
        Annotated[int | str, checked_by(parse_listen)] | ListenKeys | None,
        Expected(
            "ADDRESS:PORT, a port, null, or a mapping with the keys"
            f" {', '.join(ListenKeys.model_fields)}"
        ),
    ] = Field(
        default=None,
        description="where switches may connect; null: nowhere",
        examples=["127.0.0.1:6653"],
    )
    socket_room: Annotated[int, Number(0, 256_000_000)] = Field(
        default=SOCKET_ROOM,
        description="bytes that the switch's end of a management socket is to hold, where the"
        " program has the rights to enlarge it; 0: it stays as it is",
        examples=["16M"],
    )
    meter: MeterKeys | None = Field(
        default=None, description="holds back a flood of drops, one meter for each table"
    )
    storm: StormKeys | None = Field(
        default=None,
        description="what is done about loud flows of packets while a meter drops",
    )
    lease: LeaseKeys | None = Field(
        default=None, description="how long the flows outlive the program"
    )
    throttle: ThrottleKeys | None = Field(
        default=None,
        description="folds the repeats of a drop into one line; null: each has its own",
    )
    books: BooksKeys | None = Field(
        default=None, description="the reports in the program's own log"
    )
    receive: ReceiveKeys | None = Field(
        default=None, description="where drop logs of others are received"
    )
    identity: IdentityKeys | None = Field(
        default=None, description="where it is looked up whose a packet is"
    )
    prune: PruneKeys | None = Field(default=None, description="what is filtered")
    opflex: OpflexKeys | None = Field(
        default=None, description="the files of an OpFlex agent, and what its numbers mean"
    )
    events: EventsKeys | None = Field(default=None, description="where packet events go")
    ring: RingKeys | None = Field(
        default=None, description="the last drops that each bridge keeps for observers"
    )
    socket_group: Group | None = Field(
        default=None,
        description="the group that may use `ryu-droplog observe`; null: root and the user of the"
        " program alone",
        examples=["droplog"],
    )
    baseline: Directory | None = Field(
        default=None,
        description="the file of known drops, which `ryu-droplog ack` writes; null: none",
        examples=["/etc/ryu-droplog/baseline.yaml"],
    )
