"""The search space: fields of a method and of the trainer, each with a range or choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from mil_bench.base.config import SearchRange, StrictConfig, build, search_space
from mil_bench.base.errors import ConfigError
from mil_bench.contract.method import Method
from mil_bench.contract.spec import RunSpec, TrainerConfig
from mil_bench.runs.plan import METHOD, TRAINER, parse
from mil_bench.tuning.search_syntax import SearchOption

Section = Literal["trainer", "method"]
Value = Any


@dataclass(frozen=True)
class SearchField:
    """One dimension of a search: a numeric range ``[low, high]``, or ``choices``.

    ``by_user``: the range is the user's and is never widened. ``start`` is the value of
    trial 0.
    """

    name: str
    section: Section
    start: Value
    whole: bool = False
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Value, ...] = ()
    by_user: bool = False

    @property
    def text(self) -> str:
        """Return ``1e-05 to 0.01, log`` or ``128, 256``."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        return f"{self.low:g} to {self.high:g}{', log' if self.log else ''}"

    def holds(self, value: Value) -> bool:
        """Return whether ``value`` is in the range or among the choices."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high

    def around_start(self) -> SearchField:
        """Return the field, its declared range widened to :attr:`start` where possible."""
        if self.by_user or self.holds(self.start):  # the user's range is never widened
            return self
        if self.choices:
            return replace(self, choices=(*self.choices, self.start))
        # A log scale cannot reach 0.
        if not isinstance(self.start, int | float) or (self.log and self.start <= 0):
            return self
        return replace(self, low=min(self.low, self.start), high=max(self.high, self.start))

    def nearest(self, value: Value) -> Value:
        """Return the value of the range or choices that is closest to ``value``."""
        if self.holds(value):
            return value
        number = value if isinstance(value, int | float) else None
        if not self.choices:
            # Words have no order.
            return self.low if number is None else min(max(number, self.low), self.high)
        numeric = [c for c in self.choices if isinstance(c, int | float)]
        if number is None or not numeric:
            return self.choices[0]
        return min(numeric, key=lambda choice: abs(choice - number))


@dataclass(frozen=True)
class Space:
    """The searched fields, by their names after ``--set``.

    ``notes`` are sentences on starting values outside a range.
    """

    fields: tuple[SearchField, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    def describe(self) -> dict[str, str]:
        """Return the range of every setting in words; part of the name of a study."""
        return {f.name: f.text for f in self.fields}

    def start(self) -> dict[str, Value]:
        """Return trial 0 in the coordinates of the space; the nearest value where it is outside."""
        return {f.name: f.nearest(f.start) for f in self.fields}

    def apply(
        self, spec: RunSpec, config: type[StrictConfig], values: Mapping[str, Value]
    ) -> RunSpec:
        """Return ``spec`` with ``values`` (by field name) in its settings.

        Raises ``ConfigError`` when they do not go together.
        """
        changes: dict[str, dict[str, Value]] = {TRAINER: {}, METHOD: {}}
        for f in self.fields:
            if f.name in values:
                # method.x and trainer.x are x in their section.
                changes[f.section][f.name.rpartition(".")[2]] = values[f.name]
        trainer = {**spec.trainer.model_dump(), **changes[TRAINER]}
        method = build(config, {**spec.method_config, **changes[METHOD]}, f"method {spec.method}")
        return spec.model_copy(
            update={
                "trainer": build(TrainerConfig, trainer, f"trainer of {spec.method}"),
                "method_config": method.model_dump(mode="json"),
            }
        )


def make_space(
    method: type[Method],
    start: RunSpec,
    options: Sequence[SearchOption],
    *,
    only: Sequence[str] = (),
    fix: Sequence[str] = (),
) -> Space:
    """Return the tunable fields of ``method`` and trainer around ``start``, changed by ``options``.

    A field without effect under the other settings of ``start`` is searched only on request.

    ``only`` keeps these declared fields (and those of ``options``), ``fix`` leaves fields out; all
    are names of :func:`known_fields`. Raises ``ConfigError`` for a range that the field does not
    allow, and when nothing is left to search.
    """
    known = known_fields(method.Config)
    fields: dict[str, SearchField] = {}
    for name, (section, config) in known.items():
        declared = search_space(config).get(name.rpartition(".")[2])
        if declared is None or (only and name not in only):
            continue
        # Of no effect under the other settings: not searched unless requested.
        if all(_start(key, section, config, start) == v for key, v in declared.where.items()):
            fields[name] = _declared(name, section, config, declared, start)
        elif only:
            raise ConfigError(
                f"--only {name}: {start.method} uses it only{declared.condition}; set that with "
                "--set, or omit the setting."
            )
    for option in options:
        section, config = known[option.name]
        fields[option.name] = _requested(option, section, config, start)
    chosen = [f.around_start() for name, f in fields.items() if name not in fix]
    if not chosen:
        raise ConfigError(
            f"nothing is left to search for {start.method}; omit --fix or name settings with "
            "--search."
        )
    for f in chosen:
        _check(f, known[f.name][1])
    return Space(tuple(chosen), tuple(_note(f) for f in chosen if not f.holds(f.start)))


def known_fields(config: type[StrictConfig]) -> dict[str, tuple[Section, type[StrictConfig]]]:
    """Return fields by their shortest unambiguous name: ``lr``, ``trainer.x``, ``method.x``."""
    both = set(TrainerConfig.model_fields) & set(config.model_fields)  # names of both need a prefix
    sections: list[tuple[Section, type[StrictConfig]]] = [
        ("trainer", TrainerConfig),
        ("method", config),
    ]
    return {
        (f"{section}.{name}" if name in both else name): (section, owner)
        for section, owner in sections
        for name in owner.model_fields
    }


def _declared(
    name: str, section: Section, config: type[StrictConfig], declared: SearchRange, start: RunSpec
) -> SearchField:
    value = _start(name, section, config, start)
    if declared.choices:
        return SearchField(name, section, value, choices=declared.choices)
    assert declared.low is not None
    assert declared.high is not None
    whole = _is_whole(config, name)
    return SearchField(name, section, value, whole, declared.low, declared.high, declared.log)


def _requested(
    a: SearchOption, section: Section, config: type[StrictConfig], start: RunSpec
) -> SearchField:
    value, bare = _start(a.name, section, config, start), a.name.rpartition(".")[2]
    if a.choices:
        owner = f"--search {a.name}"
        typed = [_typed(config, bare, text, owner) for text in a.choices]
        return SearchField(
            a.name, section, value, choices=tuple(dict.fromkeys(typed)), by_user=True
        )
    if not _is_number(config, bare):
        raise ConfigError(
            f"--search {a.name}: the setting is not a number, so it has no range; list values, "
            f"such as {a.name}=a,b."
        )
    whole = _is_whole(config, bare)
    if whole and not (a.low.is_integer() and a.high.is_integer()):
        raise ConfigError(f"--search {a.name}: {a.low:g}:{a.high:g} must be whole numbers.")
    return SearchField(a.name, section, value, whole, a.low, a.high, a.log, by_user=True)


def _typed(config: type[StrictConfig], name: str, text: str, owner: str) -> Value:
    """A choice in the type of the field."""
    partial: Mapping[str, Value] = {name: parse(config, name, text)}
    value: Value = getattr(build(config, partial, owner), name)  # converted by the field's own type
    return value


def _start(name: str, section: Section, config: type[StrictConfig], spec: RunSpec) -> Value:
    bare = name.rpartition(".")[2]
    if section != METHOD:
        return getattr(spec.trainer, bare)
    return spec.method_config.get(bare, config.model_fields[bare].default)


def _types(config: type[StrictConfig], name: str) -> set[object]:
    annotation = config.model_fields[name.rpartition(".")[2]].annotation  # members of a union
    return set(get_args(annotation)) or {annotation}


def _is_number(config: type[StrictConfig], name: str) -> bool:
    return bool(_types(config, name) & {int, float})


def _is_whole(config: type[StrictConfig], name: str) -> bool:
    types = _types(config, name)
    return int in types and float not in types


def _check(f: SearchField, config: type[StrictConfig]) -> None:
    """Every end or choice must be a value that the configuration accepts."""
    bare = f.name.rpartition(".")[2]
    # Whole ranges have whole ends.
    ends = f.choices or ((int(f.low), int(f.high)) if f.whole else (f.low, f.high))
    for value in ends:
        build(config, {bare: value}, f"--search {f.name}")


def _note(f: SearchField) -> str:
    return (
        f"the default {f.name}={f.start} is outside the search ({f.text}); trial 0 uses it anyway, "
        f"and the sampler treats it as {f.nearest(f.start)}"
    )
