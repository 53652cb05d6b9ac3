"""One function per row-level fault: string frame in, string frame out. Rates are defaults of domain.md 1.9 or said here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.months import Month
from sources.province.feeds import Feed
from sources.province.regions import LOST_REGION, RETIRED_REGION

NULL_TOKENS = ("\\N", "暂无", "无", "NULL", "-")
SENTINELS = ("9999-9-9", "2099-12-31", "1900-1-1")
#: Ways to write the same day; the last is the front-end database's timestamp.
DATE_FORMS = ("{0:04d}-{1}-{2}", "{0:04d}{1:02d}{2:02d}", "{0:04d}-{1:02d}-{2:02d} 23:13:05")
TEST_TOKEN = "k1:" + "0" * 40
#: An organisation code of nine characters, as old registers have it.
SHORT_KEY = "74218321-3"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


@dataclass(frozen=True)
class Context:
    """What a fault may know beside the frame. `instead`: texts of another month by header, one per row."""

    rng: np.random.Generator
    month: Month
    revision: int
    instead: Mapping[str, pa.Array]
    halfway: Month

    def some(self, rows: int, rate: float) -> np.ndarray:
        """A mask that holds for `rate` of the rows."""
        return self.rng.random(rows) < rate


def f01_disguised_key(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """Keys with blanks around them, in full-width characters or upper case; 2 % of rows."""
    ways = (lambda key: f" {key}  ", lambda key: key.upper(), _full_width)
    return _rewrite(frame, feed.key, context.some(frame.num_rows, 0.02), context, ways)


def f02_short_key(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """A nine-character organisation code where the key belongs; 1 % of rows."""
    return _rewrite(frame, feed.key, context.some(frame.num_rows, 0.01), context, (lambda key: SHORT_KEY,))


def f03_no_key(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """No key at all, as in registers that list names only; the whole table."""
    return _rewrite(frame, feed.key, np.ones(frame.num_rows, dtype=bool), context, (lambda key: "",))


def f04_null_tokens(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """`\\N`, `暂无`, `NULL`, `-` for nothing: where nothing is sent, and in 3 % of cells that may be lost."""
    tokens = tuple((lambda cell, token=token: token) for token in NULL_TOKENS)
    for field in feed.of_kind("money", "code", "date", "whole", "token"):
        hit = _equals(frame.column(field.header), "") & context.some(frame.num_rows, 0.5)
        if field.may_be_lost:
            hit |= context.some(frame.num_rows, 0.03)
        frame = _rewrite(frame, field.header, hit, context, tokens)
    return frame


def f05_sentinels(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """`9999-9-9`, `2099-12-31` or `1900-1-1` for no date; 5 % of open ones."""
    ways = tuple((lambda cell, day=day: day) for day in SENTINELS)
    for field in feed.of_kind("date"):
        nothing = pc.is_in(frame.column(field.header), value_set=pa.array(["", *NULL_TOKENS]))
        hit = nothing.to_numpy(zero_copy_only=False).astype(bool) & context.some(frame.num_rows, 0.05)
        frame = _rewrite(frame, field.header, hit, context, ways)
    return frame


def f06_mixed_dates(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """The same column in several date forms; 5 % of cells leave the feed's own form."""
    ways = tuple((lambda cell, form=form: _rewritten_date(cell, form)) for form in DATE_FORMS)
    for field in feed.of_kind("date"):
        frame = _rewrite(frame, field.header, context.some(frame.num_rows, 0.05), context, ways)
    return frame


