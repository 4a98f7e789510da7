"""Plain English, as far as a machine can check it: length, banned and doubled words, spelling.

``python tests/prose.py mil_bench/bags docs`` lists what ``tests/test_writing.py`` refuses. The text
of the product is its docstrings, its strings of several words (help, messages, captions), those of
the page's JavaScript, and the Markdown pages. Code, formulas and links do not count as words, a
bracket is a sentence of its own, and so is what follows a colon or, in a table, a semicolon. Of
comments only the words are checked, because they may be notes instead of sentences.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORDS = 25

# What may not be written, and what to write instead. Patterns match whole words in any case.
BANNED = {
    r"anew": "again, or the verb with re-",
    r"by heart": "overfits",
    r"told(?! by)": "reported, stated, distinguished",
    r"(?:made|make|makes|making|gives?|given) (?:it |them )?again": "rerun",
    r"says? (?:too little|nothing)": "cannot be resolved, does not cover",
    r"do(?:es)? not say": "is missing",
    r"(?:go|goes|going|went|gone) on": "continue, resume",
    r"speaks? (?:of|for)": "describe",
    r"for good": "permanently",
    r"(?:stand|stands|stood|standing) (?:in|apart|alone|beside|below|above|on|together)": "be in",
    r"(?:lie|lies|lay) (?:in|beside|below|apart|there|directly)": "be in, be next to",
    r"of (?:its|their|her|his|my|your) own": "own, separate",
    r"nobody": "unknown, no one",
    r"(?<!there )(?:is|are) no (?!longer|more|less|such|other|need|fewer|default)\w+": "is not a",
    r"(?:is|are) needed": "be required",
    r"repair(?:ed|s)?": "fix",
    r"asks? for|asked for|asking for": "request, require",
    r"same command (?:goes|again)": "rerun the same command",
    r"(?:not shown|shown) to be|is not shown that": "significantly",
    r"all the same": "nevertheless",
    r"as (?:it is|they are)(?= *(?:[.;,:)]|$))": "unchanged",
    r"who makes": "where ... execute",
    r"beforehand|thereof|hereby|thereby|whereof|wherein": "plain words",
    r"(?:keep|keeps|break|breaks|kept|broken) (?:\w+ )?promises?": "meet a requirement",
    r"in common": "shared",
    r"costs nothing|pays": "state the difference",
}

# One spelling and one term per thing: what is refused, and the form that the project uses.
SPELLING = {
    r"(?:normal|initial|local|optim|general|standard|serial|summar|visual|organ|minim|maxim"
    r"|regular|categor|util|recogn|penal|memor|stabil|final)iz(?:e[dsr]?|ers|ing|ations?)": "-ise",
    r"colors?|colored": "colour",
    r"behaviors?": "behaviour",
    r"neighbors?|neighboring": "neighbour",
    r"analyz(?:e|ed|es|ing)": "analyse",
    r"(?:un)?labeled|labeling|modeled|modeling|canceled|canceling": "double l",
    r"gray": "grey",
    r"centers|centered": "centre",
    r"license[ds]?": "licence",
    r"data[ -]sets?": "dataset",
    r"check[ -]points?": "checkpoint",
    r"heat[ -]maps?": "heatmap",
    r"hyper-?parameters?": "setting",
    r"back ?bones?": "encoder",
    r"multi-instance": "multiple-instance",
    r"held out (?=bags|slides|patients|set)": "held-out",
    r"sub ?folders?|subdirector(?:y|ies)": "sub-folder",
    r"plugins?": "plug-in",
    r"95%": "95 %",
    r"pretrained": "pre-trained",
}
# A public function says what it does: these words begin a description of a thing.
_NO_VERB = re.compile(
    r"(?:The|An?|Whether|What|How|Which|Who|Where|Every|All|One|From|As|Of|By|For|Its|Their|Only"
    r"|Like|Why|That|When|If)\b|`|:func:"
)
# A clause in front of the subject.
_CLAUSE = re.compile(
    r"\W*(?:That (?:\S+ ){1,8}(?:is|are)\b|So it is\b|What (?:\S+ ){1,9}(?:is|are)\b"
    r"|Whatever\b|Whoever\b)",
    re.I,
)
_BANNED = [(re.compile(rf"(?<![\w-])(?:{p})(?![\w-])", re.I), fix) for p, fix in BANNED.items()]
_SPELLING = [
    (re.compile(rf"(?<![\w./-])(?:{p})(?![\w=(/-])", re.I), fix) for p, fix in SPELLING.items()
]
# The same word twice in a row, in any case; code has been replaced by CODE.
_DOUBLED = re.compile(r"(?<![\w.-])(?!CODE\b)([A-Za-z]{2,})\s+\1(?![\w-])", re.I)
_ABBREVIATED = re.compile(r"\b(e\.g|i\.e|et al|vs|cf|Fig|Eq|No|approx|etc|resp|al|acc)\.")
_CODE = re.compile(r"(`+)(?:(?!\1).)+\1|:\w+:`[^`]+`|\$\$?[^$]+\$\$?", re.S)
_NOT_PROSE = re.compile(
    r"</?\w+[^>]*>|\\(?:begin|end|hline|midrule|toprule|multi|text)|^\s*(?:from|import|def|class) "
    r"|SELECT |^\s*@|\{\{|\bfunction\b.*\{|;\s*\}",
    re.M,
)
# Strings of these files are source code or titles of papers, not text.
_SOURCE = ("scaffold.py",)


@dataclass(frozen=True)
class Passage:
    """A text of the product, where it is, and its kind.

    ``doc``, ``cell`` of a table, ``docstring``, ``function`` (the first paragraph of the docstring
    of a public function), ``string`` or ``comment``.
    """

    path: Path
    line: int
    kind: str
    text: str


@dataclass(frozen=True)
class Offence:
    """What is wrong with a passage."""

    passage: Passage
    rule: str
    detail: str

    def __str__(self) -> str:
        where = self.passage.path
        where = where.relative_to(ROOT) if where.is_relative_to(ROOT) else where
        return f"{where}:{self.passage.line}: {self.rule}: {self.detail}"


def offences(passage: Passage) -> Iterator[Offence]:
    """Yield every rule that a passage breaks."""
    plain = _CODE.sub(" CODE ", passage.text)
    said = [] if passage.kind == "comment" else sentences(plain, cell=passage.kind == "cell")
    for sentence in said:
        count = length(sentence)
        if count > WORDS:
            yield Offence(passage, f"{count} words", " ".join(sentence.split()))
        if (
            passage.kind != "cell"
            and count > 4
            and not sentence.rstrip().endswith("?")
            and _CLAUSE.match(sentence)
        ):
            yield Offence(passage, "clause first", " ".join(sentence.split()))
    if passage.kind == "function" and _NO_VERB.match(passage.text.lstrip()):
        yield Offence(passage, "no verb", passage.text.split("\n")[0])
    doubled = [(_DOUBLED, "the word once")]
    for rule, patterns in (("banned", _BANNED), ("spelling", _SPELLING), ("doubled", doubled)):
        for pattern, fix in patterns:
            for match in pattern.finditer(plain):
                start, end = max(0, match.start() - 40), match.end() + 40
                around = " ".join(plain[start:end].split())
                yield Offence(passage, rule, f"{match[0]!r} -> {fix}   ({around})")


def sentences(text: str, cell: bool = False) -> list[str]:
    """Split text into sentences; a bracket is one too, and in a ``cell`` a half-sentence."""
    text = _ABBREVIATED.sub(r"\1", text)
    brackets: list[str] = []
    while (match := re.search(r"\(([^()]*)\)", text)) is not None:
        brackets.append(match[1])
        text = text[: match.start()] + " " + text[match.end() :]
    ends = r"(?<=[.!?:;])" if cell else r"(?<=[.!?:])"
    parts = (re.split(ends + r"[\"')*_]*\s+", part) for part in (text, *brackets))
    return [sentence for part in parts for sentence in part if sentence.strip()]


def length(sentence: str) -> int:
    """Count the words: tokens with a letter in them."""
    return sum(any(c.isalpha() for c in token) for token in sentence.split())


def passages(path: Path) -> list[Passage]:
    """Read the passages of a Python, Markdown or JavaScript file."""
    read = {".md": _markdown, ".js": _javascript}.get(path.suffix, _python)
    return list(read(path, path.read_text()))


def _markdown(path: Path, text: str) -> Iterator[Passage]:
    """Paragraphs, list items and cells; code blocks are left out, links are their text."""
    text = re.sub(
        r"^(```|~~~).*?^\1[^\n]*$", lambda m: "\n" * m[0].count("\n"), text, flags=re.M | re.S
    )
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    block: list[str] = []
    start = 1
    for number, line in enumerate([*text.split("\n"), ""], 1):
        row = line.lstrip().startswith("|")
        if not line.strip() or row or re.match(r"\s*(?:[-*#]+|\d+\.) ", line):
            if block:
                yield Passage(path, start, "doc", "\n".join(block))
            block, start = [], number
        if row:
            for cell in re.split(r"(?<!\\)\|", line.strip().strip("|")):
                yield Passage(path, number, "cell", cell)
        elif line.strip():
            start = start if block else number
            block.append(re.sub(r"^\s*(?:[-*#]+|\d+\.) ", "", line))


def _javascript(path: Path, text: str) -> Iterator[Passage]:
    """Quoted strings of three words and more, line by line."""
    for number, line in enumerate(text.split("\n"), 1):
        for quoted in re.findall(r'"([^"\n]+)"|`([^`\n]+)`', line):
            value = re.sub(r"\$\{[^}]*\}", "X", "".join(quoted))
            if length(value) > 2 and not re.search(r"[{}=]|=>|\w\(", value):
                yield Passage(path, number, "string", value)


def _python(path: Path, text: str) -> Iterator[Passage]:
    yield from _comments(path, text)
    tree = ast.parse(text)
    docstrings = dict(_docstrings(tree))
    inside: set[ast.AST] = set(_titles(tree))
    for node in ast.walk(tree):
        if node in inside:
            continue
        value = _text_of(node)
        if value is None:
            continue
        inside.update(ast.walk(node))
        if node in docstrings:
            for offset, paragraph in _paragraphs(value):
                kind = docstrings[node] if offset == 0 else "docstring"
                yield Passage(path, node.lineno + offset, kind, paragraph)
        elif path.name not in _SOURCE and _is_prose(value):
            yield Passage(path, node.lineno, "string", value)


def _comments(path: Path, text: str) -> Iterator[Passage]:
    """Comments, of which neighbouring lines are one; those for tools are left out."""
    block: list[str] = []
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        words = token.string.removeprefix("#").strip()
        if token.type != tokenize.COMMENT or re.match(r"noqa|type:|fmt:|pragma", words):
            continue
        if block and token.start[0] != last + 1:
            yield Passage(path, last, "comment", " ".join(block))
            block = []
        block.append(words)
        last = token.start[0]
    if block:
        yield Passage(path, last, "comment", " ".join(block))


def _docstrings(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Docstrings with the kind of their first paragraph."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value, "function" if _does_something(node) else "docstring"


def _titles(tree: ast.Module) -> Iterator[ast.AST]:
    """Titles and venues of papers, which are quoted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "PaperCard":
            texts = [*node.args, *(k.value for k in node.keywords if k.arg in ("title", "venue"))]
            yield from (value for value in texts if isinstance(value, ast.Constant))


