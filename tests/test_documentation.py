"""The code of README.md and of every page in docs runs and gives what the pages show."""

import re
from functools import reduce
from pathlib import Path

import pages
import pytest
from reference_cases import glmm_cases, linear_cases, tmb_cases

import pymixed as pm

ROOT = Path(__file__).parents[1]
PAGES = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if any(pages.parts(path))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_of_the_page(page, tmp_path):
    assert pages.run(page, tmp_path) == []


def test_a_page_that_is_wrong_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> 1 + 1\n3\n\n```\n"
                    "```console\n$ python -c 'print(1)'\n2\n$ echo a \\\n    b\na b\n```\n")
    example, session = pages.run(page, tmp_path)
    assert "Expected:\n    3\nGot:\n    2" in example
    assert "Expected:\n2\nGot:\n1" in session
    page.write_text("```python\nprint(1)\n```\n")
    with pytest.raises(ValueError, match=r"page.md:2: a block of Python"):
        list(pages.parts(page))


def test_every_page_is_listed():
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = {line for line in contents.splitlines() if not line.startswith((":", "`"))}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} - {"README", "index"} <= listed


def test_our_names_beside_those_of_other_packages_exist():
    page = (ROOT / "docs" / "coming_from.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(fit|pm)((?:\.[a-z]\w*)+)", page))
    fits = [pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy")),
            pm.glmer("TICKS ~ YEAR + (1 | BROOD)", pm.datasets.load("grouseticks"), family="poisson")]
    for root, path in named:
        names = path.removeprefix(".").split(".")
        assert any(reduce(lambda thing, name: getattr(thing, name, None), names, start) is not None
                   for start in (fits if root == "fit" else [pm])), f"{root}{path}"


def test_the_validation_page_has_every_reference_case():
    page = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| (\w+) \| [\d,]+ \|", page, re.MULTILINE))
    assert listed == {*linear_cases(), *glmm_cases(), *tmb_cases()}


def test_the_reference_lists_every_public_name():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   ([\w.~]+)$", page, re.MULTILINE))
    modules = {"datasets", "errors", "families"}
    assert {*pm.__all__} - modules - {"__version__"} <= listed
    for module in ("datasets", "families"):
        public = set(getattr(pm, module).__all__) - {"resolve"}
        assert {f"{module}.{name}" for name in public} <= listed
