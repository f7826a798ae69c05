"""The frozen model, the probabilities it gives, and how a threshold is certified."""

import polars as pl
import pytest

from benchmarks.labelled import world
from reconcile.certify import threshold, upper_bound
from reconcile.fitting import fit
from reconcile.groupwise import alone_ppm, probability_ppm
from reconcile.model import DEFAULT_RATES, Model, ModelError
from reconcile.sums import only_subset


def test_a_model_is_the_same_everywhere_and_comes_back_from_its_text() -> None:
    model = Model().certified({"amount": 999_000})
    assert Model.from_json(model.to_json()) == model
    assert model.version != Model().version
    assert Model().version == "44b1c48d52eaaf14"
    assert not Model().thresholds, "the model that is shipped accepts nothing by probability"


@pytest.mark.parametrize(
    "levels",
    [
        {"equal": (1_000, 800_000), "differs": (999_000, 200_000)},  # agreement would speak against a pair
        {"equal": (985_000, 500)},
        {"equal": (985_000, 0), "differs": (15_000, 999_500)},
    ],
)
def test_a_model_whose_labels_have_switched_is_refused(levels: dict[str, tuple[int, int]]) -> None:
    with pytest.raises(ModelError):
        Model(rates={**DEFAULT_RATES, "email": levels})
    with pytest.raises(ModelError):
        Model.from_json('{"rates": {}}')


def test_probabilities_are_shared_by_those_who_compete() -> None:
    pairs = pl.DataFrame(
        {"left": ["a", "a", "b", "c"], "right": ["x", "y", "z", "z"], "weight": [4_000, 4_000, 9_000, 0]}
    )
    shares = probability_ppm(pairs, "left", "right").to_list()
    expected = [16 / 33, 16 / 33, 512 / 514, 1 / 514]
    assert shares == pytest.approx([share * 1e6 for share in expected], abs=20)
    assert alone_ppm(4_000) == pytest.approx(16 / 17 * 1e6, abs=20)
    assert alone_ppm(10**9) < 1_000_000


@pytest.mark.parametrize(
    ("errors", "labels", "bound"), [(0, 2_995, 0.001), (0, 100, 0.0295), (3, 100, 0.0757), (5, 5, 1.0)]
)
def test_the_bound_is_clopper_and_pearsons(errors: int, labels: int, bound: float) -> None:
    assert upper_bound(errors, labels) == pytest.approx(bound, rel=0.01)


def test_a_threshold_needs_enough_labels_and_stops_at_the_first_failure() -> None:
    assert threshold([(990_000, True)] * 2_000, 0.001) is None
    assert threshold([(990_000, True)] * 3_000, 0.001) == 990_000
    good, bad = [(990_000, True)] * 4_000, [(500_000, False)] * 400
    assert threshold(good + bad, 0.001) == 990_000
    assert threshold(good + bad + [(400_000, True)] * 100_000, 0.001) == 990_000


def test_sums_are_told_only_if_one_choice_makes_them() -> None:
    assert only_subset(70, [40, 30, 25]) == (0, 1)
    assert only_subset(70, [40, 30, 30]) is None
    assert only_subset(70, [70, 40]) is None, "one alone is no sum"
    assert only_subset(70, [41, 30]) is None
    assert only_subset(70, [40, 30] + [1_000] * 20) is None


def test_sums_agree_with_trying_everything() -> None:
    for seed in range(300):
        amounts = [1 + (seed * 7 + n * n * (seed % 11 + 3)) % 23 for n in range(2 + seed % 8)]
        target = sum(amounts) // 2
        ways = [
            tuple(n for n in range(len(amounts)) if mask >> n & 1)
            for mask in range(1 << len(amounts))
            if 2 <= mask.bit_count() <= 6 and sum(amounts[n] for n in range(len(amounts)) if mask >> n & 1) == target
        ]
        assert only_subset(target, amounts) == (ways[0] if len(ways) == 1 else None)


def test_a_model_fitted_to_books_tells_agreement_from_chance_whatever_their_order() -> None:
    made = world(4_000, 21, companies=3)
    model = fit(made.processor, made.ledger)
    for name in ("name", "email"):
        m, u = model.rates[name]["equal"]
        assert u < 20_000, "random pairs hardly ever agree"
        assert m > 600_000, "pairs that belong together mostly do"
    assert not model.thresholds
    mixed = [frame.sample(fraction=1, shuffle=True, seed=3) for frame in (made.processor, made.ledger)]
    assert fit(*mixed) == model
