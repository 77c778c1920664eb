"""The live page beside a running program and a private switch, and a browser that looks at it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from functional.program import Program, add_flows, eventually, watched
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from private_ovs import PrivateSwitch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from web_page import Page as Served
from web_page import running

BRIDGE = "br-page"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]\nmeter: {{rate: 100000}}\n"
PICTURES = Path(os.environ.get("WEB_PICTURES", "build/web-pictures"))
"""Where screenshots are kept."""

expect.set_options(timeout=45_000)


@pytest.fixture(scope="module")
def served(switch: PrivateSwitch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page of a program on a bridge whose tables 4 and 10 drop what they miss."""
    switch.add_bridge(BRIDGE)
    switch.guest("one", BRIDGE)
    switch.guest("two", BRIDGE)
    add_flows(
        switch,
        BRIDGE,
        "table=0,priority=2,tcp,actions=goto_table:4",
        "table=0,priority=1,actions=goto_table:10",
        "table=4,priority=5,tcp,tp_dst=22,actions=goto_table:10",
        "table=10,priority=5,tcp,actions=output:in_port",
    )
    with Program(switch, CONFIG, name="page") as program:
        assert [4, 10] == eventually([4, 10], lambda: sorted(watched(switch, BRIDGE)))
        folder = tmp_path_factory.mktemp("page")
        with running(folder, "--config", str(program.config), env=program.env) as made:
            yield made
    switch.vsctl("del-br", BRIDGE)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """A page that has arrived, in which nothing may go wrong."""
    context = browser.new_context(base_url=served.address, viewport={"width": 1280, "height": 900})
    made = context.new_page()
    wrong: list[Any] = []

    def note(message: ConsoleMessage) -> None:
        """A refusal that the page shows is an error for the browser, too."""
        if message.type == "error" and "Failed to load resource" not in message.text:
            wrong.append(message.text)

    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", note)
    made.goto("/")
    yield made
    context.close()
    assert [] == wrong
