"""Sphinx builds the site with this: ``python -m sphinx -W -b html docs docs/_build/html``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

import pymixed

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import pages  # noqa: E402

project = "pymixed"
author = copyright = "The pymixed developers"  # noqa: A001
release = version = pymixed.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax"]
exclude_patterns = ["_build", "README.md"]  # README.md is the list of pages that index.md includes
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"pymixed {release}"
html_show_sourcelink = False

# Pages: $...$ and ```math blocks, as code hosts render them.
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_fence_as_directive = {"math"}
myst_heading_anchors = 3

# Docstrings.
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say it in words
autodoc_default_options = {
    "members": True,
    "inherited-members": "BaseEstimator, RegressorMixin, _MetadataRequester",  # of all but scikit-learn's classes
    "exclude-members": "set_fit_request, set_score_request",  # which it adds to ours
}
autodoc_mock_imports = ["marginaleffects", "polars"]  # of an adapter that is documented without them
numpydoc_show_class_members = False  # the template of a class lists them
add_module_names = False
default_role = "py:obj"
toc_object_entries_show_parents = "hide"

# Files outside this folder that pages link to, by the page that includes them; others stand in the repository only.
INCLUDED = {
    "../benchmarks/README.md": "benchmarks.md",
    "../CHANGELOG.md": "changelog.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../README.md": "index.md",
}


def link_to_included_pages(app: Sphinx, page: str, source: list[str]) -> None:
    """Let links that leave the folder on a code host lead to the page of the site."""
    for path, included in INCLUDED.items():
        source[0] = source[0].replace(f"]({path}", f"]({included}")


def hide_internal_constructors(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returned: str | None
) -> tuple[str, None] | None:
    """Show no arguments of objects that only fits make: their first one is private."""
    return ("", None) if what == "class" and signature is not None and signature.startswith("(_") else None


def setup(app: Sphinx) -> None:
    """Draw the figures of the pages by running those that show some, and hook the above in."""
    for page in sorted(HERE.glob("*.md")):
        if any(part.kind == "figure" for part in pages.parts(page)):
            with tempfile.TemporaryDirectory() as folder:
                failures = pages.run(page, Path(folder), HERE / "figures")
            if failures:
                raise ExtensionError("\n".join(failures))
    app.connect("source-read", link_to_included_pages)
    app.connect("autodoc-process-signature", hide_internal_constructors)
