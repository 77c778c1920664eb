"""Numbers of syslog's: facilities, severities, lengths (RFC 5424, RFC 5426)."""

from __future__ import annotations

from collections.abc import Mapping

FACILITIES: Mapping[str, int] = {
    "kern": 0,
    "user": 1,
    "daemon": 3,
    "auth": 4,
    "authpriv": 10,
    **{f"local{number}": 16 + number for number in range(8)},
}
"""Names of facilities (RFC 5424 section 6.2.1), as syslog.conf(5) has them."""
WARNING = 4
"""Severity of a drop."""
INFORMATIONAL = 6
"""Severity of a packet that is reported, but went on its way."""
SMALLEST = 480
"""Bytes of a message that every receiver takes (RFC 5424 section 6.1)."""
LONGEST = 65_507
"""Bytes that fit into a UDP datagram over IPv4 (RFC 5426 section 3.2)."""
