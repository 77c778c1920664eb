"""rsyslog (Debian `rsyslog`, `rsyslog-gnutls`): RFC 5424 by UDP, TCP, TLS and a Unix socket.

One private instance listens on all of them and writes each message as one line of JSON to a file.
TCP is octet-counted or ends a message by a line feed, as the sender does it. A message may have
64 KiB.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .certificates import make_certificates
from .service import HOST, PATIENCE, Service, eventually, free_port, takes_tcp, udp_is_bound


@dataclass(frozen=True)
class Line:
    """A message as rsyslog understood it; "-" where a field of RFC 5424 was the nil value."""

    facility: int
    severity: int
    time: str
    """RFC 3339, as far as rsyslog keeps it: microseconds."""
    host: str
    application: str
    process: str
    message_id: str
    structured_data: dict[str, dict[str, str]]
    """SD-ID -> name -> value, unescaped. rsyslog writes all names in lower case."""
    message: str
    arrival: str
    """By which input it came: udp, tcp, tls or unix."""
    raw: str
    """The message as it came, without its frame."""


class Rsyslog(Service):
    """rsyslogd at `udp`, `tcp`, `tls` and `unix`, addresses as the sink `syslog` takes them."""

    name = "rsyslog"

    def __init__(self) -> None:
        super().__init__()
        self.udp_port, self.tcp_port, self.tls_port = free_port(), free_port(), free_port()
        self.socket_path = self.folder / "s"
        self.udp = f"udp:{HOST}:{self.udp_port}"
        self.tcp = f"tcp:{HOST}:{self.tcp_port}"
        self.tls = f"tls:{HOST}:{self.tls_port}"
        self.unix = f"unix:{self.socket_path}"
        self.certificates = make_certificates(self.folder / "certificates")

    @property
    def output(self) -> Path:
        """One line of JSON a message."""
        return self.folder / "messages.jsonl"

    def prepare(self) -> None:
        files = self.certificates
        (self.folder / "work").mkdir()
        (self.folder / "rsyslog.conf").write_text(
            rf"""
global(
  workDirectory="{self.folder}/work" maxMessageSize="64k" net.enableDNS="off"
  defaultNetstreamDriverCAFile="{files.ca}"
  defaultNetstreamDriverCertFile="{files.certificate}"
  defaultNetstreamDriverKeyFile="{files.key}"
)
module(load="imudp")
module(load="imtcp" streamDriver.name="gtls" streamDriver.authMode="anon")
module(load="imuxsock" sysSock.use="off")
module(load="mmpstrucdata")
template(name="line" type="list" option.jsonf="on") {{
  property(outname="facility" name="syslogfacility" format="jsonf" dataType="number")
  property(outname="severity" name="syslogseverity" format="jsonf" dataType="number")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="application" name="app-name" format="jsonf")
  property(outname="process" name="procid" format="jsonf")
  property(outname="message_id" name="msgid" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
  property(outname="arrival" name="inputname" format="jsonf")
  property(outname="raw" name="rawmsg-after-pri" format="jsonf")
  property(outname="properties" name="$!all-json" format="jsonf")
}}
ruleset(name="keep") {{
  action(type="mmpstrucdata")
  action(type="omfile" file="{self.output}" template="line")
}}
input(type="imudp" address="{HOST}" port="{self.udp_port}" name="udp" ruleset="keep")
input(type="imtcp" address="{HOST}" port="{self.tcp_port}" name="tcp" ruleset="keep"
  streamDriver.mode="0")
input(type="imtcp" address="{HOST}" port="{self.tls_port}" name="tls" ruleset="keep"
  streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imuxsock" socket="{self.socket_path}" ruleset="keep" useSpecialParser="off"
  parseHostname="on" ignoreTimestamp="off" useSysTimeStamp="off" rateLimit.interval="0")
"""
        )

    def command(self) -> Sequence[str | Path]:
        settings, pid_file = self.folder / "rsyslog.conf", self.folder / "pid"
        pid_file.unlink(missing_ok=True)
        self.socket_path.unlink(missing_ok=True)
        return ["rsyslogd", "-n", "-C", "-f", settings, "-i", pid_file]

    def is_ready(self) -> bool:
        return (
            takes_tcp(self.tcp_port)
            and takes_tcp(self.tls_port)
            and self.socket_path.exists()
            and udp_is_bound(self.udp_port)
        )

    def lines(self) -> list[Line]:
        """All messages that it took so far, of all its runs, in order."""
        if not self.output.exists():
            return []
        return [_line(json.loads(line)) for line in self.output.read_bytes().split(b"\n")[:-1]]

    def read(self, count: int, patience: float = PATIENCE) -> list[Line]:
        """All messages, once there are `count` of them."""
        eventually(
            lambda: self.output.exists() and self.output.read_bytes().count(b"\n") >= count,
            f"{count} messages in {self.output}",
            patience,
        )
        return self.lines()


def _line(fields: dict[str, Any]) -> Line:
    properties = json.loads(fields.pop("properties") or "{}")
    data = properties.get("rfc5424-sd", {})
    arrival = fields.pop("arrival")
    return Line(
        facility=int(fields.pop("facility")),
        severity=int(fields.pop("severity")),
        structured_data=data,
        arrival="unix" if arrival == "imuxsock" else arrival,
        **fields,
    )
