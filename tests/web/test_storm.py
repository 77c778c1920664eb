"""The live page while a thousand different drops a second come, and names that try to be markup."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from frames import ethernet, ipv4, tcp
from playwright.sync_api import Browser, expect
from record_drops import HOSTILE, context, dropped, place
from web_page import Page as Served
from web_page import running

from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.record import End, Identity, Port, Record, Table
from ryu_droplog.records.times import rfc3339
from ryu_droplog.web.view import LATEST, SHOWN

from .test_page import faults, picture

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=alert(1)>"
RATE = 1_000
ROUND = 100


def kinds() -> list[Record]:
    """Drops of 3,000 signatures in twelve tables."""
    maker = RecordMaker(context())
    made = []
    for number in range(3_000):
        ends = f"10.2.{number % 40}.7", f"10.9.0.{number % 30}"
        frame = ethernet(0x0800, ipv4(*ends, 6, tcp(40_000, 1 + number)))
        table = number % 12
        where = place(table=f"STAGE_{table}")
        record = maker.make(dropped(frame, where)).record
        made.append(msgspec.structs.replace(record, table=Table(table, f"STAGE_{table}")))
    return made


@contextmanager
def storm(folder: Path, number: int) -> Iterator[Served]:
    """A page that gets RATE records a second from a pipe, `number` of them, in even steps."""
    records, stopping = kinds(), threading.Event()
    source = subprocess.Popen(("cat",), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert source.stdin is not None
    assert source.stdout is not None
    pipe = source.stdin

    def send() -> None:
        for first in range(0, number, ROUND):
            now = rfc3339(time.time())
            lines = (
                to_json(msgspec.structs.replace(records[i % len(records)], time=now)) + b"\n"
                for i in range(first, first + ROUND)
            )
            try:
                pipe.write(b"".join(lines))
                pipe.flush()
            except BrokenPipeError:  # the page has ended
                return
            if stopping.wait(ROUND / RATE):
                return

    sender = threading.Thread(target=send, daemon=True)
    try:
        with running(folder, "--from", "-", stdin=source.stdout.fileno()) as served:
            sender.start()
            yield served
    finally:
        stopping.set()
        sender.join(30)
        source.kill()
        source.wait(30)


def test_a_storm_leaves_the_page_small_and_quick(browser: Browser, tmp_path: Path) -> None:
    with storm(tmp_path, 25_000) as served:
        opened = browser.new_context(
            base_url=served.address, viewport={"width": 1280, "height": 900}
        )
        page = opened.new_page()
        page.goto("/")
        rows = page.locator("#signatures tbody tr")
        expect(rows).to_have_count(SHOWN)
        page.evaluate(
            "() => { window.frames_drawn = 0; const count = () => {"
            " window.frames_drawn += 1; requestAnimationFrame(count); }; count(); }"
        )
        expect(page.locator("#source")).to_contain_text("10,", timeout=60_000)
        for view in ("time", "ends", "pipeline", "now"):
            page.goto(f"/#{view}")
            page.wait_for_function("document.querySelector('main section:not([hidden])')")
            expect(page.locator(f"#view-{view}")).to_be_visible()
            picture(page, f"storm-{view}")
            assert [] == faults(page), view
        expect(page.locator("#source")).to_contain_text("25,000 records", timeout=90_000)
        assert SHOWN == rows.count()
        assert LATEST == page.locator("#latest tbody tr").count()
        nodes = page.evaluate("document.querySelectorAll('*').length")
        assert nodes < 20_000
        assert page.evaluate("window.frames_drawn") > 100
        opened.close()


def test_a_name_that_tries_to_be_markup_is_text(browser: Browser, tmp_path: Path) -> None:
    whose = Identity(vm=MARKUP, port=MARKUP, network=MARKUP)
    record = msgspec.structs.replace(
        RecordMaker(context()).make(dropped()).record,
        node=MARKUP,
        cause=f"{MARKUP}{HOSTILE.encode('utf-8', 'replace').decode()}",
        port=Port(7, MARKUP),
        source=End("0a:00:00:00:00:01", "10.0.0.1", 5, "", whose),
        destination=End("0a:00:00:00:00:02", MARKUP, 80),
        table=Table(4, MARKUP),
        owner={"why": MARKUP},
    )
    (tmp_path / "drops.json").write_bytes(to_json(record) + b"\n")
    with running(tmp_path, "--from", str(tmp_path / "drops.json")) as served:
        opened = browser.new_context(base_url=served.address)
        page = opened.new_page()
        alerts: list[str] = []
        page.on("dialog", lambda dialog: alerts.append(dialog.message))
        page.goto("/")
        row = page.locator("#signatures tbody tr:visible")
        expect(row).to_contain_text("<img")
        row.get_by_role("button").click()
        expect(page.get_by_role("dialog")).to_contain_text("Layers")
        page.keyboard.press("Escape")
        for view in ("time", "pipeline", "ends", "books"):
            page.goto(f"/#{view}")
            expect(page.locator(f"#view-{view}")).to_be_visible()
        page.goto("/#pipeline")
        expect(page.locator("#pipeline")).to_contain_text("<img")
        assert 0 == page.locator("img").count()
        assert [] == alerts
        opened.close()