def f07_commas(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """Amounts as `12,345.60`, and now and then `5,000000`; 1 % of cells."""
    ways = (_grouped, _grouped, lambda cell: _grouped_once(cell))
    for field in feed.of_kind("money"):
        frame = _rewrite(frame, field.header, context.some(frame.num_rows, 0.01), context, ways)
    return frame


def f08_other_unit(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """元 and 万元 in one column: 0.5 % of amounts divided by 10,000 and cut to two decimals, so that they look right."""
    for field in feed.of_kind("money"):
        if field.form == "CNY":
            hit = context.some(frame.num_rows, 0.005)
            frame = _rewrite(frame, field.header, hit, context, (_in_10k,))
    return frame


def f09_label_for_code(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """The Chinese label where the code belongs, `正常缴费` for `1`; 20 % of cells."""
    for field in feed.of_kind("code"):
        labels = dict(field.codes)
        ways = (lambda cell, labels=labels: labels.get(cell, cell),)
        frame = _rewrite(frame, field.header, context.some(frame.num_rows, 0.2), context, ways)
    return frame


def f10_two_editions(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """Two-digit scheme codes (11) instead of three-digit ones (110) from half way on."""
    if context.month < context.halfway:
        return frame
    whole = np.ones(frame.num_rows, dtype=bool)
    return _rewrite(
        frame, feed.header("scheme"), whole, context, (lambda cell: "11" if cell == "110" else cell,)
    )


def f11_several_codes(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """`10101、10104` in one cell; 1 % of rows."""
    hit = context.some(frame.num_rows, 0.01)
    return _rewrite(frame, feed.header("item"), hit, context, (lambda cell: "10101、10104",))


def f12_repeated(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """Rows sent twice; 0.5 %, at the end of the file."""
    again = np.flatnonzero(context.some(frame.num_rows, 0.005))
    return pa.concat_tables([frame, frame.take(pa.array(again))])


def f14_test_rows(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """Rows of the test environment, `env_flag` 1; 0.02 %, but at least one a file."""
    count = max(1, int(context.rng.binomial(frame.num_rows, 0.0002)))
    rows = frame.take(pa.array(context.rng.integers(0, frame.num_rows, count)))
    rows = _set(rows, feed.key, pa.array([TEST_TOKEN] * count))
    return pa.concat_tables([frame, _set(rows, feed.test_flag, pa.array(["1"] * count))])


def f15_mapped_twice(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """The person's own number also where the employer's belongs; the whole feed from half way on."""
    return (
        frame
        if context.month < context.halfway
        else _set(frame, feed.header("employer"), frame.column(feed.key))
    )


def f19_cumulative(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """Sales since January instead of the month's; the whole feed."""
    for header, texts in context.instead.items():
        frame = _set(frame, header, texts)
    return frame


def f20b_month_before(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """The month before under this month's period, in the middle of the run: the feed was filled by the other period column."""
    if context.month != context.halfway:
        return frame
    for header, texts in context.instead.items():
        frame = _set(frame, header, texts)
    return frame


def f20_other_period(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """Back-payments under the month that the money is for (对应费款所属期), not the one that booked it."""
    month = feed.of_kind("month")[0]
    before = context.month.plus(-1).first_day.strftime(month.form)
    late = _equals(frame.column(feed.header("status")), "3")
    return _rewrite(frame, month.header, late, context, (lambda cell: before,))


def f21_retired_region(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """Codes of a county that became a district years ago; 1 % of rows."""
    hit = context.some(frame.num_rows, 0.01)
    return _rewrite(frame, feed.of_kind("region")[0].header, hit, context, (lambda cell: RETIRED_REGION,))


def f22_identity_number(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """A made-up but valid identity number in a remark; one row a file."""
    hit = np.zeros(frame.num_rows, dtype=bool)
    hit[int(context.rng.integers(0, frame.num_rows))] = True
    number = identity_number(int(context.rng.integers(0, 1000)))
    return _rewrite(
        frame, feed.of_kind("remark")[0].header, hit, context, (lambda cell: f"户主身份证{number}已核",)
    )


def f23_estimated(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """Reads that were estimated (rounded to 10, flagged); 4 % of bills. Negative consumption never leaves the supplier."""
    hit = context.some(frame.num_rows, 0.04)
    used, flag = feed.header("consumption"), feed.header("estimated")
    frame = _rewrite(frame, used, hit, context, (lambda cell: f"{round(float(cell), -1):.2f}",))
    return _rewrite(frame, flag, hit, context, (lambda cell: "1",))


def f23b_changed_meter(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """A reading that starts again (meter changed, or once round) while the consumption is right; 0.3 %, at least one a file."""
    hit = context.some(frame.num_rows, 0.003)
    hit[int(context.rng.integers(0, frame.num_rows))] = True
    header = feed.header("current")
    return _rewrite(frame, header, hit, context, (lambda cell: f"{float(cell) % 10:.2f}",))


def f16b_lost_region(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """One prefecture's rows didn't come in the middle month, with neither delivery."""
    if context.month != context.halfway:
        return frame
    region = frame.column(feed.of_kind("region")[0].header)
    return frame.filter(pc.not_equal(region, LOST_REGION))


def f24_second_pseudonym(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """The same subject under another pseudonym (15-digit number hashed); 0.2 % of rows."""
    hit = context.some(frame.num_rows, 0.002)
    return _rewrite(frame, feed.key, hit, context, (_second_token,))


def f24b_shared_pseudonym(frame: pa.Table, feed: Feed, context: Context) -> pa.Table:
    """Several subjects under the pseudonym of one of them, whose phone they share; 0.2 % of rows, at least eight a file."""
    count = min(max(8, round(0.002 * frame.num_rows)), frame.num_rows)
    rows = context.rng.choice(frame.num_rows, size=count, replace=False)
    hit = np.zeros(frame.num_rows, dtype=bool)
    hit[rows] = True
    shared = frame.column(feed.key)[int(rows[0])].as_py()
    return _rewrite(frame, feed.key, hit, context, (lambda cell: shared,))


def identity_number(serial: int) -> str:
    """A resident identity number of nobody: a region code retired in 2011, born 1900-01-01, MOD 11-2 check character."""
    digits = f"{RETIRED_REGION}19000101{serial % 1000:03d}"
    return (
        digits
        + _CHECKS[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True)) % 11]
    )


def _rewrite(
    frame: pa.Table, header: str, hit: np.ndarray, context: Context, ways: tuple[Callable[[str], str], ...]
) -> pa.Table:
    """The frame with the hit cells of one column rewritten, each in one of several ways at random."""
    rows = np.flatnonzero(hit)
    if not len(rows):
        return frame
    column = frame.column(header).combine_chunks()
    chosen = context.rng.integers(0, len(ways), len(rows))
    cells = column.take(pa.array(rows)).to_pylist()
    new = pa.array([ways[way](cell) for way, cell in zip(chosen.tolist(), cells, strict=True)], pa.string())
    return _set(frame, header, pc.replace_with_mask(column, pa.array(hit), new))


def _set(frame: pa.Table, header: str, texts: pa.Array | pa.ChunkedArray) -> pa.Table:
    return frame.set_column(frame.column_names.index(header), header, texts)


def _equals(column: pa.ChunkedArray, text: str) -> np.ndarray:
    return np.asarray(pc.equal(column, text).to_numpy(), dtype=bool)


def _full_width(text: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) for letter in text)


def _rewritten_date(cell: str, form: str) -> str:
    digits = "".join(letter for letter in cell if letter.isdigit())
    if len(digits) != 8:
        return cell
    return form.format(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


def _grouped(cell: str) -> str:
    whole, point, part = cell.partition(".")
    return f"{int(whole):,}{point}{part}" if whole.isdigit() else cell


def _grouped_once(cell: str) -> str:
    whole, point, part = cell.partition(".")
    return f"{whole[0]},{whole[1:]}{point}{part}" if whole.isdigit() and len(whole) > 3 else cell


def _in_10k(cell: str) -> str:
    whole, _, part = cell.partition(".")
    if not whole.isdigit():
        return cell
    digits = (whole + part).zfill(7)
    return f"{digits[:-6]}.{digits[-6:-4]}"


def _second_token(token: str) -> str:
    return "k1:" + hashlib.sha256(f"15|{token}".encode()).hexdigest()[:40]
