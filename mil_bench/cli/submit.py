"""``mil-bench submit`` and ``mil-bench protocol``: results that leave this house, and come in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mil_bench.base.errors import UsageError, counted
from mil_bench.cli.options import add
from mil_bench.cli.parser import Command, Parser, dispatch, names
from mil_bench.cli.requests import dataset_options

COMMANDS = {
    "pack": Command(
        "Pack the runs of a method into a bundle: no checkpoints, features or images.",
        f"{__name__}:pack",
    ),
    "check": Command(
        "Check bundles: members, hashes, data, cells, slides, labels, scores, anchors.",
        f"{__name__}:check",
    ),
    "verify": Command(
        "Train one run of a bundle again and judge the difference.", f"{__name__}:verify"
    ),
    "report": Command(
        "Write what a private cohort may say: scores, counts, replicates; no ids, no predictions.",
        "mil_bench.cli.site_report:report",
    ),
}


def submit(parser: Parser, words: Sequence[str]) -> int:
    """Run one of :data:`COMMANDS`."""
    parser.usage = f"{parser.prog} COMMAND ..."
    return dispatch(parser, COMMANDS, words)


def protocol(parser: Parser, words: Sequence[str]) -> int:
    """Freeze the data, split, folds and seeds of existing runs."""
    add(parser, "protocol", "--runs", "--dataset", "--tree", "--plugin")
    add(parser, "--out", default=Path("protocols"))
    args = parser.parse(words)
    from mil_bench.base.registry import load_plugins

    load_plugins(args.plugin)
    from mil_bench.exchange.bundles.freeze import freeze
    from mil_bench.exchange.bundles.protocol import read_protocol

    day = datetime.now(UTC).date().isoformat()
    path = freeze(args.protocol, day, args.runs, args.dataset, args.tree, args.out)
    frozen = read_protocol(path)
    print(
        f"{path} is written: {frozen.dataset}, {counted(len(frozen.folds), 'fold')}, "
        f"{counted(len(frozen.seeds), 'seed')}, anchors {' and '.join(frozen.anchors)}. It never "
        "changes; a change is a new file."
    )
    return 0


def pack(parser: Parser, words: Sequence[str]) -> int:
    """Pack rows of a protocol, each with the anchors, into one bundle per row."""
    add(parser, "--protocol", required=True)
    add(parser, "--method", "--runs", "--encoder", "--about", "--id-key", "--without-labels")
    add(parser, "--without-anchors", "--plugin", "--out")
    args = parser.parse(words)
    if args.id_key and args.without_labels:
        raise UsageError(
            "--id-key and --without-labels exclude each other: labels without ids cannot be "
            "filled in. Choose one."
        )
    from mil_bench.base.registry import load_plugins

    load_plugins(args.plugin)
    from mil_bench.exchange.bundles.pack import (
        anchors_of,
        check_cells,
        chosen_rows,
        rows_of,
        submission_of,
    )
    from mil_bench.exchange.bundles.pack import pack as write
    from mil_bench.exchange.bundles.private import Disguise, read_key
    from mil_bench.exchange.bundles.protocol import protocol_digest, read_protocol
    from mil_bench.exchange.bundles.submission import read_authorship

    frozen = read_protocol(args.protocol)
    every = rows_of(args.runs, frozen, args.encoder)
    rows = chosen_rows(every, names("--method", args.method)) if args.method else every
    for row in rows:
        check_cells(row, frozen)
    anchors = [] if args.without_anchors else anchors_of(every, frozen)
    about = read_authorship(args.about)
    disguise = Disguise(read_key(args.id_key) if args.id_key else b"", not args.without_labels)
    single = len(rows) == 1 and args.out is not None and args.out.suffix == ".zip"
    if args.out is not None and args.out.suffix == ".zip" and not single:
        raise UsageError(f"{len(rows)} rows make as many bundles; --out must be a folder.")
    for row in rows:
        members = [row, *(anchor for anchor in anchors if anchor != row)]
        stated = submission_of(
            about, row, members, frozen.name, protocol_digest(args.protocol), disguise
        )
        name = f"{frozen.name}--{row.file_name}.zip"
        path = write(args.out if single else (args.out or Path()) / name, members, stated, disguise)
        runs = sum(len(member.folders) for member in members)
        print(f"{path}: {row.name}, {counted(runs, 'run')}, {path.stat().st_size / 1e6:.2f} MB")
    return 0


def check(parser: Parser, words: Sequence[str]) -> int:
    """Check bundles, or the bundles of folders; exit code 1 when one has a problem."""
    add(parser, "bundles", "--protocol", "--dataset", "--data-root", "--plugin", "--verbose")
    args = parser.parse(words)
    from mil_bench.base.registry import load_plugins

    load_plugins(args.plugin)
    from rich.console import Console

    from mil_bench.base.finding import problems, render, render_verdict
    from mil_bench.checks.bundle.check import check_bundle
    from mil_bench.exchange.bundles.sources import bundles_in

    console, count = Console(), 0
    paths = [file for path in args.bundles for file in (bundles_in(path) or [path])]
    for path in paths:
        report = check_bundle(path, args.protocol, args.dataset, args.data_root)
        wrong = problems(report.findings)
        count += wrong
        state = f"[red]{counted(wrong, 'problem')}[/]" if wrong else "[green]sound[/]"
        console.print(f"{path.name}: {state}. {report.summary}", highlight=False, soft_wrap=True)
        shown = report.findings
        if not (args.verbose or len(paths) == 1):
            shown = tuple(finding for finding in shown if finding.state == "problem")
        render(shown, console)
    render_verdict(count, console, f"{counted(len(paths), 'bundle is', 'bundles are')} sound")
    return 1 if count else 0


def verify(parser: Parser, words: Sequence[str]) -> int:
    """Train a run of a bundle again; exit code 1 when the difference is not usual."""
    add(parser, "bundle", "--cell", "--verifier", "--dataset", "--device", "--plugin")
    data = parser.add_argument_group("data")
    add(data, "--split", "--data-root", "--features", "--encoder", "--tree", "--allow-missing")
    add(data, "--cache-dir")
    args = parser.parse(words)
    from mil_bench.base.registry import load_plugins

    load_plugins(args.plugin)
    from rich.console import Console

    from mil_bench.exchange.bundles.verification import Verification, add_verification
    from mil_bench.exchange.bundles.verify import parse_cell
    from mil_bench.exchange.bundles.verify import verify as repeat
    from mil_bench.runs.task import DataRequest

    cell = parse_cell(args.cell)
    options = dataset_options(args)
    data_of_run = DataRequest(
        args.dataset or "", options, args.split, allow_leaks=True, plugins=tuple(args.plugin)
    )
    # The training is progress; what it means is the answer.
    seen = repeat(args.bundle, data_of_run, args.device, cell, Console(stderr=True))
    console = Console()
    style = "green" if seen.judgement.repeated else "red"
    run = f"{seen.spec.method}, fold {seen.spec.fold}, seed {seen.spec.seed}"
    console.print(
        f"[{style}]{run}: balanced accuracy {100 * seen.repeated:.1f}, reported "
        f"{100 * seen.reported:.1f}.[/] {seen.judgement.sentence}",
        highlight=False,
        soft_wrap=True,
    )
    if args.verifier and seen.judgement.repeated:
        record = Verification(
            bundle=args.bundle.name,
            sha256=seen.source.sha256,
            level="repeated",
            by=args.verifier,
            date=datetime.now(UTC).date().isoformat(),
            run=seen.spec.key,
            reported=round(seen.reported, 6),
            repeated=round(seen.repeated, 6),
            processor=str(seen.environment.get("device", "")),
        )
        print(f"recorded in {add_verification(args.bundle.parent, record)}")
    return 0 if seen.judgement.repeated else 1
