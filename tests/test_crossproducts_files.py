"""Cross-products in a file: what comes back, and files that are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from formulaic.transforms.contrasts import TreatmentContrasts
from streams import cut
from test_crossproducts import FRAME, TIGHT, assert_equal, quiet

import pymixed as pm
from pymixed import _core
from pymixed.errors import InputError

DATES = FRAME.assign(g=FRAME["g"].to_numpy().astype("datetime64[D]"), b=FRAME["x"] > 0,
                     h=pd.Categorical(FRAME["h"], list("utsrqp")))


def back(cp: pm.CrossProducts, path: Path) -> pm.CrossProducts:
    cp.save(path / "sums")
    return pm.CrossProducts.load(path / "sums")


@pytest.mark.parametrize(("formula", "arguments"), [
    ("y ~ x + (1 | g)", {}),
    ("scale(y) ~ poly(x, 3) + bs(z, df=4) + f + (x || g) + (1 | h)", {"weights": "w", "offset": "off"}),
    ("y ~ f * b + cr(z, df=4) + (1 | h / g)", {"contrasts": {"f": "sum", "b": [[1.0], [-1.0]]}}),
    ("y ~ C(h, contr.helmert) + np.log(z) + (1 | g)", {"contrasts": {}}),
    ("y ~ log(z) + I(x ** 2) + I(x > 0) + (1 | g:h:f)", {}),
])
def test_what_comes_back_is_the_same_and_goes_on(formula: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    cp = pm.CrossProducts.from_batches(formula, cut(DATES, 4)[:3], state=DATES, **arguments)
    loaded = back(cp, tmp_path)
    assert repr(loaded) == repr(cp)
    with quiet():
        assert loaded.fit().params.objective == cp.fit().params.objective
        for one in (cp, loaded):
            one.update(DATES[450:])
        assert loaded.fit().params.objective == cp.fit().params.objective
        assert (loaded + cp).n_obs == 1200
        assert_equal(loaded.fit(tol=TIGHT), pm.lmer(formula, DATES, tol=TIGHT, **arguments))


def test_labels_come_back_letter_by_letter(tmp_path: Path) -> None:
    labels = ["", "ä", "a\0", "a", "日本", "x" * 300]
    frame = FRAME.assign(g=np.resize(labels, 600), k=2**62 + FRAME["g"])
    cp = pm.CrossProducts.from_batches("y ~ x + (1 | g) + (1 | k)", [frame.assign(g=np.resize(np.array(labels, object),
                                                                                            600))])
    with quiet():
        found = back(cp, tmp_path).fit().ranef()
    assert found["g"].index.tolist() == sorted(labels)
    assert found["k"].index.tolist() == sorted(set(frame["k"].tolist()))


def test_no_rows_come_back_as_no_rows(tmp_path: Path) -> None:
    empty = back(pm.CrossProducts.from_batches("y ~ x + (1 | g)", [FRAME]).empty(), tmp_path)
    empty.update(FRAME)
    assert_equal(empty.fit(tol=TIGHT), pm.lmer("y ~ x + (1 | g)", FRAME, tol=TIGHT))


def test_limits_and_dropped_rows_come_back(tmp_path: Path) -> None:
    frame = FRAME.assign(x=FRAME["x"].where(FRAME["x"] < 1))
    cp = pm.CrossProducts.from_batches("y ~ x + (1 | g)", [frame], max_levels=30)
    loaded = back(cp, tmp_path)
    assert loaded.n_dropped == cp.n_dropped > 0
    with pytest.raises(pm.errors.MemoryLimitError, match="expected at most 30"):
        loaded.update(FRAME.assign(g=FRAME["g"] + 1))


# ---- what is refused -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("formula", [
    "y ~ I((lambda v: v)(x)) + (1 | g)", "y ~ I(x.clip(0)) + (1 | g)", "y ~ I([v for v in x]) + (1 | g)",
    "y ~ I(np.linalg.norm(x) * 0 + x) + (1 | g)"])
def test_a_formula_that_could_do_more_than_compute_is_not_saved(formula: str, tmp_path: Path) -> None:
    try:
        cp = pm.CrossProducts.from_batches(formula, [FRAME])
    except pm.errors.FormulaError:  # what depends on other rows is refused before
        cp = None
    if cp is not None:
        with pytest.raises(InputError, match="expected columns, operators, numbers and functions"):
            cp.save(tmp_path / "sums")
        assert not (tmp_path / "sums").exists()


def test_contrasts_that_are_objects_are_not_saved(tmp_path: Path) -> None:
    cp = pm.CrossProducts.from_batches("y ~ f + (1 | g)", [FRAME], contrasts={"f": TreatmentContrasts("mid")})
    with pytest.raises(InputError, match=r"contrasts\['f'\]: expected numbers, names .* got TreatmentContrasts"):
        cp.save(tmp_path / "sums")


def rewritten(content: bytes, **changes: Any) -> bytes:
    """A file with other values in it or in its header."""
    values = _core.unpack(content)
    header = json.loads(values["header"])
    values |= {name: value for name, value in changes.items() if name in values}
    header |= {name: value for name, value in changes.items() if name in header}
    return _core.pack({**values, "header": json.dumps(header)})


def test_a_file_that_would_execute_is_refused(tmp_path: Path) -> None:
    path, mark = tmp_path / "sums", tmp_path / "mark"
    pm.CrossProducts.from_batches("y ~ x + (1 | g)", [FRAME]).save(path)
    content = path.read_bytes()
    for expression in (f"open({str(mark)!r}, 'w')", f"__import__('pathlib').Path({str(mark)!r}).touch()",
                       f"x.tofile({str(mark)!r})", f"np.savetxt({str(mark)!r}, x)", f"eval('open({str(mark)!r})')",
                       "().__class__.__base__.__subclasses__()", f"[open({str(mark)!r}, 'w') for _ in x]"):
        for formula in (f"y ~ x + I({expression}) + (1 | g)", f"y ~ {expression} + (1 | g)",
                        f"I({expression}) ~ x + (1 | g)", f"y ~ x + ({expression} | g)",
                        f"y ~ x + offset({expression}) + (1 | g)", f"y ~ x + {{{expression}}} + (1 | g)"):
            path.write_bytes(rewritten(content, formula=formula))
            with pytest.raises(InputError, match="path: "):
                pm.CrossProducts.load(path)
            assert not mark.exists()


def test_a_newer_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "sums"
    pm.CrossProducts.from_batches("y ~ x + (1 | g)", [FRAME]).save(path)
    path.write_bytes(rewritten(path.read_bytes(), format=np.array([2])))
    with pytest.raises(InputError, match="in format 1, got 2; a newer version"):
        pm.CrossProducts.load(path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "sums"
    pm.CrossProducts.from_batches("y ~ x + f + (1 | g)", [FRAME], state=FRAME).save(path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [content[:n] for n in (0, 1, 100, len(content) // 2, len(content) - 1)]
    damaged += [b"nothing of the kind", rewritten(content, levels={}), rewritten(content, max_levels=[1, 2])]
    for spoilt in damaged:
        path.write_bytes(spoilt)
        with pytest.raises(InputError, match="path: expected cross-products"):
            pm.CrossProducts.load(path)
    for place in rng.integers(len(content), size=40):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        with pytest.raises(InputError, match="path: expected cross-products"):
            pm.CrossProducts.load(path)
    with pytest.raises(OSError, match="No such file"):
        pm.CrossProducts.load(tmp_path / "missing")


def test_nothing_in_a_file_is_an_object(tmp_path: Path) -> None:
    pm.CrossProducts.from_batches("y ~ scale(x) + f + (1 | g / h)", [FRAME]).save(tmp_path / "sums")
    for value in _core.unpack((tmp_path / "sums").read_bytes()).values():
        texts = value if isinstance(value, list) else [value]
        assert all(isinstance(text, str) for text in texts) or value.dtype.kind in "biuf"
