"""AUC, calibration, agreement and their standard errors, worked out by hand."""

import numpy as np
import pytest
from conftest import write

from w2s import metrics, records


def of_two(*p1s):
    """Probabilities of two classes, (..., 2) each, from those of class 1; a label is one, too."""
    return [np.stack([1 - np.asarray(p1), p1], -1) for p1 in p1s]


def all_pairs(p1, label):
    """AUC of (n,) predictions and DeLong's variance of it, from a table of all pairs."""
    class1, class0 = p1[label == 1][:, None], p1[label == 0]
    wins = (class1 > class0) + 0.5 * (class1 == class0)  # (m, k)
    of_class1, of_class0 = wins.mean(1), wins.mean(0)
    variance = of_class1.var() / len(of_class1) + of_class0.var() / len(of_class0)
    return wins.mean(), variance


def test_auc_by_hand():
    # class 1 at .9 .4 .4, class 0 at .4 .2: of six pairs four are won and two are ties
    label = np.array([1, 1, 1, 0, 0])
    p1 = np.array([[0.9, 0.4, 0.4, 0.4, 0.2]])
    found = metrics.describe(*of_two(p1, label))
    assert found["auc"] == pytest.approx(5 / 6)
    # class 1 wins 1, 3/4, 3/4 of its pairs: variance 1/72, by 3; class 0 2/3, 1: 1/36, by 2
    assert found["auc_se"] == pytest.approx((1 / 72 / 3 + 1 / 36 / 2) ** 0.5)
    # no order at all; the right one; the wrong one
    assert metrics.describe(*of_two(np.full((1, 5), 0.7), label))["auc"] == 0.5
    assert metrics.describe(*of_two(np.array([[0.9, 0.8, 0.7, 0.6, 0.5]]), label))["auc"] == 1
    assert metrics.describe(*of_two(np.array([[0.1, 0.2, 0.3, 0.4, 0.5]]), label))["auc"] == 0
    # of one class there are no pairs
    found = metrics.describe(*of_two(p1, np.ones(5, int)))
    assert found["auc"] is None and found["auc_se"] is None


def test_auc_is_the_count_of_all_pairs_and_its_error_that_of_delong():
    rng = np.random.default_rng(0)
    for n in (3, 10, 80, 301):
        label = np.arange(n) % 3 // 2
        p1 = rng.random((4, n)) + 0.2 * label
        p1[1:] = p1[1:].round(1)  # many ties
        for of_seed in p1:
            auc, variance = all_pairs(of_seed, label)
            found = metrics.describe(*of_two(of_seed[None], label))
            assert found["auc"] == pytest.approx(auc)
            assert found["auc_se"] == pytest.approx(variance**0.5)
        found = metrics.describe(*of_two(p1, label))
        assert found["auc"] == pytest.approx(np.mean([all_pairs(one, label)[0] for one in p1]))


@pytest.mark.parametrize("training", [0, 0.3])
def test_standard_error_of_auc_is_that_of_drawing_examples_and_seeds_anew(training):
    """Each seed has a skill of its own; all of them find the same examples hard."""
    rng, seeds, n = np.random.default_rng(0), 3, 120
    label = (np.arange(n) < 40).astype(int)
    aucs, variances = [], []
    for _ in range(1000):
        skill = 1 + training * rng.normal(size=(seeds, 1))
        p1 = skill * label + rng.normal(size=n) + 0.5 * rng.normal(size=(seeds, n))
        auc, se = metrics.mean_se(metrics.auc_values(p1, label))
        aucs.append(auc)
        variances.append(se**2)
    assert np.std(aucs) == pytest.approx(np.mean(variances) ** 0.5, rel=0.08)


