"""Every page in a real browser: silent, alone, accessible, readable when narrow, printable."""

from __future__ import annotations

from pathlib import Path

import pytest

import fieldmark as fm
from fieldmark import cli
from fieldmark.evaluation.page import render
from tests.evaluation.made_report import facts_of
from tests.evaluation.promises import HOSTILE
from tests.pictures import write_shapes

LAYERS = "INPUT 16x16x3 -> CONV 8 3x3 same -> RELU -> GAP -> FC"
PAGES = ("run", "full", "hostile", "check", "compare")


@pytest.fixture(scope="module")
def pages(chromium, axe, tmp_path_factory) -> dict[str, Path]:
    """Write each page once: of two real runs, of every part there is, of hostile names."""
    work = tmp_path_factory.mktemp("pages")
    found = {name: work / f"{name}.html" for name in PAGES}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FIELDMARK_CACHE", str(work / "cache"))
        data = write_shapes(work / "shapes", 24)
        (data / "circle" / "empty.png").write_bytes(b"")
        asked = fm.Settings().changed("run", {"out": str(work / "runs")})
        first, second = (
            fm.train(
                data, LAYERS, settings=asked.changed("train", {"epochs": epochs, "lr": rate})
            ).folder
            for epochs, rate in ((3, "auto"), (1, 0.001))
        )
        cli.run(["check", str(data), "--html", str(found["check"]), "-q"])
        cli.run(["compare", str(first), str(second), "--html", str(found["compare"]), "-q"])
    found["run"] = first / "report.html"
    found["full"].write_text(render(facts_of()), encoding="utf-8")
    evil = facts_of(HOSTILE, words=HOSTILE)
    found["hostile"].write_text(render(evil), encoding="utf-8")
    return found


@pytest.mark.parametrize("name", PAGES)
class TestEveryPage:
    def test_says_nothing_and_asks_for_nothing_but_itself(self, pages, open_page, name):
        opened = open_page(pages[name])
        opened.unfold()
        assert opened.said == []
        outside = [url for url in opened.requested if not url.startswith("data:")]
        assert outside == [pages[name].as_uri()]

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [1200, 320])
    def test_breaks_no_rule_of_accessibility(self, pages, open_page, axe, name, scheme, width):
        opened = open_page(pages[name], width, scheme)
        opened.unfold()
        assert opened.violations(axe) == []

    def test_does_not_scroll_sideways_when_narrow(self, pages, open_page, name):
        opened = open_page(pages[name], 320)
        opened.unfold()
        wide = opened.page.evaluate("document.documentElement.scrollWidth")
        assert wide == 320

    def test_is_small(self, pages, open_page, name):
        assert pages[name].stat().st_size < 5_000_000

    def test_prints_dark_on_white_whatever_the_theme_of_the_screen(self, pages, open_page, name):
        opened = open_page(pages[name], scheme="dark")
        opened.page.emulate_media(media="print", color_scheme="dark")
        ground, ink, links = opened.page.evaluate(
            """() => [getComputedStyle(document.body).backgroundColor,
                      getComputedStyle(document.body).color,
                      getComputedStyle(document.querySelector('nav')).display]"""
        )
        assert ground == "rgb(255, 255, 255)"
        assert ink == "rgb(31, 38, 40)"
        assert links == "none"
        assert opened.page.pdf(format="A4")[:4] == b"%PDF"


def test_short_tables_of_charts_are_printed_though_they_are_folded_up(pages, open_page):
    page = open_page(pages["full"]).page
    table = page.locator("#reliability-table")
    assert not table.is_visible()
    page.emulate_media(media="print")
    assert table.is_visible()
    assert not page.locator("#coverage-table").is_visible()
    assert not page.locator("#documents pre").first.is_visible()


def test_no_table_of_a_run_is_wider_than_paper(pages, open_page):
    page = open_page(pages["run"], width=718).page  # A4 less 1 cm at each side
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 718


def test_a_cell_of_the_confusion_matrix_lists_its_files(pages, open_page, axe):
    opened = open_page(pages["run"], 320)
    page = opened.page
    link = page.locator(".matrix a").first
    assert page.locator(".pair-files:visible").count() == 0
    link.focus()
    page.keyboard.press("Enter")
    shown = page.locator(".pair-files:visible")
    assert shown.count() == 1
    n = int(link.inner_text())
    assert shown.locator("li").count() == n
    assert opened.violations(axe) == []
    assert opened.said == []


def test_every_link_and_fold_can_be_reached_with_the_keyboard(pages, open_page):
    page = open_page(pages["run"]).page
    wanted = page.locator("a:visible, summary:visible, [tabindex='0']:visible").count()
    reached = set()
    for _ in range(wanted + 3):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "[...document.querySelectorAll('a, summary, [tabindex]')]"
                ".indexOf(document.activeElement)"
            )
        )
    assert len(reached - {-1}) >= wanted


def test_charts_keep_apart_from_the_paper_in_both_themes(pages, open_page):
    for scheme in ("light", "dark"):
        page = open_page(pages["full"], scheme=scheme).page
        stroke, ground = page.evaluate(
            """() => [getComputedStyle(document.querySelector('.chart .valid')).stroke,
                      getComputedStyle(document.body).backgroundColor]"""
        )
        assert contrast(stroke, ground) >= 3


def contrast(one: str, other: str) -> float:
    light, dark = sorted(map(luminance, (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(each) / 255 for each in colour[4:-1].split(",")]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


class TestTheTestsThemselves:
    """What they look for is found where it is planted."""

    @pytest.mark.parametrize(
        ("planted", "rule"),
        [
            ('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">', "image-alt"),
            ('<p class="planted">pale words</p>', "color-contrast"),
            ("<table><tr><th></th><td>1</td></tr></table>", "empty-table-header"),
        ],
    )
    def test_a_broken_rule_is_found(self, pages, open_page, axe, tmp_path, planted, rule):
        html = pages["full"].read_text(encoding="utf-8")
        html = html.replace("</style>", ".planted { color: #999999 }</style>", 1)
        broken = tmp_path / "broken.html"
        broken.write_text(html.replace("</main>", planted + "</main>"), encoding="utf-8")
        found = open_page(broken).violations(axe)
        assert [each.partition(":")[0] for each in found] == [rule]

    @pytest.mark.parametrize(
        "planted",
        ["<script>document.title = 1</script>", '<img alt="" src="http://127.0.0.1:9/a.gif">'],
    )
    def test_a_script_or_a_request_is_refused_and_heard_of(
        self, pages, open_page, tmp_path, planted
    ):
        html = pages["full"].read_text(encoding="utf-8")
        broken = tmp_path / "broken.html"
        broken.write_text(html.replace("</main>", planted + "</main>"), encoding="utf-8")
        assert any("Content Security Policy" in each for each in open_page(broken).said)

    def test_what_is_too_wide_is_found(self, pages, open_page, tmp_path):
        html = pages["full"].read_text(encoding="utf-8")
        broken = tmp_path / "broken.html"
        wide = "<pre>" + "x" * 90 + "</pre></main>"
        styled = html.replace("</style>", "main > pre { white-space: pre }</style>", 1)
        broken.write_text(styled.replace("</main>", wide), encoding="utf-8")
        page = open_page(broken, 320).page
        assert page.evaluate("document.documentElement.scrollWidth") > 320
