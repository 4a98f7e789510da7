import io

import pytest
from rich.console import Console

from mil_bench.base import console as module
from mil_bench.base.console import ProgressDisplay, print_line, print_note, print_on_stderr


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass between two looks at the clock."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def printed(terminal, work):
    text = io.StringIO()
    work(Console(file=text, force_terminal=terminal, width=120))
    return text.getvalue()


def test_a_pipe_gets_a_line_every_ten_seconds_at_most(clock):
    def work(console):
        with ProgressDisplay("packing [uni]", 5, console, unit="bag") as display:
            for second in (3.0, 10.0, 19.9, 20.0, 40.0):
                clock[0] = second
                display.advance(note="fast" if second == 20.0 else "")

    assert printed(False, work).splitlines() == [
        "packing [uni]: bag 2/5",
        "packing [uni]: bag 4/5 fast",
        "packing [uni]: bag 5/5 fast",
    ]


def test_a_pipe_gets_nothing_where_every_item_prints_its_own_line(clock):
    def work(console):
        with ProgressDisplay("runs", 2, console) as display:
            clock[0] = 100.0
            display.advance()
            print_line("[red]a line of an item[/]", console)

    assert printed(False, work) == "a line of an item\n"


def test_a_terminal_gets_a_bar_with_note_and_count(clock):
    def work(console):
        with ProgressDisplay("mean [dims=a]", 8, console, unit="epoch", done=3) as display:
            display.advance(0.5, "12 tiles/s")
            display.update(5)

    text = printed(True, work)
    assert "mean [dims=a]" in text
    assert "5/8" in text
    assert "12 tiles/s" in text
    assert "epoch" not in text


def test_a_bar_is_removed_when_the_work_fails(clock):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True)
    with pytest.raises(ValueError, match="broken"), ProgressDisplay("work", 2, console):
        raise ValueError("broken")
    with ProgressDisplay("again", 2, console):  # a live bar would refuse a second one
        pass
    assert "again" in text.getvalue()


def test_lines_are_as_long_as_they_are_and_notes_are_marked(capsys):
    words = "word " * 60
    assert printed(False, lambda console: print_note(words.strip(), console)) == (
        f"note {words.strip()}\n"
    )
    print_on_stderr(f"[x] {words.strip()}")
    assert capsys.readouterr().err == f"[x] {words.strip()}\n"
