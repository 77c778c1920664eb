"""Collectors of IPFIX: nfcapd with nfdump (Debian `nfdump`), and pmacct's nfacctd (`pmacct`)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .service import HOST, PATIENCE, Service, eventually, free_port, udp_is_bound

FORWARDING_STATUS = {"forwarding_status": (89, 1)}
"""Name that nfacctd shall write -> information element, octets in the template."""


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects that stand one after the other, as nfdump 1.7.1 writes them; a list's, too."""
    decoder = json.JSONDecoder()
    place = text.find("{")
    while place >= 0:
        value, place = decoder.raw_decode(text, place)
        yield value
        place = text.find("{", place)


class Nfcapd(Service):
    """nfcapd at `address`; what it took is read by nfdump.

    It writes a file every 5 seconds, so a record is read that long after it came, at most; what is
    in the file of the moment is lost by a `kill`. nfdump 1.7.1 (Debian 12) tells a forwardingStatus
    of 0 whatever was sent; nfacctd tells what was sent.
    """

    name = "nfcapd"

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self.address = f"udp:{HOST}:{self.port}"

    @property
    def flows(self) -> Path:
        """The folder of its files."""
        return self.folder / "flows"

    def prepare(self) -> None:
        self.flows.mkdir()

    def command(self) -> Sequence[str | Path]:
        return ["nfcapd", "-b", HOST, "-p", str(self.port), "-t", "5", "-w", self.flows, "-v"]

    def is_ready(self) -> bool:
        return udp_is_bound(self.port)

    def records(self) -> list[dict[str, Any]]:
        """All records of the files that are complete, as nfdump's JSON has them.

        `in_packets` and `in_bytes` are the counts, `first` and `last` times in local time.
        """
        if not any(path.name.startswith("nfcapd.2") for path in self.flows.iterdir()):
            return []
        said = subprocess.run(
            ["nfdump", "-q", "-R", self.flows, "-o", "json"],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout
        return list(_objects(said))

    def read(self, count: int, patience: float = PATIENCE) -> list[dict[str, Any]]:
        """All records, once there are `count` of them."""
        eventually(lambda: len(self.records()) >= count, f"{count} records of nfdump's", patience)
        return self.records()


class Nfacctd(Service):
    """pmacct's nfacctd at `address`, which writes each record as a line of JSON, without adding up.

    `primitives` are pmacct's names of what a record shall have besides counts; `elements` are
    information elements that it has no name for: name -> number, octets.
    """

    name = "nfacctd"

    def __init__(
        self,
        primitives: Sequence[str] = (
            "src_host",
            "dst_host",
            "src_port",
            "dst_port",
            "proto",
            "in_iface",
            "timestamp_start",
        ),
        elements: Mapping[str, tuple[int, int]] = FORWARDING_STATUS,
    ) -> None:
        super().__init__()
        self.port = free_port()
        self.address = f"udp:{HOST}:{self.port}"
        self._primitives = [*primitives, *elements]
        self._elements = elements

    @property
    def output(self) -> Path:
        """One line of JSON a record."""
        return self.folder / "records.jsonl"

    def prepare(self) -> None:
        (self.folder / "elements").write_text(
            "".join(
                f"name={name} field_type={number} len={octets} semantics=u_int\n"
                for name, (number, octets) in self._elements.items()
            )
        )
        (self.folder / "nfacctd.conf").write_text(
            f"daemonize: false\nnfacctd_ip: {HOST}\nnfacctd_port: {self.port}\n"
            f"plugins: print[keep]\naggregate[keep]: {','.join(self._primitives)}\n"
            f"aggregate_primitives: {self.folder}/elements\n"
            f"print_output[keep]: json\nprint_output_file[keep]: {self.output}\n"
            "print_output_file_append[keep]: true\nprint_refresh_time[keep]: 1\n"
            f"pidfile: {self.folder}/pid\nfiles_umask: 022\n"
        )

    def command(self) -> Sequence[str | Path]:
        return [shutil.which("nfacctd") or "/usr/sbin/nfacctd", "-f", self.folder / "nfacctd.conf"]

    def is_ready(self) -> bool:
        # What comes before its plugin has gone round once is lost.
        return udp_is_bound(self.port) and self.has_said("Purging cache - END")

    def read(self, count: int, patience: float = PATIENCE) -> list[dict[str, Any]]:
        """All records, once there are `count` of them."""
        eventually(
            lambda: self.output.exists() and self.output.read_bytes().count(b"\n") >= count,
            f"{count} records in {self.output}",
            patience,
        )
        return [json.loads(line) for line in self.output.read_bytes().split(b"\n")[:-1]]
