"""The window formulas as Spark SQL over arrays of months: written apart from `window_kernels`, with the same meaning.

An array holds a measure's months, oldest first, null = no record; the result is a double, null = missing.
"""

from __future__ import annotations

from collections.abc import Callable

from features.identity_number import KEY_SPAN
from features.windows import DROP, FLAT


def expression(formula: str, windows: list[str], months: int) -> str:
    """SQL of a formula over one window (or two) of so many months."""
    if formula in _OF_TWO:
        return _OF_TWO[formula](windows[0], windows[1], months)
    return _FORMULAS[formula](windows[0], months)


def _there(x: str) -> str:
    return f"filter({x}, e -> e IS NOT NULL)"


def _count(x: str) -> str:
    return f"double(size({_there(x)}))"


def _sum(x: str) -> str:
    return f"IF(size({_there(x)}) = 0, NULL, aggregate({_there(x)}, 0D, (s, e) -> s + e))"


def _mean(x: str) -> str:
    return _divide(_sum(x), _count(x))


def _divide(part: str, whole: str) -> str:
    return f"(({part}) / nullif(({whole}), 0D))"


def _squares(x: str) -> str:
    """Sum of squared distances from the mean, the mean worked out once as part of the running state."""
    return (
        f"aggregate({_there(x)}, named_struct('m', {_mean(x)}, 's', 0D), "
        "(a, e) -> named_struct('m', a.m, 's', a.s + (e - a.m) * (e - a.m)), a -> a.s)"
    )


def _std(x: str, months: int) -> str:
    return f"IF(size({_there(x)}) < 2, NULL, sqrt({_squares(x)} / {_count(x)}))"


def _when(x: str, months: int) -> str:
    """Positions of the months with a record."""
    return f"filter(sequence(0, {months - 1}), t -> {x}[t] IS NOT NULL)"


def _slope(x: str, months: int) -> str:
    when = _when(x, months)
    middle = f"aggregate({when}, 0D, (s, t) -> s + t) / nullif({_count(x)}, 0D)"
    start = f"named_struct('x', {_mean(x)}, 't', {middle}, 'up', 0D, 'across', 0D)"
    step = (
        f"(a, t) -> named_struct('x', a.x, 't', a.t, 'up', a.up + (t - a.t) * ({x}[t] - a.x), "
        "'across', a.across + (t - a.t) * (t - a.t))"
    )
    b = f"aggregate({when}, {start}, {step}, a -> a.up / nullif(a.across, 0D) / nullif(abs(a.x), 0D))"
    return f"IF(size({when}) < 3, NULL, {b})"


def _positive(x: str) -> str:
    return f"IF(size({_there(x)}) = 0, NULL, double(size(filter({x}, e -> e > 0D))))"


def _longest_gap(x: str, months: int) -> str:
    run = "IF(e > 0D, 0D, a.run + 1D)"
    longest = f"IF(e > 0D OR a.longest >= 0D, greatest(a.longest, {run}), a.longest)"
    step = f"(a, e) -> named_struct('run', {run}, 'longest', {longest})"
    zeros = f"transform({x}, e -> coalesce(e, 0D))"
    return (
        f"aggregate({zeros}, named_struct('run', 0D, 'longest', -1D), {step}, "
        "a -> IF(a.longest < 0D, NULL, a.longest))"
    )


def _longest_run(x: str, months: int) -> str:
    run = "IF(e > 0D, a.run + 1D, 0D)"
    step = f"(a, e) -> named_struct('run', {run}, 'longest', greatest(a.longest, {run}))"
    zeros = f"transform({x}, e -> coalesce(e, 0D))"
    longest = f"aggregate({zeros}, named_struct('run', 0D, 'longest', 0D), {step}, a -> a.longest)"
    return f"IF(size({_there(x)}) = 0, NULL, {longest})"


def _since(x: str, months: int, test: str) -> str:
    latest = f"array_max(filter(sequence(0, {months - 1}), t -> {x}[t] {test}))"
    return f"double({months - 1} - {latest})"


def _change(x: str, months: int) -> str:
    first, last = f"try_element_at({_there(x)}, 1)", f"try_element_at({_there(x)}, -1)"
    return f"IF(size({_there(x)}) < 2, NULL, {_divide(f'{last} - {first}', f'abs({first})')})"


def _ratio_previous(x: str, months: int) -> str:
    half = months // 2
    return _divide(_sum(f"slice({x}, {half + 1}, {months - half})"), _sum(f"slice({x}, 1, {half})"))


def _year_on_year(x: str, months: int) -> str:
    window = months - 12
    return _divide(_sum(f"slice({x}, 13, {window})"), _sum(f"slice({x}, 1, {window})"))


def _steps(x: str, test: str) -> str:
    pairs = f"filter(sequence(2, size({_there(x)})), t -> {{there}}[t - 1] {test} {{there}}[t - 2])"
    return f"IF(size({_there(x)}) < 2, NULL, double(size({pairs.format(there=_there(x))})))"


def _current_run(x: str, months: int) -> str:
    run = f"aggregate({_there(x)}, 0D, (run, e) -> IF(e > 0D, run + 1D, 0D))"
    return f"IF(size({_there(x)}) = 0, NULL, {run})"


