import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.errors import UsageError
from fieldmark.evaluation import template
from fieldmark.evaluation.wording import printable

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=300)


@given(ANY_TEXT)
def test_a_shown_name_is_a_short_line_and_begins_as_the_name_does(text):
    line = template.shown(text)
    assert len(line) <= template.MAX_NAME
    assert line == printable(text) or line.endswith("..")
    assert printable(text).startswith(line.removesuffix(".."))


def test_a_name_that_just_fits_is_not_cut():
    whole = "x" * template.MAX_NAME
    assert template.shown(whole) == whole
    assert template.shown(whole + "x") == whole[:-2] + ".."


@pytest.mark.parametrize(
    ("start", "kind"), [(b"\xff\xd8\xff", "jpeg"), (b"\x89PNG\r\n\x1a\n", "png")]
)
def test_pictures_are_put_inside_whole(start, kind):
    head, _, inside = template.data_url(start + b"pixels").partition(",")
    assert head == f"data:image/{kind};base64"
    assert base64.b64decode(inside) == start + b"pixels"


@pytest.mark.parametrize("data", [b"", b"<svg onload=alert(1)>", b"GIF89a", b"\xff\xd8"])
def test_nothing_but_a_picture_is_put_inside(data):
    assert template.data_url(data) == ""


def test_reasons_are_counted_the_most_frequent_first():
    def file(path, code, reason):
        return {"path": path, "code": code, "reason": reason}

    found = template.reasons(
        [
            file("a", "unreadable", "cannot be read (Input/output error)"),
            file("b", "empty-file", "the file is empty"),
            file("c", "damaged", "damaged"),
            file("d", "empty-file", "the file is empty"),
        ]
    )
    assert found == [
        ("empty-file", "the file is empty", 2),
        ("damaged", "damaged", 1),
        ("unreadable", "cannot be read", 1),
    ]


def test_a_left_out_file_without_its_code_is_an_error():
    with pytest.raises(UsageError, match="left out is described as"):
        template.reasons([{"path": "a.jpg", "reason": "gone"}])


def test_the_environment_escapes_what_it_is_given():
    made = template._environment().from_string("<b title='{{ word | shown }}'>{{ word }}</b>")
    assert made.render(word="'<i>") == "<b title='&#39;&lt;i&gt;'>&#39;&lt;i&gt;</b>"


def test_a_template_is_compiled_once():
    assert template.template("page.html.j2") is template.template("page.html.j2")
