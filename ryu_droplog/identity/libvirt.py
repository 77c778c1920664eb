"""The source `libvirt`: files of its domains, running ones (/run) or defined ones (/etc).

A running domain is inside of `domstatus`; its interfaces have the names of their taps, as
`target dev`. Nova's own name of a server is in the metadata of the domain, by its namespace.
"""

from __future__ import annotations

from typing import Annotated
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from pydantic import Field

from ryu_droplog.config.settings import IDENTITY_DEFAULTS
from ryu_droplog.identity import values
from ryu_droplog.identity.files import FolderSource
from ryu_droplog.identity.statement import Statement
from ryu_droplog.schema.fields import Directory

NAME = "libvirt"
INTERFACES = 256
"""Interfaces of a domain that are looked at."""
_NOVA_NAME = "metadata/{*}instance/{*}name"


class Libvirt(FolderSource):
    """libvirt's files of domains: names of VMs, by tap, MAC and id"""

    name = NAME
    KEY = Annotated[
        Directory | None,
        Field(
            description="the directory of libvirt's domains (`*.xml`), which name VMs; null: none",
            examples=["/etc/libvirt/qemu"],
        ),
    ]
    DEFAULT = IDENTITY_DEFAULTS["libvirt"]

    ENDING = ".xml"

    @staticmethod
    def parse(data: bytes) -> tuple[Statement, ...]:
        """What is said of each interface of a domain; raises ValueError for what is no domain."""
        return domain(data)


def domain(data: bytes) -> tuple[Statement, ...]:
    """What is said of each interface of a domain; raises ValueError for what is no domain."""
    text = data.decode("utf-8")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # libvirt writes none, and it can be endless
        raise ValueError("it declares a document type")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no XML: {error}") from error
    found = root if root.tag == "domain" else root.find("domain")
    if found is None:
        raise ValueError(f"got a {values.name(root.tag)}; expected a domain")
    machine = values.name(_text(found, _NOVA_NAME) or _text(found, "name"))
    machine_id = values.name(_text(found, "uuid"))
    interfaces = found.findall("devices/interface")[:INTERFACES]
    return tuple(_statement(each, machine, machine_id) for each in interfaces)


def _statement(interface: Element, machine: str, machine_id: str) -> Statement:
    port = values.name(_attribute(interface, "target", "dev"))
    return Statement(
        said_by=NAME,
        bridge=_attribute(interface, "source", "bridge"),
        ports=(port,) if port else (),
        macs=values.macs([_attribute(interface, "mac", "address")]),
        logical_port=values.name(_attribute(interface, "virtualport/parameters", "interfaceid")),
        vm=machine,
        vm_id=machine_id,
    )


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _attribute(element: Element, path: str, key: str) -> str:
    found = element.find(path)
    return found.get(key, "") if found is not None else ""
