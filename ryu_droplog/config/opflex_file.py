"""What the OpFlex agent's control files say: the bytes of one in, what it asks for out.

Keys and defaults are those of the agent (noironetworks/opflex, agent-ovs/lib/
FSPacketDropLogConfigSource.cpp), which ignores keys that it does not know. Its JSON reader, boost's
property_tree, makes no difference between a number or boolean and the same in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Generic, TypeVar

import msgspec

from ryu_droplog.config.capture_spec import FlowSpec
from ryu_droplog.schema.wording import join, show

T = TypeVar("T")

Parse = Callable[[Mapping[str, object]], T]
"""Turns the fields of a filter into one; a ValueError of its has key, wrong and expected."""

MAX_FILTERS = 1000
"""Filters of one file; every drop is compared with them."""
MAX_UUID = 255
"""Characters of a flow file's uuid, which has 36 as a rule."""

_ENABLE, _DISABLE, _MODE = "drop-log-enable", "drop-log-disable", "drop-log-mode"
_PRINT_TENANT, _PRUNING = "drop-log-print-tenant", "drop-log-pruning"
_MODES = {"unfiltered": False, "flow-based": True}
_ALIASES = {
    "src-ip": "sip",
    "dest-ip": "dip",
    "src-mac": "smac",
    "dest-mac": "dmac",
    "ip-proto": "ip_proto",
    "src-port": "sport",
    "dest-port": "dport",
}
"""Fields of a filter as noironetworks/aci-containers writes them, and as the agent calls them."""
_FIELDS = ("name", *_ALIASES.values())
_NUMBERS = {"ip_proto", "sport", "dport"}

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_DECIMAL = re.compile(r"[0-9]{1,20}", re.ASCII)
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]{1,16}", re.ASCII)
_MAC = re.compile(r"[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}", re.ASCII)


class Wrong(ValueError):
    """A control file is wrong: at which key, in which way, and what was expected."""

    def __init__(self, key: str, wrong: str, expected: str) -> None:
        """An empty `key` is the whole file."""
        super().__init__(f"{key and key + ': '}{wrong}; expected {expected}")
        self.key = key
        self.wrong = wrong
        self.expected = expected


class DropLog(msgspec.Struct, Generic[T], frozen=True):
    """What a `*.droplogcfg` file says."""

    enable: bool = False
    flow_based: bool = False
    """Capture only what a flow file asks for."""
    print_tenant: bool = False
    filters: tuple[T, ...] = ()


def drop_log(data: bytes, parse: Parse[T]) -> DropLog[T]:
    """Read the content of a `*.droplogcfg` file.

    Of two filters with one name the last counts, as in the agent.

    :raises Wrong: for the first mistake
    """
    known = _mapping(_decode(data), "")
    if _ENABLE in known:
        enable = _boolean(known, _ENABLE)
    else:
        enable = _DISABLE in known and not _boolean(known, _DISABLE)
    mode = known.get(_MODE, "unfiltered")
    if not isinstance(mode, str) or mode not in _MODES:
        raise Wrong(_MODE, f"got {show(mode)}", " or ".join(_MODES))
    return DropLog(
        enable=enable,
        flow_based=_MODES[mode],
        print_tenant=_PRINT_TENANT in known and _boolean(known, _PRINT_TENANT),
        filters=_filters(known.get(_PRUNING, {}), parse),
    )


def _filters(data: object, parse: Parse[T]) -> tuple[T, ...]:
    if data == "":  # what property_tree writes for an empty list
        return ()
    if not isinstance(data, (dict, list)):
        raise Wrong(_PRUNING, f"got {show(data)}", "a mapping or a list of filters")
    if len(data) > MAX_FILTERS:
        raise Wrong(_PRUNING, f"{len(data)} filters", f"at most {MAX_FILTERS}")
    found: dict[str, T] = {}
    if isinstance(data, dict):
        entries = [(join(_PRUNING, name), name, each) for name, each in data.items()]
    else:
        entries = [(f"{_PRUNING}[{place}]", "", each) for place, each in enumerate(data)]
    for key, default, each in entries:
        fields = _filter(_mapping(each, key), key, default)
        try:
            found[str(fields["name"])] = parse(fields)
        except ValueError as error:
            raise _of_filter(error, key) from error
    return tuple(found.values())


