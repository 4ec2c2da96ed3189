"""Tables in HTML, Markdown and LaTeX read back, on the assumption that no cell holds a line break."""

import re
from html.parser import HTMLParser


class HtmlCells(HTMLParser):
    """Text of a fragment, and whether its tags balance."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read_markdown(text: str) -> tuple[list[str], list[list[list[str]]]]:
    """Paragraphs and tables of cells of a Markdown text, its escapes undone."""
    paragraphs, tables = [], []
    for block in text.split("\n\n"):
        lines = block.split("\n")
        if not block.startswith("|"):
            paragraphs.append(unescaped(block.replace("\\\n", "\n").strip("*")))
            continue
        cells = [[unescaped(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
        assert set("".join(cells.pop(1))) <= set(":- ")
        assert len(set(map(len, cells))) == 1
        tables.append(cells)
    return paragraphs, tables


def unescaped(text: str) -> str:
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace("&emsp;", "").strip()


def read_latex(text: str) -> tuple[list[str], list[list[list[str]]]]:
    """Paragraphs and tabulars of a LaTeX text, its escapes undone; braces and columns are checked."""
    paragraphs, tables = [], []
    for part in text.split("\n\n"):
        block = part.removeprefix("\\medskip\\noindent\n")  # space above
        bare = re.sub(r"\\[{}]", "", block)
        assert bare.count("{") == bare.count("}")
        if not block.startswith(r"\begin{tabular}"):
            paragraphs.append(plain_latex(block.removeprefix(r"\textbf{").removesuffix("}")
                                          if block.startswith(r"\textbf") else block.replace(" \\\\\n", "\n")))
            continue
        begin, top, header, mid, *rows, bottom, end = block.split("\n")
        assert (top, mid, bottom, end) == (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}")
        columns = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", begin).group(1)
        assert all(row.endswith(r" \\") for row in (header, *rows))
        cells = [[plain_latex(cell) for cell in re.split(r"(?<!\\)&", row.removesuffix(r" \\"))]
                 for row in (header, *rows)]
        assert {len(row) for row in cells} == {len(columns)}
        tables.append(cells)
    return paragraphs, tables


def plain_latex(text: str) -> str:
    named = {r"\textbackslash{}": "\\", r"$\sim$": "~", r"\textasciicircum{}": "^", r"\textless{}": "<",
             r"\textgreater{}": ">", r"\textbar{}": "|", r"\textsuperscript{2}": "²", "$-$": "-", r"\quad ": "",
             **{rf"\{c}": c for c in "{}&%$#_"}, "{}": ""}
    found = re.compile("|".join(map(re.escape, named)))
    rest = found.sub("", text)
    assert not set(rest) & set("\\{}$&#_%~^<>|"), rest
    return found.sub(lambda match: named[match.group()], text).strip()
