"""Every column of a board that is not a score, in one table; scores are in
``evaluation/metrics.py``.

A name means the same wherever it occurs, unless the table of its file says otherwise in ``_OWN``.
"""

from __future__ import annotations

from mil_bench.boards.tables.table import Column, Interval, score_column
from mil_bench.evaluation.inference.retraining import ROPE
from mil_bench.evaluation.metrics import COUNTS, METRICS, Score

_POINT = f"{100 * ROPE:g} point"
_TABLE = (
    Column("method", "Method"),
    Column("variant", "Variant", note="what sets the row apart from others of its method"),
    Column("level", "Level"),
    Column("source", "Decision", note="a level's own head (direct) or the leaves (summed)"),
    Column("class", "Class"),
    Column("score", "Score", "score"),
    Column("tier", "Tier", "rank", note="rows of a tier are not significantly different from its "
                                        "first"),
    Column("rank", "Rank", "rank", -1, interval="patients"),
    Column("first", "P(first)", "probability", 1, note="share of bootstrap draws in which no row "
                                                       "is better"),
    Column("behind", "Behind", "fraction", -1, interval="patients", note="the first row minus it"),
    Column("p", "p", "probability", note="of being behind, Holm over all rows behind the first"),
    Column(
        "detectable", "MDD", "fraction",
        note="smallest difference to the first row that is detected with 80 % power",
    ),
    Column("status", "Status"),
    Column("coverage", "Runs", note="finished of requested runs"),
    Column("evidence", "Evidence", note="trained here, external (predictions made elsewhere), or "
                                        "transferred (trained on other data)"),
    Column("verification", "Verification", note="scored here from predictions, repeated (a run "
                                                "trained again by others), or sealed (labels "
                                                "unknown to the authors)"),
    Column("folds", "Folds"),
    Column("seeds", "Seeds"),
    Column("test_slides", "Test slides", "count"),
    Column("test_patients", "Test patients", "count"),
    Column("searches", "Searches", "count"),
    Column("trials", "Trials", "count", note="of all searches of the row"),
    Column("failed_trials", "Failed trials", "count"),
    Column("tuning_hours", "Tuning", "hours", -1),
    Column("tuned_for", "Tuned for"),
    Column("parameters", "Parameters", "count", -1),
    Column("flops", "FLOPs", "FLOPs", -1, note="forward pass of one bag of 1,000 patches"),
    Column("train_seconds", "Training", "seconds", -1, note="of one run"),
    Column("test_seconds", "Test", "seconds", -1, note="of one test set"),
    Column("slide_seconds", "Per slide", "seconds", -1, note="inference of one test slide"),
    Column("gpu_memory_mb", "GPU memory", "MiB", -1, note="largest over training"),
    Column("epochs", "Epochs", "count"),
    Column("pareto", "Pareto", note="costs for which no better row is cheaper"),
    Column("device", "Device"),
    Column("precision", "Precision"),
    Column("settings", "Settings", note="digest of all settings of the row"),
    Column("method_version", "Method version"),
    Column("mil_bench", "mil-bench"),
    Column("tree", "Tree"),
    Column("split", "Split"),
    Column("split_digest", "Split digest"),
    Column("leaky", "Leaky"),
    Column("run_keys", "Run keys"),
    Column("other_run_keys", "Run keys of the other"),
    Column("other", "Other"),
    Column("control", "Control", note="the control of the head"),
    Column(
        "difference", "Difference", "row", interval="patients",
        note="method minus other; interval over patients, for these trained models",
    ),
    Column("p_holm", "p Holm", "probability", note="p, corrected for all pairs of the score"),
    Column("superiority", "P(better)", "probability", note="share of draws of patients"),
    Column(
        "refits", "Retrained", "row",
        note="difference over folds; interval of Nadeau and Bengio",
    ),
    Column("p_refits", "p retrained", "probability", note="Nadeau and Bengio over folds"),
    Column("p_both", "p both", "probability", note="Holm over the larger of the two p"),
    Column("won", "Runs won", "fraction", note="share of runs of equal seed and fold, ties half"),
    Column("rope_worse", "P(worse)", "probability", note=f"by more than {_POINT}, after "
                                                         "retraining"),
    Column("rope_equal", "P(equal)", "probability", note=f"within {_POINT}, after retraining"),
    Column("rope_better", "P(better), retrained", "probability", note=f"by more than {_POINT}"),
    Column("decision", "The method is", note="better or worse needs both tests"),
    Column("confidence", "Confidence", "fraction", note="mean of the decided class"),
    Column(
        "overconfidence", "Overconfidence", "fraction", interval="patients",
        note="mean confidence minus accuracy; 0 is right on average, above 0 too sure",
    ),
    Column("bin", "Bin", "count", note="from the least confident"),
    Column("confidence_from", "From", "fraction"),
    Column("confidence_to", "To", "fraction"),
    Column("rule", "Rule", note="how the threshold was chosen on validation slides"),
    Column("threshold", "Threshold", "probability", note="mean over runs"),
    Column("slides", "Slides", "count"),
    Column("patients", "Patients", "count"),
    Column("slide", "Slide"),
    Column("patient", "Patient"),
    Column("fold", "Fold", "count"),
    Column("label", "Label"),
    Column("right", "Right"),
    Column("first_p", "First p", "probability", note="that the first gives to the label"),
    Column("second_p", "Second p", "probability", note="that the second gives to the label"),
    Column("scores", "Scores", note="where the scores of patches come from"),
    Column("prevalence", "Prevalence", "fraction", note="share of labelled patches; AP of chance"),
    Column("patch_auc", "Patch AUC", "fraction", 1, note="within a slide; chance is 0.5"),
    Column("patch_ap", "Patch AP", "fraction", 1, note="within a slide; chance is the prevalence"),
    Column("encoder", "Encoder"),
    Column("metric", "Score", note="level and score as the source names it"),
    Column("value", "Reported", "fraction"),
    Column("split_caveat", "Caveat"),
    Column("checked", "Checked", note="whether compared with the table of the paper itself"),
    Column("group", "Group", note="why the variant is run"),
    Column("change", "Change", note="to the full method", wide=True),
    Column("overrides", "Settings changed"),
    Column("features", "Features", note="encoder and digest of the features"),
    Column("anchor", "abmil", "row", note="the score of abmil on the same features"),
    Column("remark", "Remark"),
    Column("default", "Default", "check", note="the row with the method's own settings"),
)  # fmt: skip
COLUMNS = {column.name: column for column in _TABLE}