def _filter(data: Mapping[str, object], key: str, name: str) -> dict[str, object]:
    """The fields of a filter under the agent's names, without those that are empty strings."""
    named = {_ALIASES.get(each, each): value for each, value in data.items()}
    named.update((each, data[each]) for each in _FIELDS if each in data)
    fields = {each: named[each] for each in _FIELDS if named.get(each, "") != ""}
    fields.setdefault("name", name)
    if not isinstance(fields["name"], str) or not fields["name"]:
        raise Wrong(f"{key}.name", f"got {show(fields['name'])}", "a name")
    for each in _NUMBERS & fields.keys():
        value = fields[each]
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            fields[each] = int(value)
    return fields


def _of_filter(error: ValueError, key: str) -> Wrong:
    """What `parse` raised, with where it was."""
    field = getattr(error, "key", "")
    return Wrong(
        join(key, field) if field else key,
        str(getattr(error, "wrong", error)),
        str(getattr(error, "expected", "a filter")),
    )


def flow(data: bytes) -> FlowSpec:
    """Read the content of a `*.dropflowcfg` file.

    :raises Wrong: for the first mistake
    """
    known = _mapping(_decode(data), "")
    uuid = known.get("uuid")
    if not isinstance(uuid, str) or not 1 <= len(uuid) <= MAX_UUID:
        wrong = f"got {show(uuid)}" if "uuid" in known else "missing"
        raise Wrong("uuid", wrong, f"a string of 1 to {MAX_UUID} characters")
    src, dst = (_address(known, f"inner-{end}-ip-address", *_IP) for end in ("src", "dst"))
    if src is not None and dst is not None and len(src) != len(dst):
        raise Wrong(
            "inner-dst-ip-address",
            f"got {show(known['inner-dst-ip-address'])}",
            "an address of the family of inner-src-ip-address",
        )
    return FlowSpec(
        uuid=uuid,
        outer_src=_address(known, "outer-src-ip-address", IPv4Address),
        outer_dst=_address(known, "outer-dst-ip-address", IPv4Address),
        inner_src=src,
        inner_dst=dst,
        src_mac=_mac(known, "inner-src-mac"),
        dst_mac=_mac(known, "inner-dst-mac"),
        eth_type=_integer(known, "inner-eth-type", 0xFFFF, hexadecimal=True),
        ip_proto=_integer(known, "inner-ip-proto", 0xFF),
        src_port=_integer(known, "inner-src-port", 0xFFFF),
        dst_port=_integer(known, "inner-dst-port", 0xFFFF),
        tunnel_id=_integer(known, "tunnel-id", 0xFFFFFF),
    )


_IP = (IPv4Address, IPv6Address)


def _decode(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Wrong("", f"not JSON ({error})", "a JSON object") from error
    except RecursionError as error:
        raise Wrong("", "nested too deeply", "a JSON object of a few levels") from error


def _mapping(data: object, key: str) -> Mapping[str, object]:
    if not isinstance(data, dict):
        raise Wrong(key, f"got {show(data)}", "a mapping" if key else "a JSON object")
    return data


def _boolean(known: Mapping[str, object], key: str) -> bool:
    value = known[key]
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    found = _BOOLEANS.get(value) if isinstance(value, str) else None
    if found is None:
        raise Wrong(key, f"got {show(value)}", "true or false")
    return found


def _integer(
    known: Mapping[str, object], key: str, highest: int, *, hexadecimal: bool = False
) -> int | None:
    if key not in known:
        return None
    value = known[key]
    number: object = value
    if isinstance(value, str):
        if _DECIMAL.fullmatch(value):
            number = int(value)
        elif hexadecimal and _HEXADECIMAL.fullmatch(value):
            number = int(value, 16)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= highest:
        raise Wrong(key, f"got {show(value)}", f"an integer from 0 to {highest}")
    return number


def _address(
    known: Mapping[str, object], key: str, *kinds: type[IPv4Address] | type[IPv6Address]
) -> bytes | None:
    """Network byte order. A zone (`%eth0`) is refused: no packet has one."""
    if key not in known:
        return None
    value = known[key]
    if isinstance(value, str) and "%" not in value:
        for kind in kinds:
            try:
                return kind(value).packed
            except ValueError:
                continue
    names = " or ".join(kind.__name__.removesuffix("Address") for kind in kinds)
    raise Wrong(key, f"got {show(value)}", f"an {names} address")


def _mac(known: Mapping[str, object], key: str) -> bytes | None:
    if key not in known:
        return None
    value = known[key]
    if not isinstance(value, str) or not _MAC.fullmatch(value):
        raise Wrong(key, f"got {show(value)}", "a MAC such as 0a:58:0a:02:00:c3")
    return bytes(int(part, 16) for part in value.split(":"))
