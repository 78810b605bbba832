"""The HTML page in a real browser: hostile texts do nothing there, and every control does its work."""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from report_page import HOSTILE, write_page
from run_answers import good

pytestmark = pytest.mark.slow

Make = Callable[..., Path]

SHOWN_HOSTILE = [
    *HOSTILE[:6],
    "\\u202eright to left\\u2066 \\ud800 \\x00 \\x1b[2J",
    "y" * 500 + " … [19500 more characters]",
]


@pytest.fixture
def chromium() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    binary, server = shutil.which("chromium"), shutil.which("chromedriver")
    assert binary and server, "Debian's chromium and chromium-driver have them"

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for option in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-sync",
                   "disable-component-update", "no-first-run", "disable-quic", "window-size=1200,900"):  # fmt: skip
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})

    driver = webdriver.Chrome(options=options, service=Service(server))
    yield driver
    driver.quit()


@pytest.fixture
def hostile_page(make_run: Make, tmp_path: Path, chromium: Any) -> Iterator[Any]:
    """The browser with a page of eight hostile rows, the answers of one of them hostile too; nothing may go wrong."""
    texts = HOSTILE * 3
    make_run("first", lambda position, target, rng: texts[position % len(texts)], task="LaMP-7")
    for name in HOSTILE[:7]:
        make_run(name.encode("utf-8", "replace").decode(), good, task="LaMP-7")

    write_page(tmp_path / "runs")
    chromium.get(f"file://{tmp_path / 'page.html'}")
    yield chromium

    assert chromium.get_log("browser") == []


def evaluate(chromium: Any, expression: str) -> Any:
    """The value of a JavaScript expression in the page."""
    return chromium.execute_script(f"return {expression}")


def set_value(chromium: Any, selector: str, value: str | int, event: str) -> None:
    """Give a control a value and tell the page, as a reader's input would."""
    chromium.execute_script(
        "const control = document.querySelector(arguments[0]);"
        "control.value = arguments[1]; control.dispatchEvent(new Event(arguments[2]))",
        selector,
        value,
        event,
    )


def choose_run_to_browse(chromium: Any, label: str) -> None:
    options = evaluate(chromium, "[...document.querySelectorAll('#run option')].map(o => o.text)")
    labels = [option.split(" · ")[1] for option in options]

    set_value(chromium, "#run", labels.index(label), "change")


def test_hostile_texts_are_shown_and_nothing_executes(hostile_page: Any) -> None:
    choose_run_to_browse(hostile_page, "first")
    hostile_page.execute_script("document.getElementById('more').click()")
    hostile_page.execute_script("document.querySelectorAll('#list details').forEach(d => d.open = true)")
    time.sleep(0.5)  # `toggle` comes after the script that opens

    visible_text = evaluate(hostile_page, "document.getElementById('list').innerText")
    for text in SHOWN_HOSTILE:
        assert " ".join(text.split()) in " ".join(visible_text.split())
    assert evaluate(hostile_page, "window.hit") is None and evaluate(hostile_page, "document.images.length") == 0
    assert evaluate(hostile_page, "document.documentElement.scrollWidth <= window.innerWidth")


def test_the_table_is_filtered_and_sorted(hostile_page: Any) -> None:
    rows = "[...document.querySelectorAll('.sortable tbody tr')]"
    assert evaluate(hostile_page, f"{rows}.length") == 8

    set_value(hostile_page, ".filter", "first", "input")

    assert evaluate(hostile_page, f"{rows}.filter(r => r.offsetParent).length") == 1
    assert evaluate(hostile_page, "document.querySelector('.count').textContent") == "1 of 8 rows"

    set_value(hostile_page, ".filter", "", "input")
    for is_descending in (False, True):
        hostile_page.find_element("css selector", "[data-column=value]").click()
        values = evaluate(hostile_page, f"{rows}.map(r => Number(r.dataset.value))")
        assert values == sorted(values, reverse=is_descending) and len(set(values)) > 1

    head = "document.querySelector('[data-column=value]').closest('th')"
    assert evaluate(hostile_page, f"{head}.getAttribute('aria-sort')") == "descending"


