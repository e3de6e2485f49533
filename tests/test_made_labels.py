"""What is made of a supervisor's labels, through the whole line: ground truth mixed in, fewer of
them, by trust too."""

import json
import shutil

import pytest
import torch
from conftest import ROOT, command, inside, line_inside, read, recorded, reviews, write
from test_evaluate_pgr import evaluate_folder
from test_pairs import left_out
from test_supervisor_names import flags_of

import label_weak
from w2s import inputs, lineage, parts, probe, trust


@pytest.fixture(scope="module")
def line(tiny, tmp_path_factory):
    """Results and data of two supervisors, each of a part, with students of all that is made of
    their labels."""
    folder = tmp_path_factory.mktemp("filter")
    words = tiny["bert"], tiny["llama"], reviews(folder), "--epochs=2", "--batch_size=16"

    def run():
        return line_inside(
            folder, *words, "--lr=5e-3", LOSSES="xent", SUPERVISORS="2", PARTS="1", CONTROL="1",
            TRUTH="0.25", FILTER="confidence trust random truth", DATA=str(folder / "data"),
            RESULTS=str(folder / "results"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "CACHE", folder / "cache")
        run()
        run.seed, run.data = folder / "results" / "reviews" / "seed0", folder / "data" / "reviews"
        yield run


# ------------------------------------------------------------------------------- the whole line

MADE = ("", "-truth0.25", "-confidence0.5", "-trust0.5", "-random0.5")
SECOND_CEILING = "-truth1-random0.5"


def test_students_of_what_is_made_of_the_labels_are_in_the_report(line):
    report, printed = evaluate_folder(line.seed.parent)
    assert not left_out(printed)
    names = {student["name"] for student in report["students"]}
    assert names == {f"xent{made}" for made in (*MADE, SECOND_CEILING)}
    for student in report["students"]:  # its control learned all its labels, shuffled
        is_ceiling = student["name"].endswith(SECOND_CEILING)
        assert is_ceiling or student["controls"]["shuffled"]["seeds"] == 1
    true = read(line.seed / f"labels_tiny-bertx2parts{SECOND_CEILING}" / "labels.jsonl")
    transfer = {row["id"]: row["label"] for row in read(line.data / "transfer.jsonl")}
    assert len(true) == len(transfer) // 2
    assert all(row["probs"][transfer[row["id"]]] == 1 for row in true)
    for made in MADE:
        probs = []
        for control in ("", "-shuffled"):
            labels = line.seed / f"labels_tiny-bertx2parts{made}{control}" / "labels.jsonl"
            probs.append([row["probs"] for row in read(labels)])
        assert probs[0] != probs[1] and sorted(probs[0]) == sorted(probs[1])
    # one floor and one ceiling
    weak = {flags["weak"] for flags in flags_of_students(line.seed)}
    assert len(weak) == 1


def flags_of_students(seed):
    runs = [json.loads(file.read_text()) for file in seed.glob("*-to-*/run.json")]
    return [{name: run["inputs"][name]["path"] for name in ("weak", "labels")} for run in runs]


def test_a_rerun_does_nothing(line):
    assert all("up to date" in printed for _, printed in line())


@pytest.mark.parametrize("made", MADE[1:])
def test_what_was_made_of_earlier_labels_is_left_out(line, tmp_path, made):
    """A supervisor is another one now, or its labels were made again and nothing of them."""
    results = shutil.copytree(line.seed.parent, tmp_path / "reviews")
    name = f"tiny-bertx2parts-to-tiny-llama_xent{made}"
    labels = results / "seed0" / f"labels_tiny-bertx2parts{made}"
    file = labels / "labels.jsonl"
    file.write_text(file.read_text() + "\n")
    _, printed = evaluate_folder(results)
    assert left_out(printed) == [f"seed0/{name}", f"seed0/{name}-shuffled"]

    config = results / "seed0" / "weak_tiny-bert-2of2" / "model" / "config.json"
    config.write_text(config.read_text() + "\n")
    error = inside("evaluate_pgr.py", results, ok=False)[2]
    assert "no student found" in error


def test_names_of_what_is_made_of_labels():
    assert lineage.split_labels("conf:alpha=0.5-truth0.1-shuffled") == (
        "conf:alpha=0.5", "-truth0.1-shuffled")
    assert lineage.split_labels("xent-via-b-random1-uniform") == ("xent-via-b", "-random1-uniform")
    assert lineage.split_labels("xent-own-truth0.1-trust0.5") == ("xent-own", "-truth0.1-trust0.5")
    assert lineage.split_labels("conf:alpha=0.75") == ("conf:alpha=0.75", "")
    assert lineage.split_labels("conf-random") == ("conf-random", "")
    assert lineage.teachers("a-to-", "xent-via-b-confidence0.5") == ["a-to-b_xent"]


def test_run_all_gives_each_its_folder(tmp_path):
    commands = recorded(tmp_path, ROOT / "run_all.sh", "a", "b", "task", LOSSES="xent",
                        TRUTH="0.1 1", FILTER="random confidence", KEEP="0.25", CONTROL="uniform")
    made = ["", "-uniform"]
    for kind in ("-truth0.1", "-truth1", "-random0.25", "-confidence0.25"):
        made += [kind, f"{kind}-uniform"]
    seed = "results/task/seed0"
    students = flags_of(commands, "train_strong.py")[1:]
    assert [(flags["out"], flags["labels"]) for flags in students] == [
        (f"{seed}/a-to-b_xent{kind}", f"{seed}/labels_a{kind}/labels.jsonl") for kind in made]
    assert {flags["weak"] for flags in students} == {f"{seed}/weak_a/predictions.jsonl"}

    truth = flags_of(commands, "label_weak.py")
    assert [flags.get("truth") for flags in truth] == [None, "0.1", "1"]
    filters = flags_of(commands, "filter_labels.py")
    assert [(flags["by"], flags["keep"]) for flags in filters] == [
        ("random", "0.25"), ("confidence", "0.25")]
    assert {flags["labels"] for flags in filters} == {f"{seed}/labels_a/labels.jsonl"}
    controls = flags_of(commands, "control_labels.py")
    for kind, flags in zip(made[::2], controls, strict=True):
        assert flags["labels"] == f"{seed}/labels_a{kind}/labels.jsonl"
        assert flags["out"] == f"{seed}/labels_a{kind}-uniform" and flags["kind"] == "uniform"


def test_a_second_ceiling_has_as_many_examples_as_the_filters_keep(tmp_path):
    commands = recorded(tmp_path, ROOT / "run_all.sh", "a", "b", "task", LOSSES="xent",
                        FILTER="confidence truth", KEEP="0.25", CONTROL="1")
    seed = "results/task/seed0"
    names = [flags["out"] for flags in flags_of(commands, "train_strong.py")[1:]]
    assert names == [f"{seed}/a-to-b_xent{made}" for made in (
        "", "-shuffled", "-confidence0.25", "-confidence0.25-shuffled", "-truth1-random0.25")]
    truth = flags_of(commands, "label_weak.py")[1]
    assert (truth["truth"], truth["out"]) == ("1", f"{seed}/labels_a-truth1")
    filtered = flags_of(commands, "filter_labels.py")[1]
    assert (filtered["by"], filtered["keep"]) == ("random", "0.25")
    assert filtered["labels"] == f"{seed}/labels_a-truth1/labels.jsonl"


@pytest.mark.parametrize("environment, message", [
    ({"TRUTH": "10%"}, "shares such as 0.1 are needed"),
    ({"TRUTH": "0.10"}, "shares such as 0.1 are needed"),  # it would be another name for 0.1
    ({"TRUTH": "2"}, "shares such as 0.1 are needed"),
    ({"FILTER": "random", "KEEP": "0"}, "shares such as 0.1 are needed"),
    ({"FILTER": "unanimity"}, "unanimity needs several SUPERVISORS"),
    ({"FILTER": "trust", "SUPERVISORS": "2"}, "trust needs several SUPERVISORS and PARTS=1"),
    ({"FILTER": "luck"}, "confidence, unanimity, trust, random, truth are there"),
])
def test_a_slip_is_found_before_anything_is_trained(tmp_path, environment, message):
    status, printed, error = command(ROOT / "run_all.sh", "a", "b", tmp_path / "none.jsonl",
                                     ok=False, **environment)
    assert status == 1 and message in error and error.count("\n") == 1 and not printed


# ------------------------------------------------------------------------------- ground truth

def label(line, out, *flags, **data):
    inside("label_weak.py", f"--model={line.seed}/weak_tiny-bert-1of2/model",
           f"--data={data.get('data', line.data / 'transfer.jsonl')}", f"--out={out}", *flags)
    return read(out / "labels.jsonl")


def true_ids(labels):
    return {row["id"] for row in labels if row["probs"] in ([0.0, 1.0], [1.0, 0.0])}


def test_a_share_of_the_labels_is_ground_truth(line, tmp_path):
    transfer = {row["id"]: row for row in read(line.data / "transfer.jsonl")}
    pure = label(line, tmp_path / "pure")
    mixed = label(line, tmp_path / "mixed", "--truth=0.25")
    drawn = true_ids(mixed)
    assert 0.1 < len(drawn) / len(mixed) < 0.4 and not true_ids(pure)
    metrics = json.loads((tmp_path / "mixed" / "run.json").read_text())["metrics"]
    assert metrics["true_labels"] == len(drawn)
    for ours, theirs in zip(mixed, pure, strict=True):
        if ours["id"] in drawn:
            assert ours["probs"][1] == transfer[ours["id"]]["label"]
            assert "label" not in ours and ours["text"] == theirs["text"]
        else:
            assert ours == theirs
    class1 = sum(row["probs"][1] > 0.5 for row in mixed) / len(mixed)
    assert metrics["class_shares"] == pytest.approx([1 - class1, class1])

    # the same for other supervisors, and for more of them; more of it contains less of it
    of_two = read(line.seed / "labels_tiny-bertx2parts-truth0.25" / "labels.jsonl")
    assert true_ids(of_two) == drawn
    pure_of_two = read(line.seed / "labels_tiny-bertx2parts" / "labels.jsonl")
    assert [row["supervisors"] for row in of_two] == [row["supervisors"] for row in pure_of_two]
    assert drawn < true_ids(label(line, tmp_path / "more", "--truth=0.6"))
    assert len(true_ids(label(line, tmp_path / "all", "--truth=1"))) == len(pure)


def test_the_draw_is_no_draw_of_another_hash():
    """No more of the examples that --evals holds out are drawn than of all."""
    ids = [f"q{i}" for i in range(2000)]
    held = inputs.hold_out("", [{"id": name} for name in ids])[1]
    for names in (ids, [row["id"] for row in held]):
        share = sum(label_weak.is_drawn(name, 0.25) for name in names) / len(names)
        assert share == pytest.approx(0.25, abs=0.05)


def test_ground_truth_that_is_not_there_or_no_share(line, tmp_path):
    lines = [{"id": 1, "text": "t", "label": 1}, {"id": 2, "text": "u"}]
    data = write(tmp_path / "data.jsonl", lines)
    for flag, message in [("0.1", "data.jsonl:2: label is missing"), ("1.5", "a share from 0 to 1"),
                          ("-1", "a share from 0 to 1"), ("nan", "a share from 0 to 1")]:
        error = inside("label_weak.py", "--model=none", f"--data={data}", f"--truth={flag}",
                       f"--out={tmp_path}/out", ok=False)[2]
        assert message in error and error.count("\n") == 1


# ----------------------------------------------------------------------------------------- trust

def test_trust_is_fitted_on_the_examples_of_the_other_parts(line):
    train = line.data / "weak_train.jsonl"
    train_rows = read(train)
    known = []
    for i in (1, 2):
        model = line.seed / f"weak_tiny-bert-{i}of2" / "model"
        known.append(trust.rows_of_others(str(model), str(train), train_rows))
    assert known[0] == parts.rows_of_part("", train_rows, "2/2")
    assert known[1] == parts.rows_of_part("", train_rows, "1/2")


def test_trust_finds_where_a_supervisor_is_right():
    """Right where the first feature speaks for its side; the others are noise."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2000, 8, dtype=torch.float64, generator=generator)
    says_1 = torch.rand(2000, generator=generator) < 0.5
    right = (features[:, 0] > 0) == says_1
    x = trust.regressors(features, torch.stack([~says_1, says_1], 1).long())
    weights = trust.fit(x[:1000], right[:1000])
    logits = x[1000:] @ weights
    assert ((logits > 0) == right[1000:]).double().mean() > 0.95
    # always right: nothing to tell apart, and no number that is none
    assert trust.fit(x, torch.ones(2000, dtype=torch.bool)).isfinite().all()


def test_the_penalty_and_the_optimum_are_those_of_the_formula():
    """At the optimum the gradient is 0, worked out by hand."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(50, 3, dtype=torch.float64, generator=generator)
    says_1 = torch.rand(50, generator=generator) < 0.5
    right = torch.rand(50, generator=generator) < 0.7
    x = trust.regressors(features, torch.stack([~says_1, says_1], 1).long())
    weights = trust.fit(x, right)
    penalty = trust.L2 * weights
    penalty[-1] = 0
    gradient = x.T @ ((x @ weights).sigmoid() - right.double()) / 50 + penalty
    assert gradient.abs().max() < 1e-4


def test_the_trust_of_a_label_is_the_mean_over_the_supervisors(line, monkeypatch):
    said = {"a": ([0.9, 0.8, 0.6], [1, 1, 0]), "b": ([0.7, 0.9, 0.5], [1, 0, 0])}

    def of_supervisor(model, known, texts):
        p_right, says = said[model]
        return torch.tensor(p_right), torch.tensor(says)

    monkeypatch.setattr(trust, "of_supervisor", of_supervisor)
    monkeypatch.setattr(trust, "rows_of_others", lambda *_: [])
    rows = [{"text": "t", "probs": [0.2, 0.8]}] * 3
    found = trust.of_labels("", rows, ["a", "b"], str(line.data / "weak_train.jsonl"))
    assert found == pytest.approx([(0.9 + 0.7) / 2, (0.8 + 0.1) / 2, (0.4 + 0.5) / 2])


def test_trust_is_refused_where_no_one_could_judge_a_supervisor(line, tiny, tmp_path):
    labels = line.seed / "labels_tiny-bertx2parts" / "labels.jsonl"
    model = line.seed / "weak_tiny-bert-1of2" / "model"
    other = write(tmp_path / "other.jsonl", read(line.data / "test.jsonl"))
    for name, train, message in [
            (tiny["bert"], line.data / "weak_train.jsonl", "was not trained on a part"),
            (model, other, "was trained on another file than")]:
        error = inside("filter_labels.py", f"--labels={labels}", "--by=trust", f"--model={name}",
                       f"--train={train}", f"--out={tmp_path}/out", ok=False)[2]
        assert message in error and error.count("\n") == 1


def test_labels_of_bf16_weights_are_nearly_the_same(line, tmp_path):
    pairs = zip(label(line, tmp_path / "full"), label(line, tmp_path / "half", "--dtype=bf16"))
    moved = [abs(full["probs"][1] - half["probs"][1]) for full, half in pairs]
    assert 0 < max(moved) < 0.02
