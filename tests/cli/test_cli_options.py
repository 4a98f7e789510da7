"""One word, one meaning: every option of every command comes from the one table."""

from __future__ import annotations

import argparse
from importlib import import_module

import pytest

from mil_bench.cli import check, data, listing, submit
from mil_bench.cli.main import COMMANDS, main
from mil_bench.cli.options import OPTIONS
from mil_bench.cli.parser import OLD_SPELLINGS, OldSpelling, Parser, replaced

GROUPS = {
    "data": data.COMMANDS,
    "new": listing.COMMANDS,
    "check": check.COMMANDS,
    "submit": submit.COMMANDS,
}
LONGEST = 20  # words of a help text


class Declared(Exception):
    """A command has declared its options."""


def commands():
    """Command -> its parser, with every option declared."""
    every = {name: command for name, command in COMMANDS.items() if name not in GROUPS}
    for group, members in GROUPS.items():
        every |= {f"{group} {name}": command for name, command in members.items()}
    return every


@pytest.fixture
def parser_of(monkeypatch):
    def parse(parser, words):
        raise Declared

    def _parser_of(name):
        module, _, function = commands()[name].target.partition(":")
        parser = Parser(f"mil-bench {name}", "")
        with pytest.raises(Declared):
            getattr(import_module(module), function)(parser, [])
        return parser

    monkeypatch.setattr(Parser, "parse", parse)
    return _parser_of


@pytest.mark.parametrize("name", commands())
def test_every_option_of_every_command_has_the_meaning_of_the_table(parser_of, name):
    actions = parser_of(name)._actions[1:]  # without --help
    assert actions
    for action in actions:
        word = action.option_strings[0] if action.option_strings else action.dest
        assert word in OPTIONS, f"{name}: {word} is not in the table of words"
        option = OPTIONS[word]
        assert action.help in (option.help, argparse.SUPPRESS)
        assert (action.metavar or "") == option.metavar
        assert action.choices == option.how.get("choices")


def test_every_word_of_the_table_is_used(parser_of):
    used = set()
    for name in commands():
        for action in parser_of(name)._actions:
            used |= {*action.option_strings, action.dest}
    assert set(OPTIONS) <= used


def test_help_texts_are_short_and_end_with_a_full_stop():
    for name, option in OPTIONS.items():
        assert option.help.endswith("."), name
        assert len(option.help.split()) <= LONGEST, name
        assert option.help[0].isupper() or option.help.startswith("methods, datasets"), name


def test_no_two_words_have_the_same_help():
    texts = [option.help for name, option in OPTIONS.items() if name.startswith("--")]
    assert len(set(texts)) == len(texts)


def test_old_spellings_lead_to_options_of_their_command(parser_of):
    for name, spellings in OLD_SPELLINGS.items():
        known = parser_of(name)._option_string_actions
        for old, spelling in spellings.items():
            assert set(spelling.words.split()) <= set(known)
            assert old not in known


@pytest.mark.parametrize(
    ("words", "current", "count"),
    [
        (["--by", "gradient", "--runs", "x"], ["--relevance", "gradient", "--runs", "x"], 1),
        (["--by=gradient"], ["--relevance=gradient"], 1),
        (["--keep", "all", "--by", "a"], ["--relevance", "a"], 2),
        (["--keep=all", "-x"], ["-x"], 1),
        (["--keep", "some"], ["--keep", "some"], 0),
        (["--keep"], ["--keep"], 0),
    ],
)
def test_an_old_spelling_is_replaced_with_a_note(words, current, count):
    old = {"--by": OldSpelling("--relevance"), "--keep all": OldSpelling("", "the default")}
    obeyed, notes = replaced(words, old)
    assert obeyed == current
    assert len(notes) == count


@pytest.mark.parametrize(
    ("words", "note"),
    [
        ("run -m abmil -d bracs --cache disk", "`--cache` is now `--placement`;"),
        (
            "run -m nope -d bracs --existing overwrite",
            "`--existing overwrite` is now `--overwrite`;",
        ),
        ("ablate -m nope -d bracs --existing=retry-failed", "is now `mil-bench retry --failed`;"),
        ("ablate -m nope -d bracs --only tiny", "`--only` is now `--variants`;"),
        ("data check -d nope", "`mil-bench data check` is now `mil-bench check dataset NAME`;"),
    ],
)
def test_a_user_of_an_old_spelling_reads_the_new_one(capsys, words, note):
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    first, last = capsys.readouterr().err.strip().splitlines()
    assert first.startswith("note: ")
    assert note in first
    assert last.startswith("error: ")
