"""Read a layer list: text in, a :class:`~fieldmark.networks.layers.Network` out.

Pure. Bounded: a list from a stranger's file cannot make it use more than a few megabytes.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final, NoReturn, get_args

from fieldmark.errors import LayerListError
from fieldmark.networks.layers import (
    PLAIN_SOURCE,
    Activation,
    Backbone,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Function,
    GlobalPool,
    Input,
    Item,
    Network,
    Padding,
    Pair,
    Pool,
    Reduce,
    Repeat,
    Residual,
    Scale,
)

_FUNCTIONS: Final[dict[str, Function]] = {
    "RELU": "relu",
    "RELU6": "relu6",
    "SIGMOID": "sigmoid",
    "SOFTMAX": "softmax",
}

MAX_LAYERS: Final = 2_000
"""After repeats; a list from a stranger's file cannot grow without bound."""
MAX_NUMBER: Final = 1_000_000
MAX_DEPTH: Final = 8


def fail(text: str, at: int, what: str, *, hint: str, why: str = "") -> NoReturn:
    """Raise a LayerListError whose ``where`` shows the line with a mark under ``at``."""
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[start : len(text) if end < 0 else end]
    column = at - start
    if column > 50:  # keep the mark on the screen: cut what stands far before it
        line, column = "..." + line[column - 40 :], 43
    if len(what) > 200:  # it may quote a word as long as the stranger's file
        what = f"{what[:120]} ... {what[-40:]}"
    where = f"{line[:76]}\n{' ' * column}^"
    raise LayerListError(what, code="layer-list", where=where, why=why, hint=hint)


