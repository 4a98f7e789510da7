"""Files of plug-ins that cannot be loaded, or hold nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from plugin_requests import FIRST, HEAD, obey, run_beside


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("1 / 0\n", "(bad.py, line 22): ZeroDivisionError: division by zero; correct it."),
        ("import no_such_thing\n", "(bad.py, line 22): ModuleNotFoundError: No module named"),
        ("class (:\n", "(bad.py, line 22): SyntaxError: invalid syntax; correct it."),
        ("raise SystemExit(0)\n", "(bad.py, line 22): it ends the process; put that under `if"),
        (
            '@METHODS.register\nclass Bad(Base):\n    """Bad."""\n',
            "(bad.py, line 22): register requires the name of the method: write @METHODS.register(",
        ),
        (
            '@METHODS.register("abmil")\nclass Bad(Base):\n    """Bad."""\n',
            "(bad.py, line 22): method 'abmil' from bad.py is already registered by mil-bench; "
            "rename one of them.",
        ),
        (
            '@METHODS.register("../abmil")\nclass Bad(Base):\n    """Bad."""\n',
            "(bad.py, line 22): method '../abmil' from bad.py is not a valid folder name",
        ),
    ],
    ids=["raises", "imports", "syntax", "exits", "nameless", "taken", "path"],
)
def test_a_plugin_that_cannot_be_loaded_is_refused_with_file_and_line(capfd, code, sentence):
    assert FIRST == 22
    status, _, told = run_beside(capfd, code)
    assert status == 2
    assert told.startswith("error: plug-in bad.py " + sentence)
    assert not Path("runs").exists()


def test_a_folder_given_as_a_plugin_is_told_from_a_missing_file(capfd):
    Path("folder").mkdir()
    status, _, told = obey(capfd, "list", "--plugin", "folder")
    assert (status, told) == (2, "error: plug-in folder is a folder; expected a Python file.")
    status, _, told = obey(capfd, "list", "--plugin", "gone.py")
    assert (status, told) == (2, "error: plug-in gone.py does not exist; expected a Python file.")


def test_a_file_that_registers_nothing_is_a_warning_and_the_rest_goes_on(capfd):
    Path("nothing.py").write_text(HEAD)
    for words in ("list methods", "show abmil"):
        status, _, told = obey(capfd, *words.split(), "--plugin", "nothing.py")
        assert status == 0
        sys.modules.pop(next(name for name in sys.modules if "plugin_nothing_" in name))
        assert told.startswith("warning: plug-in nothing.py registers nothing; put @METHODS.")
