"""Run the code of a page: its Python examples, its shell sessions, the figures that it shows.

In a page of ``docs``, from top to bottom and in one folder,

- a block ``python`` of ``>>>`` lines is an example, whose output must be the one shown;
- a block ``python`` whose first line is a comment with a file's name is that file;
- a block ``console`` is a shell session: lines after ``$`` run, and their output must be the one shown;
- an image in ``figures/`` is the figure of the Axes that are called ``ax`` when the page comes to it.

Other blocks (``bash``, ``cpp``, ``text``) do not run. Whitespace does not count in outputs, and ``...`` stands for
anything.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

_PART = re.compile(
    r"^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```$|^!\[[^\]]*\]\(figures/(?P<figure>[\w-]+\.png)\)$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"# ([\w-]+\.py)\n")
_BLANK = re.compile(r"^$(?=\n+(?!>>>)[^\n])", re.MULTILINE)  # a line of an output, for doctest its end


class Part(NamedTuple):
    """What a page asks to be done: an ``example``, ``file``, ``session`` or ``figure``, and the line it stands in."""

    kind: str
    text: str
    line: int


def parts(page: Path) -> Iterator[Part]:
    """List what runs in a page.

    Raises
    ------
    ValueError
        A block of Python that is neither examples nor a file.
    """
    text = page.read_text(encoding="utf-8")
    for found in _PART.finditer(text):
        code, line = found["code"], text.count("\n", 0, found.start()) + 2
        if found["figure"]:
            yield Part("figure", found["figure"], line)
        elif found["language"] == "console":
            yield Part("session", code, line)
        elif found["language"] == "python":
            if not code.startswith(">>>") and not _FILE.match(code):
                raise ValueError(f"{page}:{line}: a block of Python is examples or begins with '# NAME.py'")
            yield Part("example" if code.startswith(">>>") else "file", code, line)


def run(page: Path, folder: Path, figures: Path | None = None) -> list[str]:
    """Run a page.

    Parameters
    ----------
    page : Path
        A Markdown file.
    folder : Path
        Where it runs, empty.
    figures : Path, optional
        Folder for its figures, which are not kept without.

    Returns
    -------
    list of str
        What came out otherwise than the page says; empty if all is well.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    names: dict[str, Any] = {}
    failures: list[str] = []
    home = Path.cwd()
    os.chdir(folder)
    try:
        for part in parts(page):
            if part.kind == "example":
                _run_examples(part, page, names, failures)
            elif part.kind == "file":
                Path(_FILE.match(part.text)[1]).write_text(part.text, encoding="utf-8")
            elif part.kind == "session":
                _run_session(part, page, failures)
            else:
                _keep_figure(part.text, names, figures)
    finally:
        os.chdir(home)
    return failures


def _run_examples(part: Part, page: Path, names: dict[str, Any], failures: list[str]) -> None:
    code = _BLANK.sub("<BLANKLINE>", part.text)
    examples = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), part.line - 1)
    examples.globs = names  # not a copy: later blocks go on with them
    doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(examples, out=failures.append, clear_globs=False)


def _run_session(part: Part, page: Path, failures: list[str]) -> None:
    bin_folder = Path(".bin").resolve()
    bin_folder.mkdir(exist_ok=True)
    for name, command in (("python", ""), ("pymixed", " -m pymixed")):  # of this interpreter, installed or not
        (bin_folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n', encoding="utf-8")
        (bin_folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    for piece in re.split(r"^\$ ", part.text, flags=re.MULTILINE)[1:]:
        lines = piece.splitlines(keepends=True)
        n_command = next(i for i, line in enumerate(lines) if not line.endswith("\\\n")) + 1
        command, expected = "".join(lines[:n_command]), "".join(lines[n_command:])
        done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=environment)
        if not doctest.OutputChecker().check_output(expected, done.stdout, OPTIONS):
            failures.append(f"{page}:{part.line}: {command}Expected:\n{expected}Got:\n{done.stdout}")


def _keep_figure(name: str, names: dict[str, Any], figures: Path | None) -> None:
    import matplotlib.pyplot as plt
    import numpy as np

    figure = np.ravel(names["ax"])[0].figure  # of one or several panels
    if figures is not None:
        figures.mkdir(exist_ok=True)
        figure.savefig(figures / name, dpi=120)
    plt.close("all")
