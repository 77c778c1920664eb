"""The source `opflex`: the endpoint files of the OpFlex agent, `*.ep`.

Their keys are those that the agent reads (opflex, agent-ovs/lib/FSEndpointSource.cpp). An endpoint
with a `namespace` among its attributes is a pod, whose name is `vm-name`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Struct
from pydantic import Field

from ryu_droplog.config.settings import IDENTITY_DEFAULTS
from ryu_droplog.identity import values
from ryu_droplog.identity.files import FolderSource
from ryu_droplog.identity.statement import Statement
from ryu_droplog.schema.fields import Directory

NAME = "opflex"
_MOST_GROUPS = 16
"""Parts of a group's path that are looked at."""


class _VirtualIp(Struct):
    ip: str = ""
    mac: str = ""


class _Endpoint(Struct, rename="kebab"):
    """An endpoint file, as far as it is looked at."""

    uuid: str
    mac: str = ""
    ip: list[str] = []
    virtual_ip: list[_VirtualIp] = []
    interface_name: str = ""
    access_interface: str = ""
    access_uplink_interface: str = ""
    endpoint_group: str = ""
    endpoint_group_name: str = ""
    eg_policy_space: str = ""
    policy_space_name: str = ""
    attributes: dict[str, Any] = {}


class Opflex(FolderSource):
    """The OpFlex agent's endpoint files: addresses, endpoint groups, VMs and pods"""

    name = NAME
    KEY = Annotated[
        Directory | None,
        Field(
            description="the directory of the OpFlex agent's endpoint files (`*.ep`); null: none",
            examples=["/var/lib/opflex-agent-ovs/endpoints"],
        ),
    ]
    DEFAULT = IDENTITY_DEFAULTS["opflex"]

    ENDING = ".ep"

    @staticmethod
    def parse(data: bytes) -> tuple[Statement]:
        """What an endpoint file says; raises ValueError where it is none."""
        return (endpoint(data),)


def endpoint(data: bytes) -> Statement:
    """What an endpoint file says; raises ValueError where it is none."""
    try:
        said = msgspec.json.decode(data, type=_Endpoint)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    machine = values.name(said.attributes.get("vm-name"))
    namespace = values.name(said.attributes.get("namespace"))
    return Statement(
        said_by=NAME,
        ports=tuple(_ports(said)),
        macs=values.macs([said.mac]),
        addresses=values.addresses([*said.ip, *(each.ip for each in said.virtual_ip)]),
        logical_port=values.name(said.uuid.partition("|")[0]),
        vm="" if namespace else machine,
        pod=machine if namespace else "",
        namespace=namespace,
        network=_group(said),
    )


def _ports(said: _Endpoint) -> Iterator[str]:
    names = (said.access_interface, said.interface_name, said.access_uplink_interface)
    return (values.name(name) for name in dict.fromkeys(names) if name)


def _group(said: _Endpoint) -> str:
    """`policy space/group`; the path of one is /PolicyUniverse/PolicySpace/…/GbpEpGroup/…/."""
    parts = said.endpoint_group.strip("/").split("/", _MOST_GROUPS)
    if len(parts) > 4:
        return values.name(f"{parts[2]}/{parts[4]}")
    name = said.endpoint_group_name or said.endpoint_group
    space = said.eg_policy_space or said.policy_space_name
    return values.name(f"{space}/{name}" if space and name else name)
