"""What every page promises, and the words that could break it."""

import itertools
import re

from fieldmark.evaluation.template import marker
from tests.evaluation.reader import Reader

HOSTILE = (
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)" x="',
    "'><img src=x onerror=alert(1)>",
    "</style><script>alert(1)</script>",
    "</title><base href=https://example.org>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "a\nb\x1b[2J",
    "a\udcffb",
    "-rf 'quoted'.jpg",
    "photo\u202egpj.exe",
    "https://example.org/track.gif",
    "&lt;b&gt; &amp;",
    "薔薇の花 العربية",
    "x" * 3000,
)
REQUESTING = {"src", "srcset", "href", "action", "data", "poster", "background", "formaction"}


PICTURES = ("data:image/jpeg;base64,", "data:image/png;base64,")


class Promises:
    """Subclassed by the tests of each page, which say what ``html`` is."""

    kind = ""
    """The word after ``fieldmark`` in the marker."""

    def test_runs_nothing(self, html):
        found = Reader(html)
        assert not found.all("script")
        assert "<script" not in html.lower()
        assert not [name for _, attrs in found.elements for name in attrs if name.startswith("on")]

    def test_asks_the_network_for_nothing(self, html):
        found = Reader(html)
        for tag, attrs in found.elements:
            for name in REQUESTING & set(attrs):
                assert attrs[name].startswith(("#", *PICTURES)), (tag, attrs)
            for value in attrs.values():
                assert "//" not in (value or "") or tag == "img", (tag, attrs)
        assert not [tag for tag, _ in found.elements if tag in {"link", "base", "iframe", "object"}]

    def test_its_styles_ask_for_nothing_either(self, html):
        style = html[html.index("<style>") : html.index("</style>")]
        assert "url(" not in style
        assert "@import" not in style
        assert not [attrs for _, attrs in Reader(html).elements if "style" in attrs]

    def test_tells_the_browser_so(self, html):
        policies = [
            attrs["content"]
            for attrs in Reader(html).all("meta")
            if attrs.get("http-equiv") == "Content-Security-Policy"
        ]
        assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]

    def test_is_well_formed_html_in_english(self, html):
        found = Reader(html)
        assert html.startswith('<!doctype html>\n<html lang="en">')
        assert found.crossed == []
        assert found.open == []

    def test_can_be_known_as_a_page_of_fieldmarks_own(self, html):
        assert marker(self.kind) in html[:1000]

    def test_can_be_written_as_utf_8(self, html):
        assert html.encode("utf-8").decode("utf-8") == html

    def test_has_one_first_heading_and_leaves_no_level_out(self, html):
        levels = [int(tag[1]) for tag, _ in Reader(html).elements if re.fullmatch("h[1-6]", tag)]
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))

    def test_every_id_is_unique_and_every_reference_leads_somewhere(self, html):
        found = Reader(html)
        ids = [attrs["id"] for _, attrs in found.elements if "id" in attrs]
        assert len(ids) == len(set(ids))
        wanted = [attrs["href"][1:] for attrs in found.all("a")]
        for _, attrs in found.elements:
            wanted += attrs.get("aria-labelledby", "").split()
        assert set(wanted) <= set(ids)

    def test_every_table_has_a_caption_and_its_headings_a_scope(self, html):
        found = Reader(html)
        assert len(found.all("table")) == len(found.all("caption"))
        assert all(attrs.get("scope") in {"col", "row"} for attrs in found.all("th"))

    def test_every_picture_is_described_in_words(self, html):
        found = Reader(html)
        assert all(attrs["alt"] for attrs in found.all("img"))
        for attrs in found.all("svg"):
            assert attrs.get("aria-hidden") == "true" or attrs["role"] == "img"
        assert len(found.all("title")) == len(found.all("desc")) + 1

    def test_every_scrolling_table_can_be_reached_by_keyboard(self, html):
        found = Reader(html)
        regions = [a for a in found.all("div") if a.get("class") == "scroll"]
        assert len(regions) == len(found.all("table"))
        assert all(a["tabindex"] == "0" and a["role"] == "region" for a in regions)