def test_calibration_by_hand():
    # confidences .9 .9 .9 .9 .6 .6, right: 3 of the 4, and neither of the 2; four times over,
    # for a bin of less than five is not drawn
    p1 = np.tile([[0.9, 0.9, 0.1, 0.1, 0.6, 0.4]], 4)
    label = np.tile([1, 1, 0, 1, 0, 1], 4)
    found = metrics.calibration(*of_two(p1, label))
    assert found["confidence"] == pytest.approx(0.8)
    assert found["ece"] == pytest.approx(4 / 6 * abs(0.75 - 0.9) + 2 / 6 * abs(0 - 0.6))
    assert found["brier"] == pytest.approx((3 * 0.1**2 + 0.9**2 + 2 * 0.6**2) / 6)
    unsure, sure = found["reliability"]
    assert round(unsure["confidence"], 6) == 0.6 and unsure["accuracy"] == 0
    assert unsure["share"] == pytest.approx(2 / 6)
    assert round(sure["confidence"], 6) == 0.9 and sure["accuracy"] == 0.75
    assert sure["share"] == pytest.approx(4 / 6)
    # 1.0 belongs to the last bin
    assert metrics.calibration(*of_two(np.array([[1.0, 0.0]]), np.array([1, 0])))["ece"] == 0


def test_errors_of_two_seeds_do_not_cancel():
    """One seed too sure, one not sure enough, in the same bin: neither is calibrated."""
    p1, label = np.full((2, 10), 0.8), np.ones(10, int)
    p1[1, :4] = 0.2  # right on all, and right on 6 of 10
    assert metrics.calibration(*of_two(p1, label))["ece"] == pytest.approx(0.2)


def test_standard_error_of_a_share_is_that_of_resampling():
    rng = np.random.default_rng(0)
    values = (rng.random((1, 400)) < 0.3).astype(float)
    where = rng.random((1, 400)) < 0.2
    share, se = metrics.share_se(values, where)
    assert share == values[where].mean()
    resampled = [values[0, i][where[0, i]].mean() for i in rng.integers(400, size=(4000, 400))]
    assert se == pytest.approx(np.std(resampled), rel=0.05)
    assert metrics.share_se(values, np.zeros_like(where)) == (None, None)


def test_agreement_and_disagreement_by_hand():
    label = np.ones(80, int)
    weak = np.array([[0.9, 0.9, 0.9, 0.9, 0.3, 0.3, 0.3, 0.3] * 10])  # right on the first four
    student = np.array([[0.8, 0.8, 0.8, 0.01, 0.95, 0.95, 0.6, 0.2] * 10])
    found = metrics.agreement(*of_two(student, weak, label))
    assert found["agreement"] == 0.5
    assert found["agreement_weak_right"] == 0.75 and found["agreement_weak_wrong"] == 0.25
    assert found["agreement_weak_right_se"] == pytest.approx((0.75 * 0.25 / 40) ** 0.5)

    # they differ on 3 (student surer by .09, wrong), 4 and 5 (surer by .25, right) and 6 (less
    # sure by .1, right)
    found = metrics.disagreement(*of_two(student, weak, label))
    assert found["right_if_surer"] == pytest.approx(2 / 3) and found["right_if_less_sure"] == 1
    # quantiles fall together where so many are equal: three bins
    bins = [(round(one["surer_by"], 3), one["right"]) for one in found["by_confidence"]]
    assert bins == [(-0.1, 1), (0.09, 0), (0.25, 1)]

    # of one example and of three nothing is claimed
    found = metrics.disagreement(*of_two(student[:, :8], weak[:, :8], label[:8]))
    assert found["right_if_less_sure"] is found["right_if_surer"] is None
    assert found["by_confidence"] == []


