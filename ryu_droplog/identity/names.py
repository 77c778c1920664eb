"""The source `names`: a YAML file of the user's own, whose word counts before all others."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import BaseModel, Field

from ryu_droplog.config.settings import IDENTITY_DEFAULTS
from ryu_droplog.identity import values
from ryu_droplog.identity.base import IdentitySource, SourceContext
from ryu_droplog.identity.files import stamp
from ryu_droplog.identity.statement import Statement
from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.schema import text_file
from ryu_droplog.schema.convert import STRICT, convert
from ryu_droplog.schema.expected import Expected
from ryu_droplog.schema.fields import Directory, checked_by
from ryu_droplog.schema.yaml_document import Document, Item
from ryu_droplog.text.printable import printable

NAME = "names"
_Name = Annotated[str, Field(min_length=1, max_length=255)]


_MAC, _ADDRESS = "a MAC such as 52:54:00:12:34:56", "an IP address, or a prefix such as 10.0.0.0/8"


def _check_mac(value: str) -> None:
    if not values.macs([value]):
        raise ValueError(_MAC)


def _check_address(value: str) -> None:
    if not values.addresses([value]):
        raise ValueError(_ADDRESS)


_Mac = Annotated[str, checked_by(_check_mac), Expected(_MAC)]
_Address = Annotated[str, checked_by(_check_address), Expected(_ADDRESS)]


class EndKeys(BaseModel):
    """An end: what it is found by, and whose it is."""

    model_config = STRICT

    bridge: _Name | None = None
    port: _Name | None = None
    mac: _Mac | None = None
    ip: _Address | None = None
    logical_port: _Name | None = None
    vm_id: _Name | None = None
    vm: _Name | None = None
    pod: _Name | None = None
    namespace: _Name | None = None
    network: _Name | None = None
    router: _Name | None = None


class NamesFile(BaseModel):
    """The whole file."""

    model_config = STRICT

    names: Annotated[tuple[EndKeys, ...], Field(strict=False), Expected("a list of ends")] = ()


class Names(IdentitySource):
    """A YAML file of your own, whose word counts before all others"""

    name = NAME
    KEY = Annotated[
        Directory | None,
        Field(
            description="a YAML file of your own with names, which count before all others; null:"
            " none",
            examples=["/etc/ryu-droplog/names.yaml"],
        ),
    ]
    DEFAULT = IDENTITY_DEFAULTS["names"]

    def __init__(self, place: Any, context: SourceContext) -> None:
        super().__init__(place, context)
        self._seen: object = None

    def look(self) -> None:
        """Read the file where it has changed; while it is wrong, all stays as it was."""
        try:
            seen = stamp(os.stat(self.place))
            if seen == self._seen:
                return
            self._seen = seen
            said = parse(text_file.read(self.place), self.place)
        except OSError as error:
            self._seen = None
            self.trouble = f"{printable(self.place)}: {why(error)}"
        except ConfigError as error:
            self.trouble = str(error)
        else:
            self.trouble = ""
            self.tell(dict(enumerate(said)))


def parse(text: str, source: str) -> list[Statement]:
    """What the file says, whose name is `source`; raises ConfigError for what is wrong in it."""
    document = Document(text, source)
    file = convert(document, NamesFile, {} if document.data is None else document.data)
    found = []
    for number, end in enumerate(file.names):
        if not (end.port or end.mac or end.ip or end.logical_port or end.vm_id):
            expected = "one of port, mac, ip, logical_port, vm_id, by which it is found"
            raise document.mistake(["names", Item(number)], "got an end without any", expected)
        found.append(_statement(end))
    return found


def _statement(end: EndKeys) -> Statement:
    prefix = values.prefix(end.ip or "")
    return Statement(
        said_by=NAME,
        bridge=end.bridge or "",
        local=False,
        ports=(values.name(end.port),) if end.port else (),
        macs=values.macs([end.mac]),
        addresses=() if prefix is not None else values.addresses([end.ip]),
        prefixes=() if prefix is None else (prefix,),
        logical_port=values.name(end.logical_port),
        vm_id=values.name(end.vm_id),
        vm=values.name(end.vm),
        pod=values.name(end.pod),
        namespace=values.name(end.namespace),
        network=values.name(end.network),
        router=values.name(end.router),
        forwards=bool(end.router),
    )
