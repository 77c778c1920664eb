"""What a person sees and does on the live page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from functional.packets import ARP, arp, ethernet, syn
from playwright.sync_api import Browser, Page, expect
from private_ovs import send_frame
from web_page import Page as Served

from .conftest import PICTURES

pytestmark = [pytest.mark.ovs, pytest.mark.browser]

ROWS = "#signatures tbody tr:visible"
SIZES = {"wide": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
VIEWS = ("now", "time", "pipeline", "ends", "books")


def drop_some() -> None:
    """A few drops in two tables."""
    for _ in range(3):
        send_frame("one", "eth0", syn())
    send_frame("one", "eth0", ethernet(ARP, arp("10.2.0.1", "10.2.0.2")))


def picture(page: Page, name: str) -> None:
    """Keep what is seen."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def faults(page: Page) -> list[str]:
    """What axe-core finds that is serious or worse."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {[node['html'][:120] for node in one['nodes']][:3]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_with_nothing_dropped_the_page_says_so(page: Page) -> None:
    expect(page.locator("#state")).to_have_text("live")
    expect(page.locator("#now-empty")).to_contain_text("Nothing is dropped")
    picture(page, "empty")


def test_a_drop_appears_by_itself(page: Page) -> None:
    drop_some()
    expect(page.locator(ROWS)).to_have_count(2)
    expect(page.locator(ROWS, has_text="ARP request")).to_contain_text("10 TABLE_10")


def test_a_filter_works_as_it_is_typed_and_is_in_the_address(page: Page, served: Served) -> None:
    drop_some()
    expect(page.locator(ROWS)).to_have_count(2)
    page.locator("#filter").press_sequentially("--protocol arp", delay=20)
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?filter=--protocol\+arp#now$"))
    colleague = page.context.new_page()
    colleague.goto(page.url)
    expect(colleague.locator("#filter")).to_have_value("--protocol arp")
    expect(colleague.locator(ROWS)).to_have_count(1)
    page.locator("#filter").fill("--to-port http")
    expect(page.locator("#filter-error")).to_contain_text("expected a number from 0 to 65535")
    expect(page.locator(ROWS)).to_have_count(1)


def test_a_click_on_a_table_of_the_picture_filters(page: Page) -> None:
    drop_some()
    page.get_by_role("link", name="Pipeline").click()
    box = page.get_by_role("button", name=re.compile("^Table 10 "))
    expect(page.locator("#pipeline-note")).to_contain_text("flows have counted")
    assert page.locator("#pipeline path.way").count() >= 3
    expect(box.locator(".lossy")).to_be_visible()
    box.click()
    expect(page.locator("#filter")).to_have_value("--bridge br-page --table 10")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(ROWS)).to_contain_text("ARP request")


def test_a_table_is_chosen_by_the_keyboard_alone(page: Page) -> None:
    drop_some()
    page.get_by_role("link", name="Over time").focus()
    page.keyboard.press("Enter")
    label = page.get_by_role("button", name=re.compile("Only table 4 "))
    label.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#filter")).to_have_value("--bridge br-page --table 4")


def test_a_brush_chooses_a_span_of_time(page: Page) -> None:
    drop_some()
    expect(page.locator(ROWS)).to_have_count(2)
    page.get_by_role("link", name="Over time").click()
    area = page.locator("#heat svg")
    expect(area).to_be_visible()
    box = area.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 260, box["y"] + 25)
    page.mouse.down()
    page.mouse.move(box["x"] + 330, box["y"] + 30, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"since=\d+&until=\d+"))
    expect(page.locator("#span-note")).to_contain_text("Only from")
    page.get_by_role("link", name="Now", exact=True).click()
    expect(page.locator(ROWS)).to_have_count(0)
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(ROWS)).to_have_count(2)


def test_one_drop_is_opened_and_explained_and_downloaded(page: Page, tmp_path: Path) -> None:
    drop_some()
    page.locator(ROWS, has_text="TCP").get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("4 TABLE_4")
    expect(dialog.locator("ol.way li").first).to_contain_text("table 0")
    expect(dialog).to_contain_text("Measured now: it leads to the same table")
    assert [] == faults(page)
    picture(page, "drop-light-wide")
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download as pcapng").click()
    download.value.save_as(tmp_path / "drop.pcapng")
    assert b"\n\r\r\n" == (tmp_path / "drop.pcapng").read_bytes()[:4]
    expect(page).to_have_url(re.compile("drop=1%3A"))
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("drop="))


def test_a_pair_of_the_matrix_filters(page: Page) -> None:
    drop_some()
    page.get_by_role("link", name="Who to whom").click()
    page.locator("#ends button").first.click()
    expect(page.locator("#filter")).to_have_value(re.compile("^--from-ip .* --to-ip "))


def test_the_books_are_shown(page: Page) -> None:
    page.get_by_role("link", name="Books").click()
    expect(page.locator("#books")).to_contain_text("The books balance.")
    expect(page.locator("#books")).to_contain_text("br-page")


def test_a_pause_holds_the_page_still(page: Page) -> None:
    drop_some()
    expect(page.locator(ROWS)).to_have_count(2)
    page.get_by_role("button", name="Pause").click()
    before = page.locator("#source").text_content()
    drop_some()
    assert before == page.locator("#source").text_content()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_view_has_no_serious_fault_for_those_who_do_not_see(
    browser: Browser, served: Served, size: str, scheme: str
) -> None:
    drop_some()
    context = browser.new_context(
        base_url=served.address, viewport=SIZES[size], color_scheme=scheme
    )
    page = context.new_page()
    for view in VIEWS:
        page.goto(f"/#{view}")
        page.reload()
        looked: dict[str, Callable[[], None]] = {
            "now": lambda: expect(page.locator(ROWS)).to_have_count(2),
            "time": lambda: expect(page.locator("#heat svg")).to_be_visible(),
            "pipeline": lambda: expect(page.locator("#pipeline-note")).to_contain_text("counted"),
            "ends": lambda: expect(page.locator("#ends button").first).to_be_visible(),
            "books": lambda: expect(page.locator("#books")).to_contain_text("br-page"),
        }
        looked[view]()
        picture(page, f"{view}-{scheme}-{size}")
        assert [] == faults(page), view
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= SIZES[size]["width"], view
    context.close()
