"""The suite itself: a sound method passes, and every check finds the method that breaks it."""

from __future__ import annotations

import re
from pathlib import Path

import broken_methods
import pytest
from broken_methods import (
    BROKEN,
    BareLogits,
    Declares,
    Exits,
    FalseOrder,
    FourPatches,
    Frozen,
    NeedsLabels,
    NoNumber,
    NoTerms,
    RandomAttention,
    ReadsLabels,
    Refuses,
    Sound,
    TensorAsLogits,
    Wordless,
)

from mil_bench.checks.method.check import Candidate
from mil_bench.checks.method.suite import CHECKS, examine

BY_SUBJECT = {check.subject: check for check in CHECKS}


def verdict(subject, kind):
    return BY_SUBJECT[subject](Candidate("tried", kind))


def test_a_sound_method_passes_every_check():
    assert {finding.state for finding in examine(Candidate("tried", Sound))} == {"ok"}


def test_every_check_has_a_method_that_breaks_it():
    assert set(BROKEN) == set(BY_SUBJECT)


def test_the_documentation_lists_every_check_in_order():
    text = (Path(__file__).parents[3] / "docs" / "check.md").read_text()
    table = text.partition("## A method")[2].partition("## A dataset")[0]
    assert re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE) == list(BY_SUBJECT)


@pytest.mark.parametrize("subject", BROKEN)
def test_a_broken_promise_is_a_problem_with_advice(subject):
    finding = verdict(subject, BROKEN[subject])
    assert finding.state == "problem", finding
    assert finding.advice or "; return " in finding.fact  # what the contract says holds its own


def test_an_order_declared_to_matter_that_does_not_is_a_problem():
    assert "changes nothing" in verdict("order of patches", FalseOrder).fact


def test_a_method_without_attention_is_a_note():
    finding = verdict("attention", Wordless)
    assert finding.state == "note"
    assert "heatmaps" in finding.fact


def test_a_refusal_of_features_without_coordinates_is_quoted_and_no_problem():
    finding = verdict("coordinates", Refuses)
    assert finding.state == "ok"
    assert "tried needs coordinates, and these features have none." in finding.fact


def test_coordinates_that_are_declared_to_be_needed_are_no_problem():
    assert verdict("coordinates", Declares).fact == "required, as declared"


def test_a_forward_that_returns_a_tensor_is_told_what_is_expected():
    assert "returns Tensor; return an Output" in verdict("shapes", BareLogits).fact


def test_an_exception_is_a_sentence_that_names_the_line_of_the_method():
    lines = Path(broken_methods.__file__).read_text().splitlines()
    fact = verdict("small bags", FourPatches).fact
    place, _, line = fact.rpartition("(")[2].rstrip(")").partition(", line ")
    assert fact.startswith("RuntimeError: ")
    assert place == "broken_methods.py"
    assert "topk(4" in lines[int(line) - 1]


def findings_of(kind, state):
    return [f for f in examine(Candidate("tried", kind)) if f.state == state]


@pytest.mark.parametrize("kind", [FourPatches, NoTerms, TensorAsLogits, Exits])
def test_what_several_checks_stumble_over_is_one_problem(kind):
    (problem,) = findings_of(kind, "problem")
    others = [f.fact for f in findings_of(kind, "note")]
    assert len(others) > 2
    assert set(others) == {f"as in {problem.subject}"}


@pytest.mark.parametrize(
    ("kind", "fact"),
    [
        (NoTerms, "returns NoneType; return a dictionary of named terms."),
        (TensorAsLogits, "has a Tensor as logits; return a dictionary, {'leaf': logits}."),
        (Exits, "SystemExit: 0 (broken_methods.py, line "),
        (RandomAttention, "leaf attention differ in a second pass"),
        (ReadsLabels, "leaf logits differ with other labels"),
        (NeedsLabels, "leaf logits differ with other labels"),
    ],
)
def test_a_fault_is_told_by_the_check_that_is_about_it(kind, fact):
    assert any(fact in finding.fact for finding in findings_of(kind, "problem"))
    blamed = {finding.subject for finding in findings_of(kind, "problem")}
    assert ("labels" in blamed) == (kind in (ReadsLabels, NeedsLabels))
    assert "coordinates" not in blamed


def test_numbers_that_are_not_finite_are_one_problem_and_what_follows_is_told():
    (problem,) = findings_of(NoNumber, "problem")
    assert problem.subject == "numbers"
    assert problem.fact == "leaf logits for normal bags (flat tree): not finite"
    following = {finding.subject for finding in findings_of(NoNumber, "note")}
    assert "parameters" in following
    assert not following & {"evaluation", "labels", "loss terms", "checkpoint"}


def test_a_method_without_parameters_is_told_so():
    assert "has no parameter to train; create its layers" in verdict("parameters", Frozen).fact