def _on_year(x: str, months: int) -> str:
    """Ratios to the same month a year before, where both are there and the earlier is above 0."""
    both = f"{x}[t] IS NOT NULL AND {x}[t - 12] > 0D"
    return f"transform(filter(sequence(12, {months - 1}), t -> {both}), t -> {x}[t] / {x}[t - 12])"


def _down_on_year(x: str, months: int) -> str:
    both = f"filter(sequence(12, {months - 1}), t -> {x}[t] IS NOT NULL AND {x}[t - 12] > 0D)"
    down = f"filter({both}, t -> {x}[t] < {1.0 - DROP}D * {x}[t - 12])"
    return f"IF(size({both}) = 0, NULL, double(size({down})))"


def _both(x: str, y: str, months: int) -> str:
    return f"filter(sequence(0, {months - 1}), t -> {x}[t] IS NOT NULL AND {y}[t] IS NOT NULL)"


def _months_below(x: str, y: str, months: int) -> str:
    both = _both(x, y, months)
    return f"IF(size({both}) = 0, NULL, double(size(filter({both}, t -> {x}[t] < {y}[t]))))"


def _co_movement(x: str, y: str, months: int) -> str:
    both = _both(x, y, months)
    mean_x, mean_y = (
        f"aggregate({both}, 0D, (s, t) -> s + {z}[t]) / nullif(size({both}), 0)" for z in (x, y)
    )
    start = f"named_struct('x', {mean_x}, 'y', {mean_y}, 'xy', 0D, 'xx', 0D, 'yy', 0D)"
    step = (
        f"(a, t) -> named_struct('x', a.x, 'y', a.y, 'xy', a.xy + ({x}[t] - a.x) * ({y}[t] - a.y), "
        f"'xx', a.xx + ({x}[t] - a.x) * ({x}[t] - a.x), 'yy', a.yy + ({y}[t] - a.y) * ({y}[t] - a.y))"
    )
    moves = f"a.xx > {FLAT:.1e}D * a.x * a.x AND a.yy > {FLAT:.1e}D * a.y * a.y"
    found = f"a -> IF({moves}, a.xy / sqrt(a.xx * a.yy), NULL)"
    return f"IF(size({both}) < 6, NULL, aggregate({both}, {start}, {step}, {found}))"


def _identity_changes(x: str, months: int) -> str:
    """Places (among all months) of records whose identity differs from the record before under the same key."""
    step = (
        f"(a, t) -> IF({x}[t] IS NULL, a, named_struct('before', {x}[t], 'places', "
        f"IF({x}[t] <> a.before AND floor({x}[t] / {KEY_SPAN}D) = floor(a.before / {KEY_SPAN}D), "
        "array_append(a.places, t), a.places)))"
    )
    start = "named_struct('before', CAST(NULL AS DOUBLE), 'places', CAST(array() AS array<int>))"
    return f"aggregate(sequence(0, {months - 1}), {start}, {step}, a -> a.places)"


def _changes(x: str, months: int) -> str:
    return f"IF(size({_there(x)}) = 0, NULL, double(size({_identity_changes(x, months)})))"


def _held(x: str, months: int) -> str:
    when = _when(x, months)
    first = f"coalesce(array_max({_identity_changes(x, months)}), array_min({when}))"
    return f"IF(size({when}) = 0, NULL, double(array_max({when}) - {first} + 1))"


_OF_TWO: dict[str, Callable[[str, str, int], str]] = {
    "share_of": lambda x, y, _: _divide(_sum(x), _sum(y)),
    "months_below": _months_below,
    "co_movement": _co_movement,
}

_FORMULAS: dict[str, Callable[[str, int], str]] = {
    "sum": lambda x, _: _sum(x),
    "mean": lambda x, _: _mean(x),
    "min": lambda x, _: f"array_min({x})",
    "max": lambda x, _: f"array_max({x})",
    "std": _std,
    "cv": lambda x, months: _divide(_std(x, months), f"abs({_mean(x)})"),
    "slope": _slope,
    "last": lambda x, _: f"try_element_at({_there(x)}, -1)",
    "records": lambda x, _: _count(x),
    "positive": lambda x, _: _positive(x),
    "positive_share": lambda x, _: _divide(_positive(x), _count(x)),
    "any_positive": lambda x, _: f"IF({_positive(x)} > 1D, 1D, {_positive(x)})",
    "longest_gap": _longest_gap,
    "longest_run": _longest_run,
    "since_positive": lambda x, months: _since(x, months, "> 0D"),
    "since_record": lambda x, months: _since(x, months, "IS NOT NULL"),
    "change": _change,
    "ratio_previous": _ratio_previous,
    "year_on_year": _year_on_year,
    "rises": lambda x, _: _steps(x, ">"),
    "falls": lambda x, _: _steps(x, "<"),
    "level_change": lambda x, _: (
        f"IF(size({_there(x)}) < 2, NULL, try_element_at({_there(x)}, -1) - try_element_at({_there(x)}, 1))"
    ),
    "current_run": _current_run,
    "peak_share": lambda x, _: _divide(f"array_max({x})", _sum(x)),
    "worst_on_year": lambda x, months: f"array_min({_on_year(x, months)})",
    "down_on_year": _down_on_year,
    "last_of_peak": lambda x, _: _divide(f"try_element_at({_there(x)}, -1)", f"array_max({x})"),
    "changes": _changes,
    "held": _held,
}