def test_charts_of_one_cost_are_shown_at_a_time(hostile_page: Any) -> None:
    set_value(hostile_page, "select.cost", "seconds", "change")

    assert evaluate(hostile_page, "[...document.querySelectorAll('figure.tokens')].every(f => f.hidden)")
    assert evaluate(hostile_page, "!document.querySelector('figure.seconds').hidden")


def test_examples_are_searched_and_changes_marked(hostile_page: Any) -> None:
    choose_run_to_browse(hostile_page, "first")

    set_value(hostile_page, "#search", "onerror", "input")

    match_count = evaluate(hostile_page, "document.getElementById('found').textContent").split()[0]
    assert 0 < int(match_count) < 24

    markup = evaluate(hostile_page, "changes('Old title here', 'New better title here ').innerHTML")
    assert markup == "<del>Old </del><ins>New better </ins>title here ", "no space alone is kept"


def test_the_theme_changes_the_ground(hostile_page: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    before = evaluate(hostile_page, ground)

    hostile_page.find_element("id", "theme").click()

    assert evaluate(hostile_page, ground) != before


ROLES_WITH_NAMES = {
    "button", "link", "searchbox", "combobox", "table", "image", "region", "columnheader", "rowheader", "heading",
    "DisclosureTriangle",
}  # fmt: skip


def test_a_screen_reader_finds_everything_named(make_run: Make, tmp_path: Path, chromium: Any) -> None:
    for k in (1, 2):
        make_run("good", good, config={"k": k})
    write_page(tmp_path / "runs")
    chromium.get(f"file://{tmp_path / 'page.html'}")
    chromium.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    time.sleep(0.5)  # `toggle` comes after the script that opens
    nodes = chromium.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named_nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in nodes if not node["ignored"]
    ]
    roles = Counter(role for role, _ in named_nodes)

    assert [role for role, name in named_nodes if role in ROLES_WITH_NAMES and not name] == []
    assert roles["table"] >= 5 and roles["combobox"] == 3 and roles["searchbox"] == 2
    assert {name for role, name in named_nodes if role == "columnheader"} >= {
        "task",
        "method",
        "95% interval",
        "LaMP-3 MAE ↓",
    }
    assert any(role == "rowheader" and "good k=2" in name for role, name in named_nodes)
    assert ("image", "LaMP-3: MAE by k") in named_nodes and ("button", "score") in named_nodes
    assert any(role == "image" and re.fullmatch(r"[0-9.]+ to [0-9.]+", name) for role, name in named_nodes), "whiskers"
    assert roles["main"] == 1 and named_nodes[0] == ("RootWebArea", "rpobench leaderboard")


def test_every_control_is_reached_and_worked_by_keyboard(make_run: Make, tmp_path: Path, chromium: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    make_run("good", good)
    write_page(tmp_path / "runs")
    chromium.get(f"file://{tmp_path / 'page.html'}")
    control_count = chromium.execute_script(
        "return [...document.querySelectorAll('a, button, input, select, summary, [tabindex]')]"
        ".filter((e) => e.checkVisibility()).length"
    )

    reached = set()
    for _ in range(control_count):
        chromium.switch_to.active_element.send_keys(Keys.TAB)
        focus = chromium.switch_to.active_element
        assert focus.value_of_css_property("outline-style") == "solid", "one sees where one is"
        reached.add(focus.id)
    assert len(reached) == control_count > 40

    sort = chromium.find_element("css selector", "[data-column=value]")
    sort.send_keys(Keys.ENTER)

    head = chromium.find_element("css selector", "th:has([data-column=value])")
    assert head.get_attribute("aria-sort") == "ascending"
