"""What ``--online`` may say, and what is answered otherwise."""

from __future__ import annotations

import pytest

from mil_bench.base.errors import UsageError
from mil_bench.contract.spec import AdapterTraining, BlockTraining, as_words, parse_online

READ = {
    "adapter": AdapterTraining(adapter=64),
    "adapter=8": AdapterTraining(adapter=8),
    "blocks=2": BlockTraining(blocks=2, tiles=32),
    "blocks=2, tiles=5": BlockTraining(blocks=2, tiles=5),
}


@pytest.mark.parametrize("text", READ)
def test_both_kinds_are_read_and_written_again(text):
    assert parse_online(text) == READ[text]
    assert parse_online(as_words(READ[text])) == READ[text]


WRONG = {
    "lora": "'lora'",
    "blocks": "'blocks'",
    "blocks=": "'blocks='",
    "blocks=1,blocks=2": "'blocks=2'",
    "tiles=4": "is neither kind",
    "adapter,tiles=4": "unknown option 'tiles' of --online",
    "blocks=0": "blocks='0'",
    "blocks=two": "blocks='two'",
    "blocks=1,tiles=0": "tiles='0'",
}


@pytest.mark.parametrize("text", WRONG)
def test_other_words_get_one_sentence_that_names_them(text):
    with pytest.raises(UsageError) as error:
        parse_online(text)
    assert WRONG[text] in str(error.value)
    assert "\n" not in str(error.value)
