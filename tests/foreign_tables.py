"""Tables of predictions as tools write them, for the tests of their reader."""

from __future__ import annotations

import pandas as pd

from mil_bench.base.taxonomy import LEAF


def frame(p, form="{}", **extra):
    """A plain table: slide_id, label, a column per class in the given form."""
    columns = {form.format(c): p.heads[LEAF][:, k] for k, c in enumerate(p.taxonomy.leaves)}
    labels = [p.taxonomy.leaves[y] for y in p.labels]
    return pd.DataFrame({"slide_id": p.slide_ids, "label": labels, **extra, **columns})


def clam(p):
    """CLAM's evaluation: numbers of classes, an index column."""
    numbers = frame(p).assign(Y=p.labels.astype(float), Y_hat=p.heads[LEAF].argmax(1).astype(float))
    named = {name: f"p_{k}" for k, name in enumerate(p.taxonomy.leaves)}
    return numbers.drop(columns="label").rename(columns=named)


def stamp(p, target="subtype"):
    """STAMP's patient-preds.csv: columns are called after the target and the class."""
    leaves = p.taxonomy.leaves
    table = frame(p, f"{target}_{{}}").rename(columns={"slide_id": "PATIENT", "label": target})
    return table.assign(pred=[leaves[k] for k in p.heads[LEAF].argmax(1)], loss=0.5)


def written(path, table, **how):
    """The table as a file; its path."""
    if path.suffix == ".xlsx":
        table.to_excel(path, index=False)
    else:
        table.to_csv(path, index=False, **how)
    return path
