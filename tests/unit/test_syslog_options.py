"""The keys of a sink of the type `syslog`, and which of the two it makes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from sinks import context, spec

from ryu_droplog.plugins.sink_options import OptionsContext
from ryu_droplog.sinks.syslog import LocalSyslog, Syslog
from ryu_droplog.sinks.syslog_forwarding import ForwardedSyslog
from ryu_droplog.sinks.syslog_options import SyslogOptions


@pytest.mark.parametrize(
    ("keys", "is_rfc3164", "encode"),
    [
        ({}, True, "opflex"),
        ({"to": "unix:/run/log"}, True, "opflex"),
        ({"to": "unix:/run/log", "encode": "json"}, True, "json"),
        ({"to": "unix:/run/log", "format": "rfc5424"}, False, "ecs"),
        ({"format": "rfc5424", "encode": "cef"}, False, "cef"),
        ({"to": "udp:127.0.0.1:514"}, False, "ecs"),
        ({"to": "tcp:[::1]:6514"}, False, "ecs"),
        ({"to": "tls:soc.test:6514", "encode": "opflex"}, False, "opflex"),
    ],
)
def test_form_and_encoding_follow_from_where_it_goes(
    keys: dict[str, Any], is_rfc3164: bool, encode: str
) -> None:
    options = SyslogOptions.model_validate(keys)
    assert (is_rfc3164, encode) == (options.is_rfc3164, options.encode)
    made = Syslog(spec(Syslog, "siem", **keys), context())
    assert type(made) is (LocalSyslog if is_rfc3164 else ForwardedSyslog)
    made.close(1.0)


@pytest.mark.parametrize(
    ("keys", "encode"), [({}, "extended"), ({"to": "udp:127.0.0.1:514"}, "ecs")]
)
def test_format_of_the_file_is_for_local_lines(keys: dict[str, Any], encode: str) -> None:
    told = OptionsContext("/var/log", "extended")
    assert SyslogOptions.model_validate(keys, context=told).encode == encode


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"to": "/dev/log"}, "unix:/absolute/path"),
        ({"to": "unix:log"}, "the absolute path of a socket"),
        ({"to": "udp:host"}, "udp:HOST:PORT"),
        ({"to": "udp:127.0.0.1:514", "format": "rfc3164"}, "format: rfc5424 beside to: udp:"),
        ({"encode": "ecs"}, "format: rfc5424, or encode: opflex, extended or json"),
        ({"to": "tcp:127.0.0.1:1", "tls": {"verify": False}}, "to: tls:HOST:PORT beside tls"),
        ({"facility": "mail"}, "kern, user, daemon"),
        ({"message_bytes": 100}, "480"),
        ({"delivery": "at_least_once"}, "delivery"),
        ({"encode": "xml"}, "one of native"),
    ],
)
def test_what_does_not_fit_is_refused(keys: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as error:
        SyslogOptions.model_validate(keys)
    assert expected in str(error.value)