def test_a_tie_is_half_right_and_neither_class(tmp_path):
    """The same from files and from arrays; a person's [.5004, .5003] is no tie but class 0."""
    label = [1, 1, 0, 0, 0] * 5
    student = [[0.5, 0.5], [0.5004, 0.5003], [0.3, 0.7], [0.5, 0.5], [0.4, 0.6]] * 5
    weak = [[0.1, 0.9], [0.2, 0.8], [0.5, 0.5], [0.5, 0.5], [0.1, 0.9]] * 5

    def read(name, probs):
        lines = [{"id": i, "label": label[i], "probs": probs[i]} for i in range(len(label))]
        rows = records.read_jsonl(write(tmp_path / name, lines), "id", "label", "probs")
        return rows, np.array([[row["probs"][1] for row in rows]])

    (student_rows, student), (weak_rows, weak) = read("student", student), read("weak", weak)
    label = np.array(label)

    # right by 1/2, 0, 0, 1/2, 0; and the supervisor by 1, 1, 1/2, 1/2, 0
    assert records.accuracy(student_rows)["accuracy"] == 1 / 5
    assert records.accuracy(weak_rows)["accuracy"] == 3 / 5
    found = metrics.describe(*of_two(student, label))
    assert found["accuracy"] == 1 / 5 and found["class_shares_seeds"] == [[2 / 5, 3 / 5]]
    assert metrics.describe(*of_two(weak, label))["accuracy"] == 3 / 5

    # the same prediction by 1/2, 0, 1/2, 1/2, 1; the third and fourth have a supervisor that ties
    pairs = zip(student_rows, weak_rows)
    agrees = [records.same(one["probs"], other["probs"]) for one, other in pairs]
    assert agrees == metrics.same(*of_two(student, weak))[0].tolist() == [0.5, 0, 0.5, 0.5, 1] * 5
    found = metrics.agreement(*of_two(student, weak, label))
    assert found["agreement"] == 1 / 2
    assert found["agreement_weak_right"] == 1 / 4 and found["agreement_weak_wrong"] == 1

    # only the second is another prediction, a wrong one and the less sure
    found = metrics.disagreement(*of_two(student, weak, label))
    assert found["right_if_less_sure"] == 0 and found["right_if_surer"] is None


def test_probabilities_of_any_number_of_classes():
    assert records.predicted([0.2, 0.4, 0.4]) == [0, 0.5, 0.5]
    assert records.normalised([0.1, 0.9 + 1e-12]) == [0.1, 0.9 + 1e-12]
    assert records.normalised([0.25, 0.2505]) == [0.25 / 0.5005, 0.2505 / 0.5005]


def test_three_classes_by_hand():
    truth = metrics.one_hot([0, 1, 2, 2], 3)
    student = np.array([[[0.6, 0.2, 0.2], [0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.0, 0.0, 1.0]]])
    weak = np.array([[[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]]])
    found = metrics.describe(student, truth)
    assert found["accuracy"] == (1 + 0 + 0.5 + 1) / 4 and found["auc"] is None
    assert found["class_shares_seeds"] == [[2 / 4, 0.5 / 4, 1.5 / 4]]
    assert found["confidence"] == pytest.approx((0.6 + 0.5 + 0.4 + 1) / 4)
    # half of the squared errors: .16 + .04 + .04, .25 + .49 + .04, .04 + .16 + .36, 0
    assert found["brier"] == pytest.approx((0.24 + 0.78 + 0.56) / 2 / 4)
    # bins from 1/3 to 1, a fifteenth wide: each example in one of its own
    assert found["ece"] == pytest.approx((0.4 + 0.5 + 0.1 + 0) / 4)
    # they agree on the first two and the last, and by half on the third
    assert metrics.same(student, weak).tolist() == [[1, 1, 0.5, 1]]
    assert metrics.agreement(student, weak, truth)["agreement"] is None  # of four: too few to say


def test_a_student_that_never_differs():
    p1 = np.array([[0.9, 0.2]])
    found = metrics.disagreement(*of_two(p1, p1, np.array([1, 1])))
    assert found.pop("by_confidence") == [] and list(found.values()) == [None] * 4


@pytest.mark.parametrize("of_examples, of_seeds, of_both, tolerance", [
    (1, 0, 0, 0.08), (0, 0.1, 0, 0.08),
    (0, 0, 1, 0.25),  # the larger of two equal terms is taken, which is somewhat too large
    (1, 0.1, 1, 0.08)])