def _does_something(node: ast.AST) -> bool:
    """Return whether the node is a public function that is neither a property nor a fixture."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
        return False
    decorators = " ".join(map(ast.unparse, node.decorator_list))
    return not re.search(r"property|fixture|setter|overload|check\(", decorators)


def _text_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else "X" for v in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def _is_prose(text: str) -> bool:
    return length(text) >= 2 and not _NOT_PROSE.search(text)


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Paragraphs of a docstring; indented blocks after ``::`` and set-out tables are left out."""
    lines = text.expandtabs().split("\n")
    margin = min((len(s) - len(s.lstrip()) for s in lines[1:] if s.strip()), default=0)
    lines = [lines[0], *(s[margin:] for s in lines[1:])]
    block: list[str] = []
    start = 0
    for number, line in enumerate([*lines, ""]):
        item = re.match(r"\s*(?:[-*]|\d+\.) |\S+  +\S", line)
        if not line.strip() or item or line.startswith("    "):
            if block:
                yield start, " ".join(block)
            block = []
        if line.strip() and not line.startswith("    "):
            start = start if block else number
            block.append(re.sub(r"^\s*(?:[-*]|\d+\.) ", "", line.strip()))


def files(roots: list[Path]) -> list[Path]:
    """List the Python, Markdown and JavaScript files under ``roots``, every file once."""
    unique: dict[Path, None] = {}
    for root in roots:
        under = (path for kind in ("py", "md", "js") for path in sorted(root.rglob(f"*.{kind}")))
        paths = [root] if root.is_file() else under
        unique.update((path.resolve(), None) for path in paths)
    return list(unique)


def main() -> int:
    """Print the offences of files and folders; exit code 1 if there are any."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    options = parser.parse_args()
    listed = [o for f in files(options.paths) for p in passages(f) for o in offences(p)]
    for offence in listed:
        print(offence)
    print(f"{len(listed)} offences", file=sys.stderr)
    return 1 if listed else 0


if __name__ == "__main__":
    sys.exit(main())
