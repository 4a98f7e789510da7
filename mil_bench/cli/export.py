"""``mil-bench export``: the model of a run as files that leave the house."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from mil_bench.base.errors import UsageError
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser, names

FORMS = ("torchscript", "onnx")


def export(parser: Parser, words: Sequence[str]) -> int:
    """Export one run; exit code 1 when a requested form is impossible for its method."""
    add(parser, "--run", required=True)
    add(parser, "--out", default=Path("model"))
    add(parser, "--format", "--licence", "--runs", "--overwrite", "--plugin")
    args = parser.parse(words)
    forms = names("--format", args.format) if args.format else []
    unknown = [form for form in forms if form not in FORMS]
    if unknown:
        raise UsageError(f"--format {unknown[0]!r} is unknown; expected {' or '.join(FORMS)}.")
    if len(args.run) > 1:
        raise UsageError("export writes one run at a time; pass one --run.")
    from rich.console import Console
    from rich.markup import escape

    from mil_bench.base.console import print_note
    from mil_bench.base.registry import load_plugins
    from mil_bench.boards.model_place import place_on_board
    from mil_bench.exchange.models.export import export_run
    from mil_bench.exchange.models.model_card import CardText
    from mil_bench.exchange.models.portable import Portable
    from mil_bench.runs.find_run import find_run

    load_plugins(args.plugin)
    console = Console()
    directory = find_run(args.runs, args.run[0])
    card = CardText(args.licence or "", place_on_board(args.runs, directory.read_spec()))
    written = export_run(
        directory,
        args.out,
        forms=cast(Sequence[Portable], forms),
        card=card,
        overwrite=args.overwrite,
    )
    console.print(
        f"{escape(directory.read_spec().title)}, run {directory.path.name}: "
        f"{', '.join(written.files)} in {escape(str(written.folder))}",
        highlight=False,
        soft_wrap=True,
    )
    load = f'load it in Python: mil_bench.load_model("{written.folder}")'
    console.print(escape(load), highlight=False, soft_wrap=True)
    for sentence in written.refused:
        print_note(sentence, console)
    return 1 if written.refused else 0
