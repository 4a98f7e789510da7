"""The model card of an export: the model, its training data and its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mil_bench.bags.formats.scale import PatchScale
from mil_bench.base.errors import DataError, UsageError, counted
from mil_bench.evaluation.inference.bootstrap import Bootstrap
from mil_bench.evaluation.metrics import METRICS as NAMES
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.scores import Scores
from mil_bench.extraction.encoders import ENCODERS
from mil_bench.extraction.encoders.cards import EncoderCard
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory
from mil_bench.training.exported_model import ExportedModel

SHOWN = (PRIMARY, "macro_auc", "macro_f1")


@dataclass(frozen=True)
class CardText:
    """Words that the run does not know: the ``licence``, and its ``place`` on a board."""

    licence: str = ""
    place: str = ""


def model_card(
    facts: ExportedModel, directory: RunDirectory, test: Predictions | None, text: CardText
) -> str:
    """Return the card as Markdown; ``test`` are the predictions of the test slides of the run."""
    place = f"\n{text.place}\n" if text.place else ""
    return f"""# {facts.method} on {facts.dataset}: {_classes(facts)}

A trained multiple-instance classifier of whole slide images. It reads the features of the patches
of one slide and gives a probability for every class. It is for research only and is not a medical
device.

{_table(_facts(facts, directory))}

## Scores

{_scores(facts, test)}
{place}
## Use

```python
from mil_bench import load_model

model = load_model("path/to/this/folder")
probabilities = model.predict(features)  # (patches, {facts.dim}) -> one array per level
```

The features must come from the same encoder at the same scale of patches. The weights are in
`model.safetensors`, everything else is in `model.json`. Both are plain data: loading them runs no
code of theirs.

## Licence

{_licence(facts, text)}
"""


def _classes(facts: ExportedModel) -> str:
    return counted(len(facts.taxonomy.leaves), "class", "classes")


def _facts(facts: ExportedModel, directory: RunDirectory) -> list[tuple[str, str]]:
    paper = METHODS.get(facts.method).paper
    result = directory.read_result()
    kind = "" if facts.kind == "real" else f" ({facts.kind} data, not for real slides)"
    levels = [f"{level}: {', '.join(names)}" for level, names in facts.classes.items()]
    scale = PatchScale(**facts.patches)
    return [
        ("method", f"{facts.method}, version {facts.method_version}"),
        ("paper", f"{paper.title} ({paper.venue} {paper.year}), {paper.link}"),
        ("trained on", f"{facts.dataset}{kind}"),
        ("slides", f"{result.get('n_train', '?')} for training, {result.get('n_val', '?')} to "
                   "choose the epoch"),
        ("split", f"{facts.split}, fold {facts.fold}, seed {facts.seed}"),
        ("features", f"{facts.encoder}, {facts.dim} numbers per patch"),
        ("patches", str(scale) if scale else "scale not recorded by the features"),
        ("classes", "; ".join(levels)),
        ("run", facts.run),
        ("made with", f"mil-bench {facts.mil_bench}, format {facts.format}"),
    ]  # fmt: skip


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = [f"| {name} | {_cell(value)} |" for name, value in rows]
    return "\n".join(["| | |", "|---|---|", *cells])


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")


def _scores(facts: ExportedModel, test: Predictions | None) -> str:
    if test is None or not len(test):
        return "The run has no test slides, so nothing is known about new slides."
    try:
        replicates = Bootstrap.of({"model": {(facts.seed, facts.fold): test}}).scores["model"]
        intervals = {score: (draws.low, draws.high) for score, draws in replicates.items()}
    except DataError:  # a single patient cannot be resampled
        intervals = {}
    values = Scores.of(test).values
    upper = [Score(m, level, "summed") for level in facts.taxonomy.levels[:-1] for m in SHOWN]
    shown = [score for score in (*map(Score, SHOWN), *upper) if score in values]
    rows = [
        f"| {NAMES[score.metric].title} | {score.level} | {100 * values[score]:.1f} | "
        f"{_interval(intervals.get(score))} |"
        for score in shown
    ]
    whose = "patients" if test.patients_known else "slides (patients are unknown)"
    return "\n".join(
        [
            f"Of the test slides of its run, which the model has not seen: {len(test)} slides of "
            f"{len(set(test.groups.tolist()))} patients or groups.",
            "",
            "| score x 100 | level | value | 95 % CI |",
            "|---|---|---:|---|",
            *rows,
            "",
            f"Intervals: bootstrap over {whose}. They describe this model on new patients from "
            "the same source. They do not cover other hospitals or retraining.",
        ]
    )


def _interval(ends: tuple[float, float] | None) -> str:
    if ends is None or ends[0] != ends[0]:  # an undefined interval is nan
        return "–"
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def _licence(facts: ExportedModel, text: CardText) -> str:
    stated = text.licence or "Not stated by who exported the model."
    card = _encoder(facts.encoder)
    source = (
        f"Weights of the encoder {card.title}: {card.licence}. "
        if card is not None
        else f"The features come from the encoder {facts.encoder}. "
    )
    return (
        f"{stated}\n\n{source}Terms of the encoder and of {facts.dataset} may also cover models "
        "trained on them."
    )


def _encoder(name: str) -> EncoderCard | None:
    try:
        return ENCODERS.get(name)
    except UsageError:
        return None
