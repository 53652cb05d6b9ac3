"""How well the simulated world can be foreseen: bad rates, the true PD's AUC, and that of a model on simple windows.

Straight from the state matrices, without files: late months are left out as they would be. The standard error of an AUC at
some 200 bads is 0.02, so the bands here are wider than what the constants were set for (0.68-0.72 and 0.76-0.80).
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from core.subject import SubjectKind
from sources.province import credit, enterprises, population, residents
from sources.province.settings import BURN_IN_MONTHS, ProvinceSettings

#: As-of rows: three training vintages, and one a year before the end of the run.
TRAINING = [BURN_IN_MONTHS + month for month in (8, 11, 13)]
TEST = BURN_IN_MONTHS + 17
WINDOWS = (3, 6, 12)


@dataclass(frozen=True)
class Lived:
    people: population.Population
    life: object
    accounts: credit.Accounts


def live(kind: SubjectKind, subjects: int, seed: int, scenes: bool = False) -> Lived:
    settings = ProvinceSettings(residents=subjects, enterprises=subjects, seed=seed, city_scenes=scenes)
    if kind is SubjectKind.RESIDENT:
        people = population.residents(settings)
        life: object = residents.live(settings, people, subjects // 10)
    else:
        people = population.enterprises(settings)
        life = enterprises.live(settings, people)
    return Lived(people, life, credit.lend(settings, people, life.risk))


def outcomes(accounts: credit.Accounts, row: int) -> tuple[np.ndarray, np.ndarray]:
    """(eligible at the as-of row, worst days past due in the twelve months after it) per account."""
    after = slice(row + 1, row + 13)
    worst = np.where(accounts.reported[after], accounts.worst_dpd[after], 0).max(axis=0)
    eligible = accounts.reported[row] & (accounts.dpd[row] < 30) & (row - accounts.open_row >= 3)
    return eligible, worst


def windows(matrix: np.ndarray, known: np.ndarray, row: int, latest_known: bool) -> list[np.ndarray]:
    """Mean and maximum over the windows that end at `row` (or at the month before, where it isn't delivered yet)."""
    seen = np.where(known, matrix.astype(np.float64), np.nan)
    end = row + 1 if latest_known else row
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = [seen[max(end - window, BURN_IN_MONTHS) : end] for window in WINDOWS]
        return [reduce(part, axis=0) for part in parts for reduce in (np.nanmean, np.nanmax)]


def features(lived: Lived, subject: np.ndarray, row: int) -> np.ndarray:
    def known(source: str) -> np.ndarray:
        return lived.people.known_to[source][subject]

    def of(name: str) -> np.ndarray:
        return getattr(lived.life, name)[:, subject]

    if lived.people.kind is SubjectKind.RESIDENT:
        pay = np.where(of("employed"), of("base"), np.nan)
        wage = np.where(of("employed"), of("wage"), np.nan)
        blocks = [
            (of("employed"), "si", False),
            (pay, "si", False),
            (of("back_paid"), "si", False),
            (wage, "iit", True),
            (of("days_late"), "electricity", False),
            (of("days_late") > 0, "electricity", False),
            (of("cut"), "electricity", False),
        ]
        fines = lived.life.fines
        open_fines = np.array([fines.unpaid(at, 12)[subject] for at in range(row + 1)])
        everybody = np.ones(len(subject), dtype=bool)
        others = windows(open_fines, everybody, row, True) + windows(
            fines.traffic[:, subject], everybody, row, True
        )
    else:
        sales = of("sales")
        growth = np.diff(np.log1p(np.cumsum(sales, axis=0)), axis=0, prepend=np.nan)
        blocks = [
            (of("arrears") > 0, "vat", True),
            (of("arrears_age"), "vat", True),
            (sales, "vat", True),
            (growth, "vat", True),
            (sales == 0, "vat", True),
            (of("filing_late") > 0, "vat", True),
            (of("paid_share") < 1, "si", False),
            (of("staff"), "si", False),
            (of("kwh"), "electricity", True),
            (of("days_late") > 0, "electricity", False),
            (of("cut"), "electricity", False),
        ]
        others = []
    columns = others
    for matrix, source, latest_known in blocks:
        columns += windows(matrix, known(source), row, latest_known)
    return np.column_stack(columns)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "scenes", "subjects", "bad_dpd", "rate", "model", "oracle"),
    [
        (SubjectKind.RESIDENT, False, 60_000, 90, (0.020, 0.030), (0.65, 0.75), (0.74, 0.83)),
        (SubjectKind.RESIDENT, True, 60_000, 90, (0.020, 0.030), (0.65, 0.76), (0.74, 0.83)),
        (SubjectKind.ENTERPRISE, False, 50_000, 60, (0.028, 0.042), (0.71, 0.83), (0.78, 0.87)),
    ],
)
def test_what_can_be_foreseen(kind, scenes, subjects, bad_dpd, rate, model, oracle):
    import lightgbm
    from sklearn.metrics import roc_auc_score

    lived = live(kind, subjects, seed=2026, scenes=scenes)
    held_out = np.arange(len(lived.accounts.subject)) % 5 < 2

    def sample(row: int, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        eligible, worst = outcomes(lived.accounts, row)
        decided = eligible & chosen & ((worst < 30) | (worst >= bad_dpd))
        subject = lived.accounts.subject[decided]
        return features(lived, subject, row), (worst[decided] >= bad_dpd).astype(int), subject

    eligible, worst = outcomes(lived.accounts, TEST)
    assert rate[0] < (worst[eligible] >= bad_dpd).mean() < rate[1]
    pieces = [sample(row, ~held_out) for row in TRAINING]
    known, bad = np.concatenate([p[0] for p in pieces]), np.concatenate([p[1] for p in pieces])
    parameters = {"objective": "binary", "num_leaves": 8, "learning_rate": 0.05, "min_data_in_leaf": 50,
                  "lambda_l2": 10.0, "verbose": -1, "num_threads": 2, "seed": 1}  # fmt: skip
    booster = lightgbm.train(parameters, lightgbm.Dataset(known, bad), 120)
    seen, came_bad, subject = sample(TEST, held_out)
    assert model[0] < roc_auc_score(came_bad, booster.predict(seen)) < model[1]
    assert oracle[0] < roc_auc_score(came_bad, lived.life.risk[TEST, subject]) < oracle[1]


def test_days_past_due_rise_by_thirty_to_a_terminal_row():
    accounts = live(SubjectKind.RESIDENT, 6_000, seed=5).accounts
    lived = len(accounts.reported)
    ended = np.flatnonzero(accounts.write_off_row < lived)
    # Those who repaid before their default would have come are not in default.
    defaulted = ended[accounts.reported[accounts.default_row[ended], ended]]
    assert len(defaulted) > 20
    for which in defaulted:
        end = accounts.write_off_row[which]
        path = accounts.dpd[accounts.default_row[which] : end + 1, which]
        assert path[0] < 30 and path[-1] >= credit.WRITE_OFF_DPD and set(np.diff(path)) == {30}
        assert accounts.reported[end, which] and not accounts.reported[end + 1 :, which].any()
    never = accounts.default_row == credit.NEVER
    assert accounts.worst_dpd[:, never].max() < 60 and (accounts.dpd[:, never] > 0).any()
    assert (accounts.worst_dpd >= accounts.dpd).all()


def test_borrowers_are_a_safer_half():
    lived = live(SubjectKind.ENTERPRISE, 6_000, seed=5)
    risk, borrowers = lived.life.risk[BURN_IN_MONTHS], lived.accounts.subject
    assert len(borrowers) == len(set(borrowers.tolist())) == 3_000
    assert risk[borrowers].mean() < risk.mean() - 0.1 * risk.std()


def test_coverage_is_as_told_and_informative():
    lived = live(SubjectKind.RESIDENT, 20_000, seed=5)
    for source, share in population.RESIDENT_COVERAGE.items():
        mask = lived.people.known_to[source]
        assert abs(mask.mean() - share) < 0.015
        assert lived.people.stability[mask].mean() > lived.people.stability[~mask].mean() + 0.1
