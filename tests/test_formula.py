"""lme4's formula grammar: what every spelling means, and where an error points."""

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymixed.errors import FormulaError, InputError, InputTypeError
from pymixed.formula import Bar, parse, position_of, split_names

RANDOM_TERMS = {
    "(1 | g)": [Bar("1", (("g",),), True)],
    "(x|g)": [Bar("x", (("g",),), True)],
    "(0 + x | g)": [Bar("0 + x", (("g",),), True)],
    "(x - 1 | g)": [Bar("x - 1", (("g",),), True)],
    "(x || g)": [Bar("x", (("g",),), False)],
    "(1 | a/b)": [Bar("1", (("a",), ("b", "a")), True)],
    "(1 | a/b/c)": [Bar("1", (("a",), ("b", "a"), ("c", "b", "a")), True)],
    "(1 | a:b)": [Bar("1", (("a", "b"),), True)],
    "(x | (a:b))": [Bar("x", (("a", "b"),), True)],
    "(1 | a/(b:c))": [Bar("1", (("a",), ("b", "c", "a")), True)],
    "(poly(x, 2) | g)": [Bar("poly(x, 2)", (("g",),), True)],
    "((1 | g))": [Bar("1", (("g",),), True)],
    "(I(x | z) | g)": [Bar("I(x | z)", (("g",),), True)],
    "(`my x` | `my g`)": [Bar("`my x`", (("my g",),), True)],
    "(1 | lme4.style)": [Bar("1", (("lme4.style",),), True)],
    "(1 | g) + (0 + x | g)": [Bar("1", (("g",),), True), Bar("0 + x", (("g",),), True)],
}


@pytest.mark.parametrize("text", RANDOM_TERMS)
def test_random_terms(text):
    parsed = parse(f"y ~ x + {text}")
    assert list(parsed.bars) == RANDOM_TERMS[text]
    assert (parsed.response, parsed.fixed, parsed.offsets) == ("y", "x", ())


@pytest.mark.parametrize(("formula", "response", "fixed", "offsets"), [
    ("y~(1|g)", "y", "1", ()),
    ("y ~ 1 + (1 | g)", "y", "1", ()),
    ("y ~ 0 + x + (1 | g)", "y", "0 + x", ()),
    ("y ~ -1 + x + (1 | g)", "y", "- 1 + x", ()),
    ("y ~ x + (1 | g) - 1", "y", "x - 1", ()),
    ("y ~ (x + (1 | g)) + z", "y", "x + z", ()),
    ("y ~ (1 | g) + f * h", "y", "f * h", ()),
    ("log(y) ~ poly(x, 2) + (1 | g)", "log(y)", "poly(x, 2)", ()),
    ("y ~ I(x**2) + bs(x, df=4) + log((x + 1)) + (1 | g)", "y", "I(x**2) + bs(x, df=4) + log((x + 1))", ()),
    ("y ~ (a + b)^2 + (1 | g)", "y", "(a + b)^2", ()),
    ("y ~ x + offset(log(effort + 1)) + offset(z) + (1 | g)", "y", "x", ("log(effort + 1)", "z")),
    ("cbind(a, b - a) ~ x + (1 | g)", "cbind(a, b - a)", "x", ()),
    ("`my y` ~ `a|b (` + (1 | g)", "`my y`", "`a|b (`", ()),
    ("y ~ I(f == 'a|(b') + (1 | g)", "y", "I(f == 'a|(b')", ()),
    ("y ~ x +\n (1 | g)", "y", "x", ()),
])
def test_response_fixed_part_and_offsets(formula, response, fixed, offsets):
    parsed = parse(formula)
    assert (parsed.response, parsed.fixed, parsed.offsets) == (response, fixed, offsets)
    assert parsed.text == formula


@pytest.mark.parametrize(("formula", "reason", "caret"), [
    ("y ~ x + (1 | g", "unbalanced '('", 8),
    ("y ~ x + (1 | g))", "unbalanced ')'", 15),
    ("y ~ [x + (1 | g])", "unbalanced ']'", 15),
    ("y ~ `x + (1 | g)", "unclosed quote", 4),
    ("y ~ x + 1 | g", "outside brackets", 10),
    ("y ~ x + (1 | )", "empty grouping factor", 12),
    ("y ~ x + (1 | a/)", "empty grouping factor", 15),
    ("y ~ x + ( | g)", "nothing on the left of '|'", 10),
    ("y ~ x + (1 | a + b)", "joined by ':' or '/'; got 'a + b'", 13),
    ("y ~ x + (1 | a | b)", "one '|' or '||'", 15),
    ("y ~ x + ((1 | a) | b)", "inside a random term", 12),
    ("y x (1 | g)", "missing '~'", 11),
    ("y ~ x ~ (1 | g)", "one '~'", 6),
    (" ~ x + (1 | g)", "missing response", 1),
    ("y ~ x", "no random term", 5),
    ("y ~ ", "a term is missing", 4),
    ("y ~ x + + (1 | g)", "a term is missing", 8),
    ("y ~ x * (1 | g)", "stands alone", 11),
    ("y ~ x - (1 | g)", "added with '+'", 9),
    ("y ~ x - offset(z) + (1 | g)", "added with '+'", 8),
    ("y ~ offset() + (1 | g)", "needs an argument", 11),
    ("y ~ I(x^2) + (1 | g)", "write ** for a power", 7),
])
def test_errors_show_the_place(formula, reason, caret):
    with pytest.raises(FormulaError, match=re.escape(reason)) as caught:
        parse(formula)
    assert caught.value.position == caret
    *_, shown, pointer = str(caught.value).split("\n")
    assert shown == f"  {formula}"
    assert pointer.index("^") == caret + 2


def test_a_formula_is_a_string():
    with pytest.raises(InputTypeError, match=r"formula: expected a string .*, got list"):
        parse(["y ~ x"])


def test_formula_error_is_an_input_error_that_survives_pickling():
    error = FormulaError("reason", "y ~ x", 2)
    assert isinstance(error, InputError)
    assert isinstance(error, ValueError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "reason\n  y ~ x\n    ^"


def test_names_of_values_and_of_functions():
    variables, functions = split_names("log(`my y`) + np.exp(x) + bs(x, df=4) + x.T + C(f, contr.poly)"
                                       " + np.where(f == 'no name', 1e5, 0) + (yield:x)")
    assert variables == ("my y", "np", "x", "f", "contr", "yield")
    assert functions == ("log", "bs", "C")


@pytest.mark.parametrize(("name", "position"), [("x", 8), ("g", 22), ("my x", 13), ("nowhere", None)])
def test_position_of_a_name(name, position):
    assert position_of(name, "y ~ 'x'+x + `my x` + (g)") == position


@given(st.text(alphabet="yx g~+-|()/:^`'1,_", max_size=25))
def test_any_text_parses_or_is_a_formula_error(text):
    try:
        parsed = parse(text)
    except FormulaError as error:
        position = error.position
    else:
        assert parsed.bars
        assert parsed.response
        position = 0
    assert 0 <= position <= len(text)
