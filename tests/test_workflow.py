"""The workflow that checks pull requests reads untrusted input with the least rights."""

from __future__ import annotations

import re
from pathlib import Path

WORKFLOW = Path(__file__).resolve().parents[1] / ".github/workflows/submissions.yml"


def test_it_has_no_secrets_no_write_access_and_runs_nothing_of_the_pull_request():
    text = WORKFLOW.read_text()
    assert re.search(r"^permissions:\n  contents: read\n\n", text, re.MULTILINE)
    assert "write" not in text.replace("writes", "")
    assert "secrets" not in text
    assert "pull_request_target" not in text
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")
    # what is installed and executed is the target branch, in the working folder itself
    first, second = (part for part in text.split("actions/checkout@")[1:])
    assert "pull_request.base.sha" in first
    assert "path: incoming" not in first
    assert "pull_request.head.sha" in second
    assert "path: incoming" in second
    commands = re.findall(r"run: (.*)", text)
    assert commands == [
        "pip install -e .",
        "mil-bench submit check incoming/leaderboards/submissions --verbose",
    ]