_PAIR = (
    Column("p", "p", "probability", note="paired bootstrap over patients"),
    Column("detectable", "MDD", "row", note="smallest difference detected with 80 % power"),
    Column("folds", "Folds", "count", note="in which both define the score"),
)
_BY_FORMULA = (
    Column(
        "p_formula", "p, formula", "probability",
        note="without draws, for one test set: Obuchowski's of an AUC, McNemar's of an accuracy",
    ),
)  # fmt: skip
_SIDES = (
    Column("first", "First", "row", interval="patients"),
    Column("second", "Second", "row", interval="patients"),
)
_OWN: dict[str, dict[str, Column]] = {
    table: {column.name: column for column in own}
    for table, own in {
        "pairs": _PAIR,
        "controls": (*_PAIR, Column("other", "Of")),
        "classes": (*_PAIR, *_SIDES, *_BY_FORMULA),
        "scores": _BY_FORMULA,
        "slides": (Column("first", "First says"), Column("second", "Second says")),
        "transfer": (
            Column(
                "own",
                "Own test",
                "row",
                interval="patients",
                note="mean of the models on the test slides of their training data",
            ),
            Column("here", "Here", "row", interval="patients", note="mean of the same models"),
            Column(
                "drop",
                "Drop",
                "row",
                interval="patients",
                note="own test minus here; patients of both datasets are resampled independently",
            ),
            Column("p", "p", "probability", note="of no drop, two-sided"),
            Column("p_holm", "p Holm", "probability", note="p, corrected for all rows of a score"),
            Column("models", "Models", "count", note="with a result on both datasets"),
        ),
        "reliability": (Column("slides", "Slides", "count", note="once per seed"),),
        "localisation": (
            Column(
                "slides",
                "Slides",
                "count",
                note="per run, of the class with labelled and other patches",
            ),
        ),
        "laboratories": (
            *_PAIR,
            Column(
                "difference",
                "To abmil",
                "row",
                interval="patients",
                note="method minus abmil on the same features; interval over patients",
            ),
            Column("p_holm", "p Holm", "probability", note="corrected for all rows of the table"),
        ),
        "published": (Column("source", "Source"),),
        "ablation": (
            *_PAIR,
            Column("variant", "Variant"),
            Column("value", "Value", "row", interval="patients"),
            Column("decision", "The row is", note="better or worse requires both tests"),
            # Screens have no room for it; they mark a row that lacks runs and give the reason.
            Column("coverage", "Runs", note="finished of requested runs", wide=True),
        ),
    }.items()
}


def columns(*names: str, table: str = "") -> tuple[Column, ...]:
    """Return columns by name, as ``table`` understands them; ``KeyError`` for one that is not
    there.
    """
    own = _OWN.get(table, {})
    return tuple(own[name] if name in own else COLUMNS[name] for name in names)


def class_column(metric: str) -> Column:
    """Return the column of a metric of one class against the rest."""
    if metric in COUNTS:
        return score_column(Score(metric), "", level="")
    # a share of the few slides of a class is often 0 or 1
    interval: Interval = "patients or Wilson" if METRICS[metric].share_of else "patients"
    return score_column(Score(metric), interval, level="")
