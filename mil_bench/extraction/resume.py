"""What an earlier extraction has finished."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mil_bench.errors import UsageError
from mil_bench.extraction.bag_file import read_record
from mil_bench.extraction.found import Source
from mil_bench.extraction.outcome import SlideOutcome, done_before
from mil_bench.extraction.settings import Settings, differences


def split_finished(
    sources: Sequence[Source], settings: Settings, folder: Path, overwrite: bool
) -> tuple[list[Source], list[SlideOutcome]]:
    """Slides still to be extracted, and the outcomes of those that are done.

    A damaged file counts as none. Raises ``UsageError`` when files were made with other settings
    (or from another version of the slide) and are not to be overwritten.
    """
    left, finished, others = [], [], {}
    for source in sources:
        path = folder / f"{source.name}.h5"
        changes, outcome = _judge(path, source, settings)
        if outcome is not None:
            finished.append(outcome)
        else:
            left.append(source)
            if changes:
                others[source.name] = changes
    if others and not overwrite:
        name, changes = next(iter(others.items()))
        raise UsageError(
            f"{len(others)} of {len(sources)} slides were extracted otherwise into {folder} "
            f"({name}: {'; '.join(changes)}); give another --out, the same options, or "
            "--overwrite to replace them."
        )
    return left, finished


def _judge(path: Path, source: Source, settings: Settings) -> tuple[list[str], SlideOutcome | None]:
    if not path.exists():
        return [], None
    try:
        record = read_record(path)
        changes = differences(record.settings, settings.record(source))
    except KeyError:
        return ["it was not written by mil-bench extract"], None
    except (OSError, RuntimeError, ValueError):
        return [], None
    return changes, None if changes else done_before(source, record)
