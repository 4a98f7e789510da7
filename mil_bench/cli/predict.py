"""``mil-bench predict``: trained models on new slides, or on the labelled slides of a dataset."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from mil_bench.base.errors import UsageError, counted
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser, names, numbers
from mil_bench.cli.requests import check_dataset, dataset_name, dataset_options

if TYPE_CHECKING:
    from rich.console import Console

    from mil_bench.exchange.models.predict import ModelChoice, PredictedSlides

NOTES = 5


def predict(parser: Parser, words: Sequence[str]) -> int:
    """Predict slides, print what was decided and how sure the models are, write the file."""
    args = _parse(parser, words)
    from rich.console import Console

    from mil_bench.base.registry import load_plugins

    load_plugins(args.plugin)
    console = Console()
    _check_out(args)
    if args.features is not None:
        return _new_slides(args, console)
    return _dataset(args, console)


def _parse(parser: Parser, words: Sequence[str]) -> Namespace:
    parser.usage = (
        f"{parser.prog} (--run KEY | --method NAME) --features DIR [options]\n"
        f"       {parser.prog} (--run KEY | --method NAMES) --dataset FILE.toml [options]"
    )
    group = parser.add_argument_group("models")
    add(group, "--run", "--method", "--trained-on")
    add(group, "--fold")
    add(group, "--seed", default="all")
    add(group, "--split", "--encoder", "--runs", "--plugin")
    group = parser.add_argument_group("slides without labels")
    add(group, "--features", "--slides")
    group = parser.add_argument_group("labelled slides")
    add(group, "--dataset", "--data-root", "--allow-missing")
    add(parser, "--out", "--heatmap", "--device", "--cache-dir", "--verbose")
    args = parser.parse(words)
    if not args.run and args.method is None:
        raise UsageError("choose the models by --run KEY or by --method NAME.")
    if args.features is None and args.dataset is None:
        raise UsageError(
            "nothing to predict: pass --features DIR, or a labelled dataset with --dataset."
        )
    if args.features is not None and args.dataset is not None:
        if args.trained_on is not None:
            raise UsageError(
                "--features, --dataset and --trained-on are one too many; pass --features for "
                "slides without labels, or --dataset for labelled ones."
            )
        args.trained_on = dataset_name(args.dataset)
    if args.features is None and (args.slides or args.heatmap):
        raise UsageError("--slides and --heatmap are for slides of --features.")
    if args.slides is not None and args.slides.is_dir() and not args.heatmap:
        raise UsageError(
            f"--slides {args.slides} is a folder, which only --heatmap draws on; pass a list of "
            "slide ids to predict some slides."
        )
    return args


def _new_slides(args: Namespace, console: Console) -> int:
    """Predict slides without labels, and draw them if requested."""
    from mil_bench.exchange.models.new_slides import open_new_slides, read_slide_list
    from mil_bench.exchange.models.predict import predict_new, title_of
    from mil_bench.exchange.models.prediction_screen import predictions_screen
    from mil_bench.runs.machine import devices

    directories = _choice(args, args.method).find(args.runs)
    listed = args.slides is not None and not args.slides.is_dir()
    chosen = read_slide_list(args.slides) if listed else None
    [device] = devices(args.device, 1)
    new = open_new_slides(
        args.features, directories, chosen, encoder=args.encoder, cache=args.cache_dir
    )
    predicted = predict_new(directories, new, device, quiet=False)
    _heading(title_of(directories), console)
    for part in predictions_screen(predicted.predictions):
        console.print(part)
    _write(args, predicted, console)
    _notes(predicted.notes, args.verbose, console)
    if not args.heatmap:
        return 0
    from mil_bench.cli.heatmap import draw_new_slides

    folder = None if listed else args.slides
    return draw_new_slides(directories, new, predicted.predictions.slide_ids, folder, device)


def _dataset(args: Namespace, console: Console) -> int:
    """Test models on the labelled slides of another dataset, one method after the other."""
    from mil_bench.datasets.load import load_dataset
    from mil_bench.exchange.models.external_validation import validate_on
    from mil_bench.exchange.models.predict import of_validation, title_of
    from mil_bench.exchange.models.prediction_screen import validation_screen
    from mil_bench.runs.machine import devices

    methods = names("--method", args.method) if args.method else [None]
    if args.out is not None and len(methods) > 1:
        raise UsageError("--out holds predictions of one method; pass one --method, or no --out.")
    # All models are found before the first is tested.
    chosen = [_choice(args, method).find(args.runs) for method in methods]
    check_dataset(args.dataset)  # before the data are read
    [device] = devices(args.device, 1)
    dataset = load_dataset(args.dataset, dataset_options(args))
    for directories in chosen:
        validation = validate_on(directories, dataset, args.runs, device, quiet=False)
        _heading(f"{title_of(directories)}, tested on {dataset.name}", console)
        for part in validation_screen(validation):
            console.print(part)
        _write(args, of_validation(validation), console)
        new = len(validation.runs) - validation.stored_before
        before = f", {validation.stored_before} before" if validation.stored_before else ""
        console.print(
            f"{counted(new, 'run')} stored under {args.runs}{before}; `mil-bench leaderboard` "
            "shows the board",
            highlight=False,
            soft_wrap=True,
        )
        _notes(validation.notes, args.verbose, console)
    return 0


def _choice(args: Namespace, method: str | None) -> ModelChoice:
    from mil_bench.exchange.models.predict import ModelChoice

    folds: Literal["all"] | list[int] = "all"
    seeds: Literal["all"] | list[int] = "all"
    if args.fold != "all":
        folds = numbers("--fold", args.fold)
    if args.seed != "all":
        seeds = numbers("--seed", args.seed)
    keys = tuple(args.run)
    return ModelChoice(keys, method, args.trained_on, folds, seeds, args.split, args.encoder)


def _check_out(args: Namespace) -> None:
    """Refuse a place that cannot be written before anything is computed."""
    if args.out is None:
        return
    if args.out.is_dir():
        raise UsageError(f"--out {args.out} is a folder; pass a file such as preds.csv.")
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--out {args.out} cannot be written ({error.strerror}); choose another place."
        ) from None


def _heading(title: str, console: Console) -> None:
    from rich.text import Text

    console.print(Text(title, style="bold"))


def _write(args: Namespace, predicted: PredictedSlides, console: Console) -> None:
    from rich.markup import escape

    if args.out is None:
        return
    predicted.save(args.out)
    slides = counted(len(predicted.predictions), "slide")
    line = f"{slides} with all probabilities in {escape(str(args.out))}"
    console.print(line, highlight=False, soft_wrap=True)


def _notes(notes: Sequence[str], verbose: bool, console: Console) -> None:
    from mil_bench.base.console import print_note

    for note in notes if verbose else notes[:NOTES]:
        print_note(note, console)
