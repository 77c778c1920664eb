"""The examples of docs/extending.md are complete: they are read from there, and work."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from drops import drop
from frames import IPV4, ethernet, ipv4, udp

import ryu_droplog.filters
from ryu_droplog.plugins.filter_key import FilterKey
from ryu_droplog.plugins.registry import Registry

DOCS = Path(__file__).resolve().parents[2] / "docs"
PACKET = ipv4("10.0.0.1", "10.0.0.2", 17, udp(40000, 33434))
EXPIRED = ethernet(IPV4, PACKET[:8] + b"\x01" + PACKET[9:])
ALIVE = ethernet(IPV4, PACKET[:8] + b"\x40" + PACKET[9:])

MATCH = """
import sys
from pathlib import Path
from ryu_droplog.config.loader import load
from ryu_droplog.model.accounting import TableBook
from ryu_droplog.model.drop import Location
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.processing.filter import FilterSet

where = Location("br", 4, "T", "MISS", "T MISS", TableBook())
filters = FilterSet(load(Path(sys.argv[1])).prune)
print(*(filters.match(decode(bytes.fromhex(frame), 0.0, where, b"")) for frame in sys.argv[2:]))
"""


def section(title: str) -> str:
    text = (DOCS / "extending.md").read_text(encoding="utf-8")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def block(text: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found, f"no block of {language}"
    return found[1]


def install(place: Path, module: str, setup: str, group: str) -> None:
    """Make a distribution of an example, as an installer leaves it (PEP 376, entry points)."""
    config = ConfigParser()
    config.read_string(setup)
    name, version = config["metadata"]["name"], config["metadata"]["version"]
    points = config["options.entry_points"][group]
    target = points.partition("=")[2].partition(":")[0].strip().split(".")
    package = place.joinpath(*target[:-1])
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / f"{target[-1]}.py").write_text(module, encoding="utf-8")
    info = place / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    header = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(header, encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{group}]{points}\n", encoding="utf-8")


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(DOCS.parent)
    env = {**os.environ, "PYTHONPATH": f"{place}:{root}", "XDG_CACHE_HOME": str(place / "cache")}
    command = [sys.executable, "-W", "ignore", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "droplog.yaml"
    path.write_text(block(section("A filter"), "yaml"), encoding="utf-8")
    return path


def test_filter_of_another_package_leaves_drops_out(tmp_path: Path, config: Path) -> None:
    text, place = section("A filter"), tmp_path / "site"
    refused = run(place, "-m", "ryu_droplog", "check-config", str(config))
    assert 0 != refused.returncode
    assert "prune.filters[0].ttl: unknown key" in refused.stdout + refused.stderr

    install(place, block(text, "python"), block(text, "ini"), "ryu_droplog.filters")
    accepted = run(place, "-m", "ryu_droplog", "check-config", str(config))
    assert (0, "") == (accepted.returncode, accepted.stderr)
    assert "traceroute" in accepted.stdout

    matched = run(place, "-c", MATCH, str(config), EXPIRED.hex(), ALIVE.hex())
    assert ("traceroute None\n", "") == (matched.stdout, matched.stderr)


def test_filter_that_cannot_be_loaded_is_named_with_its_cause(tmp_path: Path, config: Path) -> None:
    setup, place = block(section("A filter"), "ini"), tmp_path / "site"
    install(place, "import no_such_module\n", setup, "ryu_droplog.filters")
    refused = run(place, "-m", "ryu_droplog", "check-config", str(config))
    assert 0 != refused.returncode
    output = refused.stdout + refused.stderr
    assert "prune.filters[0].ttl: cannot be loaded" in output
    assert "No module named 'no_such_module'" in output
    assert "Traceback" not in output


def test_filter_of_the_project_is_a_module_and_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = section("A filter")
    line = re.search(r'`("\w+": "[\w.:]+",)`', text)
    assert line
    (tmp_path / "ttl.py").write_text(block(text, "python"), encoding="utf-8")
    monkeypatch.setattr(
        ryu_droplog.filters, "__path__", [*ryu_droplog.filters.__path__, str(tmp_path)]
    )
    filters: Registry[FilterKey] = Registry("filter", ast.literal_eval(f"{{{line[1]}}}"))
    assert ["ttl"] == filters.names()
    ttl = filters.get("ttl")
    monkeypatch.delitem(sys.modules, "ryu_droplog.filters.ttl")
    assert "ttl" == ttl.name
    test = ttl.test({"ttl": [ttl.parse("0-1"), None, ttl.parse([64, 128])]})
    assert [0b011, 0b110] == [test(0b111, drop(frame)) for frame in (EXPIRED, ALIVE)]