_TOKEN = re.compile(
    r"(?P<skip>[ \t\r]+|#[^\n]*)|(?P<sep>->|\n)|(?P<mark>[\[\]{}*])"
    rf'|(?P<word>{PLAIN_SOURCE.pattern}|"[^"\n]+")'
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            fail(
                text,
                at,
                f"The character {text[at]!r} has no meaning in a layer list.",
                hint="separate layers by -> or new lines; numbers look like 32, 3x3 or 0.5",
            )
        kind = str(match.lastgroup)
        if kind != "skip":
            found.append(_Token(kind, match.group(), at))
        at = match.end()
    found.append(_Token("end", "", len(text)))
    return found


def parse(text: str) -> Network:
    """Read a layer list.

    Parameters
    ----------
    text : str
        In the language above; starts with INPUT.

    Returns
    -------
    Network

    Raises
    ------
    LayerListError
        Code ``layer-list``; the error's ``where`` points at the place in the text.

    Examples
    --------
    >>> str(parse("input 64x64x3 -> conv 32 3x3 -> relu -> fc"))
    'INPUT 64x64x3 -> CONV 32 3x3 -> RELU -> FC'
    """
    reader = _Reader(text, _tokens(text))
    items = reader.items(closing="", depth=0)
    if not items or not isinstance(items[0], Input):
        fail(text, 0, "A layer list starts with INPUT.", hint="for example: INPUT 64x64x3 -> ...")
    rest: list[Item] = []
    for item in items[1:]:
        if isinstance(item, Input):
            fail(text, item.at, "INPUT stands only once, at the start.", hint="remove this one")
        rest.append(item)
    network = Network(items[0], tuple(rest), text)
    if (n_layers := _count(network.items)) > MAX_LAYERS:
        fail(
            text,
            0,
            f"The list has {n_layers:,} layers after repeats; {MAX_LAYERS:,} is the most.",
            hint="repeat less often",
        )
    return network


def _count(items: tuple[Item, ...]) -> int:
    n_layers = 0
    for item in items:
        match item:
            case Repeat():
                n_layers += item.times * _count(item.body)
            case Residual():
                n_layers += 1 + _count(item.body)
            case _:
                n_layers += 1
    return n_layers


class _Reader:
    """Recursive descent over the tokens; one method per construct."""

    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.next = 0

    def peek(self) -> _Token:
        return self.tokens[self.next]

    def take(self) -> _Token:
        token = self.tokens[self.next]
        self.next += 1
        return token

    def fail(self, token: _Token, what: str, hint: str) -> NoReturn:
        fail(self.text, token.at, what, hint=hint)

    def items(self, *, closing: str, depth: int) -> tuple[Item | Input, ...]:
        if depth > MAX_DEPTH:
            self.fail(
                self.peek(), f"More than {MAX_DEPTH} brackets inside each other.", "unfold some"
            )
        found: list[Item | Input] = []
        separated = True
        while True:
            token = self.take()
            if token.kind == "sep":
                separated = True
            elif token.text == closing:  # the end is the one token without text
                return tuple(found)
            elif token.kind == "end":
                self.fail(
                    token, f"The list ends before its {closing!r}.", f"close it with {closing}"
                )
            elif not separated:
                self.fail(token, f"{token.text!r} does not belong here.", "put -> between layers")
            else:
                found.append(self.item(token, depth))
                separated = False

    def item(self, token: _Token, depth: int) -> Item | Input:
        if token.text == "{":
            return Residual(self.body("}", depth, token), at=token.at)
        if token.text == "[":
            body = self.body("]", depth, token)
            star = self.take()
            if star.text != "*":
                self.fail(star, "A repeat needs a count after its bracket.", "write [...]*3")
            return Repeat(body, self.number(self.take(), "how often"), at=token.at)
        if token.kind != "word":
            self.fail(token, f"{token.text!r} does not belong here.", "start with a layer's name")
        arguments: list[_Token] = []
        while self.peek().kind == "word":
            arguments.append(self.take())
        return self.layer(token, arguments)

    def body(self, closing: str, depth: int, opened: _Token) -> tuple[Item, ...]:
        found: list[Item] = []
        for item in self.items(closing=closing, depth=depth + 1):
            if isinstance(item, Input):
                fail(self.text, item.at, "INPUT stands only at the start.", hint="remove this one")
            found.append(item)
        if not found:
            self.fail(opened, "These brackets are empty.", "put layers between them")
        return tuple(found)

    def layer(self, word: _Token, arguments: list[_Token]) -> Item | Input:
        name = word.text.upper()
        if name not in SYNTAX:
            near = difflib.get_close_matches(name, SYNTAX, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            self.fail(word, f"{word.text!r} is not a layer.", f"{hint}known: {', '.join(SYNTAX)}")
        at = word.at
        given = _Arguments(self, word, arguments, SYNTAX[name])
        item: Item | Input
        match name:
            case "INPUT":
                item = Input(*given.sizes(3), at=at)
                if item.channels not in (1, 3):
                    what = (
                        f"A picture of {item.channels} channels; 3 (RGB) or 1 (grey) is possible."
                    )
                    self.fail(word, what, given.hint)
            case "CONV":
                item = Conv(given.count(), given.pair(), *given.padding_and_step(), at=at)
            case "DWCONV":
                item = Conv(None, given.pair(), *given.padding_and_step(), at=at)
            case "POOL" | "AVGPOOL":
                kernel = given.pair()
                padding, step = given.padding_and_step(usual=0)
                reduce: Reduce = "max" if name == "POOL" else "mean"
                touching = step == 0 or kernel == (step, step)
                item = Pool(reduce, kernel, padding, None if touching else step, at=at)
            case "GAP" | "GMP":
                item = GlobalPool("mean" if name == "GAP" else "max", at=at)
            case "BN":
                item = BatchNorm(at=at)
            case "RELU" | "RELU6" | "SIGMOID" | "SOFTMAX":
                item = Activation(_FUNCTIONS[name], at=at)
            case "DROPOUT":
                item = Dropout(given.rate(), at=at)
            case "FLATTEN":
                item = Flatten(at=at)
            case "BACKBONE":
                item = Backbone(given.source(), *given.stages_and_scale(), at=at)
            case _:
                item = Dense(given.count() if given.left else None, at=at)
        given.finish()
        return item

    def number(self, token: _Token, meaning: str) -> int:
        if not re.fullmatch(r"[0-9]{1,7}", token.text) or not 0 < int(token.text) <= MAX_NUMBER:
            self.fail(token, f"{token.text!r} is no whole number ({meaning}).", "1 to 1,000,000")
        return int(token.text)


SYNTAX: Final = {
    "INPUT": "INPUT 64x64x3",
    "CONV": "CONV 32 3x3 [same|valid] [step 2]",
    "DWCONV": "DWCONV 3x3 [same|valid] [step 2]",
    "POOL": "POOL 2x2 [same|valid] [step 2]",
    "AVGPOOL": "AVGPOOL 2x2 [same|valid] [step 2]",
    "GAP": "GAP",
    "GMP": "GMP",
    "BN": "BN",
    "RELU": "RELU",
    "RELU6": "RELU6",
    "SIGMOID": "SIGMOID",
    "SOFTMAX": "SOFTMAX",
    "DROPOUT": "DROPOUT 0.5",
    "FLATTEN": "FLATTEN",
    "FC": "FC [128]",
    "BACKBONE": "BACKBONE efficientnet-lite0 [stages 4]",
}
"""Every word with an example of its arguments; the list that errors and the docs show."""


class _Arguments:
    """The words after a layer's name, taken one by one; what is left over is an error."""

    def __init__(self, reader: _Reader, word: _Token, left: list[_Token], example: str) -> None:
        self.reader = reader
        self.word = word
        self.left = list(left)
        self.hint = f"write it like: {example}"

    def take(self, meaning: str) -> _Token:
        if not self.left:
            what = f"{self.word.text.upper()} needs {meaning}."
            self.reader.fail(self.word, what, self.hint)
        return self.left.pop(0)

    def count(self) -> int:
        token = self.take("a count")
        if not token.text.isdecimal():
            what = f"{self.word.text.upper()} needs a count here, not {token.text!r}."
            self.reader.fail(token, what, self.hint)
        return self.reader.number(token, "a count")

    def sizes(self, n: int) -> tuple[int, int, int]:
        token = self.take("its size")
        parts = token.text.lower().split("x")
        if len(parts) != n or not all(
            re.fullmatch(r"0{0,3}[1-9][0-9]{0,3}", part) for part in parts
        ):
            what = f"{token.text!r} is no size of {n} numbers from 1 to 9999."
            self.reader.fail(token, what, self.hint)
        return int(parts[0]), int(parts[1]), int(parts[2]) if n == 3 else 0

    def pair(self) -> Pair:
        height, width, _ = self.sizes(2)
        return height, width

    def padding_and_step(self, usual: int = 1) -> tuple[Padding, int]:
        padding: Padding = "valid"
        step = usual
        while self.left:
            token = self.left.pop(0)
            match token.text.lower():
                case "same":
                    padding = "same"
                case "valid":
                    padding = "valid"
                case "step":
                    step = self.reader.number(self.take("a number after 'step'"), "a step")
                case _:
                    what = f"{token.text!r} is neither same, valid nor step."
                    self.reader.fail(token, what, self.hint)
        return padding, step

    def rate(self) -> float:
        token = self.take("a rate")
        if not re.fullmatch(r"0?\.[0-9]{1,6}|0", token.text):
            self.reader.fail(token, f"{token.text!r} is no rate from 0 to below 1.", self.hint)
        return float(token.text)

    def source(self) -> str:
        return self.take("a name").text.strip('"')

    def stages_and_scale(self) -> tuple[int, Scale | None]:
        stages, scale = 0, None
        while self.left and self.left[0].text.lower() in ("stages", "scale"):
            if self.left.pop(0).text.lower() == "stages":
                token = self.take("a number after 'stages'")
                stages = self.reader.number(token, "how many stages")
            else:
                scale = self.scale(self.take("a word after 'scale'"))
        return stages, scale

    def scale(self, token: _Token) -> Scale:
        for known in get_args(Scale):
            if token.text.lower() == known:
                return known  # type: ignore[no-any-return]
        words = ", ".join(get_args(Scale))
        self.reader.fail(token, f"{token.text!r} is no way to scale pixels.", f"one of: {words}")

    def finish(self) -> None:
        if self.left:
            token = self.left[0]
            self.reader.fail(token, f"{token.text!r} is one word too many.", self.hint)
