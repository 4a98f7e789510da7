"""Turn the classic MIL sets kept as MATLAB files into a table and a dataset file.

    python examples/convert_mat.py ../shared/data/classic_mil --out classic
    mil-bench run --method abmil --dataset classic/elephant.toml

Every sub-folder with ``X*.mat`` (instances x features), ``Bag2*.mat`` (1-based bag of every
instance) and ``[Bb]agI*.mat`` (0/1 label of every bag) gives ``<set>.csv.gz`` and ``<set>.toml``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.io import loadmat

TOML = """\
name = "{name}"
features = "{name}.csv.gz"
encoder = "original"
standardize = true

[columns]
slide_id = "bag"

[trainer]
lr = 5e-4
weight_decay = 5e-3
epochs = 100
"""


def read_only_array(folder: Path, pattern: str) -> NDArray[np.number]:
    """The one array of the one ``.mat`` file in ``folder`` that fits ``pattern``."""
    (path,) = folder.glob(pattern)
    (array,) = (value for key, value in loadmat(path).items() if not key.startswith("__"))
    return np.asarray(array)


def convert(folder: Path, out: Path) -> Path:
    """Write the table and the TOML file of one set; return the latter."""
    name = folder.name.split("_")[0]
    instances = read_only_array(folder, "X*.mat")
    bag = read_only_array(folder, "Bag2*.mat").ravel().astype(int)
    label = read_only_array(folder, "[Bb]agI*.mat").ravel().astype(int)
    table = pd.DataFrame(instances, columns=[f"f{i}" for i in range(instances.shape[1])])
    table.insert(0, "label", label[bag - 1])
    table.insert(0, "bag", bag)
    table.to_csv(out / f"{name}.csv.gz", index=False)
    path = out / f"{name}.toml"
    path.write_text(TOML.format(name=name))
    return path


def main() -> None:
    """Convert every set found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with a sub-folder per set")
    parser.add_argument("--out", type=Path, required=True, help="where to write")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for folder in sorted(p.parent for p in arguments.folder.glob("*/X*.mat")):
        print(convert(folder, arguments.out))


if __name__ == "__main__":
    main()
