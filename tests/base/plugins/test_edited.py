"""A plug-in edited between runs."""

from __future__ import annotations

import sys
from pathlib import Path

from plugin_requests import HEAD, obey
from run_requests import PLUGIN

from mil_bench.methods import METHODS


def test_runs_made_before_an_edit_are_told_and_a_new_version_makes_them_again(capfd):
    words = "run -m bad -d toy --fold 0 --set epochs=1 --device cpu"
    for name, version, sentence in (
        ("first", "1", "1 done, 0 done before"),
        ("first", "1", "0 done, 1 done before"),
        ("edited", "1", "note bad (edited.py, line 22) was edited after 1 run of it ended; if"),
        ("newer", "2", "1 done, 0 done before"),
    ):
        code = f'@METHODS.register("bad")\nclass Bad(Base):\n    version = "{version}"  # {name}\n'
        Path(f"{name}.py").write_text(HEAD + code)
        for module in [m for m in sys.modules if m.startswith("mil_bench_plugin_")]:
            if not module.startswith("mil_bench_plugin_toy_grid"):
                del sys.modules[module]
        METHODS._entries.pop("bad", None)
        status, out, told = obey(
            capfd, *words.split(), "--plugin", f"{name}.py", "--plugin", PLUGIN
        )
        assert status == 0, told
        assert sentence in out
        assert ("was edited" in out) == (name == "edited")