def test_standard_error_over_seeds_is_that_of_drawing_both_anew(
        of_examples, of_seeds, of_both, tolerance):
    rng, n, seeds = np.random.default_rng(0), 100, 5
    means, variances = [], []
    for _ in range(2000):
        values = of_examples * rng.normal(size=(1, n))
        values = values + of_seeds * rng.normal(size=(seeds, 1))
        values = values + of_both * rng.normal(size=(seeds, n))
        means.append(values.mean())
        variances.append(metrics.mean_se(values)[1] ** 2)
    assert np.std(means) == pytest.approx(np.sqrt(np.mean(variances)), rel=tolerance)


@pytest.mark.parametrize("freedom, known, error", [
    (1, 12.706, 0), (1.36, 6.965, 0.03), (2, 4.303, 0), (3, 3.182, 0), (4, 2.776, 0.005),
    (5, 2.571, 0), (8, 2.306, 0.005), (15, 2.131, 0.005), (60, 2.000, 0.005), (999, 1.962, 0.005),
    (np.inf, 1.960, 0)])
def test_t_quantile_is_that_of_the_tables_or_a_little_larger(freedom, known, error):
    assert -0.001 < metrics.t_quantile(freedom) / known - 1 < error + 0.001


def test_interval_of_one_seed_is_that_of_resampling_the_examples():
    rng = np.random.default_rng(1)
    right = (rng.random((3, 1, 300)) < np.array([0.6, 0.9, 0.75])[:, None, None]).astype(float)
    found = metrics.pgr_interval(right)
    plain = []
    for _ in range(4000):
        plain.append(metrics.pgr(*right[:, 0, rng.integers(300, size=300)].mean(1)))
    assert found["pgr"] == metrics.pgr(*right[:, 0].mean(1))
    low_high = [found["pgr_low"], found["pgr_high"]]
    assert low_high == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.03)


def test_interval_of_two_seeds_by_hand():
    """All examples alike: seeds alone vary. PGR errs by (student - weak / 2 - ceiling / 2) / .4."""
    accuracies = np.array([[0.50, 0.52], [0.91, 0.91], [0.70, 0.72]])
    right = np.repeat(accuracies[:, :, None], 1000, axis=2)
    # two values .02 apart have a mean of standard error .01, and that one degree of freedom
    assert metrics.half_width(right[0]) == pytest.approx(12.706 * 0.01)
    # variances of 1 and 1/4 times .01^2, each with one degree of freedom
    half = metrics.t_quantile(1.25**2 / (1 + 0.25**2)) * 1.25**0.5 * 0.01 / 0.4
    found = metrics.pgr_interval(right)
    assert list(found.values()) == pytest.approx([0.5, 0.5 - half, 0.5 + half])
    # a gap of .11 is within 12.7 standard errors of 0
    right[1] = 0.62
    assert metrics.pgr_interval(right)["pgr"] is None


def test_interval_covers_as_often_as_it_says():
    """Three seeds, whose skills, examples and noise are drawn anew each time; PGR is 1/2."""
    rng, covered = np.random.default_rng(0), []
    skill = np.array([0.3, 1.3, 0.8])[:, None, None]
    for _ in range(400):
        training, noise = rng.normal(size=(3, 3, 1)) * 0.1, rng.normal(size=(3, 3, 300))
        values = skill + training + rng.normal(size=300) + noise
        found = metrics.pgr_interval(values)
        covered.append(found["pgr_low"] <= 0.5 <= found["pgr_high"])
    assert 0.93 < np.mean(covered) < 0.99


@pytest.mark.parametrize("weak, ceiling", [(0.5, 0.5), (0.6, 0.5), (0.5, 0.52)])
def test_no_interval_without_a_clear_gap(weak, ceiling):
    right = np.zeros((3, 1, 200))
    right[0, 0, :round(200 * weak)], right[1, 0, 200 - round(200 * ceiling):] = 1, 1
    assert metrics.pgr_interval(right) == {"pgr": None, "pgr_low": None, "pgr_high": None}
