import re
from importlib.resources import files

import pytest

STYLE = files("fieldmark.evaluation").joinpath("page.css").read_text("utf-8")


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_meet_wcag_aa_in_both_themes(theme):
    blocks = re.findall(r":root \{(.*?)\}", STYLE, flags=re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[theme]))
    paper, panel, warn_panel = colours["paper"], colours["panel"], colours["warn-panel"]
    for ground in (paper, panel):
        for text in ("ink", "muted", "accent"):
            assert contrast(colours[text], ground) >= 4.5, (text, ground)
    for shade in ("s1", "s2", "s3", "s4", "s5"):
        assert contrast(colours["ink"], colours[shade]) >= 4.5, shade
    assert contrast(colours["warn"], warn_panel) >= 4.5
    assert contrast(colours["warn"], paper) >= 4.5
    assert contrast(colours["ink"], warn_panel) >= 4.5
    for line in ("accent", "train", "ink"):
        assert contrast(colours[line], paper) >= 3, line


def test_the_page_follows_the_readers_theme_and_has_a_printed_form():
    assert "@media screen and (prefers-color-scheme: dark)" in STYLE
    assert "@media print" in STYLE
