"""Several supervisors that label together: their labels, their floor, and what is old of them."""

import json
import shutil

import pytest
from conftest import inside, line_inside, read, reviews, rows, write
from test_evaluate_pgr import CEILING, STUDENT, WEAK, evaluate_folder
from test_pairs import finished, left_out

from w2s import parts, stage, supervisors

TRAINING = ["--epochs=4", "--batch_size=16", "--lr=5e-3"]


def metrics_of(folder):
    return json.loads((folder / "run.json").read_text())["metrics"]


@pytest.fixture(scope="module")
def together(tiny, tmp_path_factory):
    """Results and data of two seeds of two supervisors, each of a part of the examples; and a
    function that runs the line again."""
    folder = tmp_path_factory.mktemp("together")
    words = tiny["bert"], tiny["llama"], reviews(folder), *TRAINING
    places = {"DATA": str(folder / "data"), "RESULTS": str(folder / "results")}

    def run():
        return line_inside(folder, *words, LOSSES="xent", SUPERVISORS="2", PARTS="1", CONTROL="1",
                           SEEDS="0 1", **places)

    run()
    run.results, run.data = folder / "results" / "reviews", folder / "data" / "reviews"
    run.seed = run.results / "seed0"
    return run


# -------------------------------------------------------------------------------------- the labels

def test_labels_are_the_mean_of_what_they_say_and_so_is_the_floor(together, tmp_path):
    seed, name = together.seed, "tiny-bertx2parts"
    assert {path.name for path in seed.iterdir()} == {
        "weak_tiny-bert-1of2", "weak_tiny-bert-2of2", f"labels_{name}", f"labels_{name}-shuffled",
        "ceiling_tiny-llama", f"{name}-to-tiny-llama_xent", f"{name}-to-tiny-llama_xent-shuffled"}

    single = []
    for i in (1, 2):
        inside("label_weak.py", f"--model={seed}/weak_tiny-bert-{i}of2/model",
               f"--data={together.data}/transfer.jsonl", f"--out={tmp_path}/{i}")
        single.append(read(tmp_path / str(i) / "labels.jsonl"))
    labels = read(seed / f"labels_{name}" / "labels.jsonl")
    assert {tuple(row) for row in labels} == {("id", "text", "probs", "supervisors")}
    for row, one, other in zip(labels, *single, strict=True):
        assert row["supervisors"] == [one["probs"], other["probs"]] and row["id"] == one["id"]
        mean = (one["probs"][1] + other["probs"][1]) / 2
        assert row["probs"][1] == pytest.approx(mean, abs=2e-6)
    assert any(abs(p[1] - q[1]) > 0.01 for p, q in (row["supervisors"] for row in labels))

    floor, metrics = seed / f"labels_{name}", metrics_of(seed / f"labels_{name}")
    weak = [seed / f"weak_tiny-bert-{i}of2" for i in (1, 2)]
    predicted = zip(*(read(each / "predictions.jsonl") for each in [floor, *weak]), strict=True)
    for row, one, other in predicted:
        assert (row["id"], row["label"]) == (one["id"], one["label"])
        assert row["probs"][1] == pytest.approx(
            (one["probs"][1] + other["probs"][1]) / 2, abs=3e-6)
    assert metrics["alone"] == [metrics_of(each)["accuracy"] for each in weak]
    right = [(row["probs"][1] > 0.5) == row["label"] for row in read(floor / "predictions.jsonl")]
    assert metrics["accuracy"] == pytest.approx(sum(right) / len(right))


def test_the_control_of_their_labels_drops_what_each_said(together):
    control = read(together.seed / "labels_tiny-bertx2parts-shuffled" / "labels.jsonl")
    assert {tuple(row) for row in control} == {("id", "text", "probs")}


def test_of_one_supervisor_the_file_is_what_it_was(together, tmp_path):
    inside("label_weak.py", f"--model={together.seed}/weak_tiny-bert-1of2/model",
           f"--data={together.data}/transfer.jsonl", f"--test={together.data}/test.jsonl",
           f"--out={tmp_path}/out")
    assert {tuple(row) for row in read(tmp_path / "out" / "labels.jsonl")} == {
        ("id", "text", "probs")}
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["metrics"]["alone"] == [run["metrics"]["accuracy"]]
    assert "model" in run["inputs"]


def test_more_lines_than_pass_through_memory_at_once(together, tmp_path):
    texts = [row["text"] for row in rows(100) * 11]
    made = [{"id": i, "text": text, "label": i % 2} for i, text in enumerate(texts)]
    data = write(tmp_path / "many.jsonl", made)
    models = ",".join(f"{together.seed}/weak_tiny-bert-{i}of2/model" for i in (1, 2))
    inside("label_weak.py", f"--model={models}", f"--data={data}", f"--test={data}",
           f"--out={tmp_path}/out")
    labels = read(tmp_path / "out" / "labels.jsonl")
    tested = read(tmp_path / "out" / "predictions.jsonl")
    assert [row["id"] for row in labels] == [str(i) for i in range(1100)]
    for first, last in zip(labels[:100], labels[1000:], strict=True):
        for said, before in zip(last["supervisors"], first["supervisors"], strict=True):
            assert said == pytest.approx(before, abs=2e-6)
    for ours, theirs in zip(labels, tested, strict=True):
        assert ours["probs"] == pytest.approx(theirs["probs"], abs=2e-6)


def test_each_supervisor_has_its_own_order_of_the_classes(together, tiny, tmp_path):
    """A copy of the second one calls its classes as the task does, but the other way round."""
    first, second = (together.seed / f"weak_tiny-bert-{i}of2" / "model" for i in (1, 2))
    turned = shutil.copytree(second, tmp_path / "turned")
    config = json.loads((turned / "config.json").read_text())
    config |= {"id2label": {0: "Positive", 1: "Negative"},
               "label2id": {"Positive": 0, "Negative": 1}}
    (turned / "config.json").write_text(json.dumps(config))
    inside("label_weak.py", f"--model={first},{turned}", f"--data={together.data}/transfer.jsonl",
           f"--out={tmp_path}/out")
    labels = read(together.seed / "labels_tiny-bertx2parts" / "labels.jsonl")
    for ours, theirs in zip(read(tmp_path / "out" / "labels.jsonl"), labels, strict=True):
        one, other = theirs["supervisors"]
        assert ours["supervisors"][0] == one
        assert ours["supervisors"][1] == pytest.approx(other[::-1], abs=2e-6)


def test_a_folders_own_name_may_hold_commas(together, tmp_path):
    model = together.seed / "weak_tiny-bert-1of2" / "model"
    named = shutil.copytree(model, tmp_path / "a_conf:alpha=0.75,warmup=0.1" / "model")
    assert supervisors.paths(str(named)) == [str(named)]
    assert supervisors.paths("gpt2,a/model") == ["gpt2", "a/model"]
    inside("label_weak.py", f"--model={named}", f"--data={together.data}/transfer.jsonl",
           f"--out={tmp_path}/out")
    assert "supervisors" not in read(tmp_path / "out" / "labels.jsonl")[0]

    error = inside("label_weak.py", f"--model={model},,{model}", "--data=none",
                   f"--out={tmp_path}/none", ok=False)[2]
    assert "between two commas there is no model" in error and error.count("\n") == 1


def test_a_test_file_of_the_other_form_is_refused(tmp_path):
    data = write(tmp_path / "data.jsonl", [{"id": 1, "text": "t"}])
    test = write(tmp_path / "test.jsonl", [{"id": 1, "choices": ["t", "u"], "label": 0}])
    error = inside("label_weak.py", "--model=none", f"--data={data}", f"--test={test}",
                   f"--out={tmp_path}/out", ok=False)[2]
    assert "the two forms do not mix" in error and error.count("\n") == 1


# ------------------------------------------------------------------------ the report, and staleness

def test_the_report_holds_students_against_all_of_them_together(together):
    report, printed = evaluate_folder(together.results)
    weak, (student,) = report["weak"], report["students"]
    assert weak["name"] == "tiny-bertx2parts" and report["seeds"] == 2
    assert not left_out(printed) and student["controls"]["shuffled"]["seeds"] == 2

    found = [metrics_of(together.results / seed / "labels_tiny-bertx2parts")
             for seed in ("seed0", "seed1")]
    assert weak["accuracy"] == pytest.approx((found[0]["accuracy"] + found[1]["accuracy"]) / 2)
    alone = [sum(of_seeds) / 2 for of_seeds in zip(*(of_seed["alone"] for of_seed in found))]
    assert weak["alone"] == pytest.approx(alone)
    said = f"The weak supervisor is the mean of 2: {alone[0]:.3f}, {alone[1]:.3f} alone."
    assert said in (together.results / "report.md").read_text()


def test_a_rerun_does_nothing(together):
    assert all("up to date" in printed for _, printed in together())


def test_labels_are_old_where_one_of_the_supervisors_is_another_now(together, tmp_path):
    results = shutil.copytree(together.results, tmp_path / "reviews")
    config = results / "seed1" / "weak_tiny-bert-2of2" / "model" / "config.json"
    config.write_text(config.read_text() + "\n")
    report, printed = evaluate_folder(results)
    assert report["seeds"] == 1
    name = "seed1/tiny-bertx2parts-to-tiny-llama_xent"
    assert left_out(printed) == [name, f"{name}-shuffled"]


def test_labels_of_one_supervisor_are_old_where_it_is_another_now(tmp_path):
    seed = tmp_path / "task" / "seed0"
    labels = write(seed / "labels_a" / "labels.jsonl", [{}])
    for model in ("as it was", "another"):
        (seed / "weak_a" / "model").mkdir(parents=True, exist_ok=True)
        (seed / "weak_a" / "model" / "weights").write_text(model)
        if model == "as it was":
            was = stage.fingerprint(seed / "weak_a" / "model")
            write(seed / "labels_a" / "run.json", [{"inputs": {"model": was}}])
        for name, right in [("weak_a", WEAK), ("ceiling_b", CEILING), ("a-to-b_xent", STUDENT)]:
            learned = {"labels": stage.fingerprint(labels)} if "xent" in name else {}
            finished(seed / name, right, 1, inputs=learned)
        status, _, error = inside("evaluate_pgr.py", seed.parent, ok=model == "as it was")
        assert ("was trained on other data or labels" in error) == (model == "another")


@pytest.mark.parametrize("change", ["lr", "number"])
def test_seeds_whose_supervisors_were_made_otherwise_are_not_pooled(together, tmp_path, change):
    results = shutil.copytree(together.results, tmp_path / "reviews")
    weak = "labels_tiny-bertx2parts" if change == "number" else "weak_tiny-bert-2of2"
    file = results / "seed0" / weak / "run.json"
    run = json.loads(file.read_text())
    run["args"]["supervisors" if change == "number" else "lr"] = 7
    file.write_text(json.dumps(run))
    report, printed = evaluate_folder(results)
    assert report["seeds"] == 1 and len(left_out(printed)) == 2


def test_a_supervisor_of_the_loss_before_an_edit_is_named(together, tmp_path):
    results = shutil.copytree(together.results, tmp_path / "reviews")
    for seed in ("seed0", "seed1"):
        file = results / seed / "weak_tiny-bert-1of2" / "run.json"
        run = json.loads(file.read_text())
        file.write_text(json.dumps(run | {"loss_source": "an earlier one"}))
    _, printed = evaluate_folder(results)
    said = "of an earlier version of their loss in losses.py: "
    assert f"{said}seed0/weak_tiny-bert-1of2, seed1/weak_tiny-bert-1of2;" in printed


# --------------------------------------------------------------------------------------- the parts

def dealt(made, count):
    return [parts.rows_of_part("train.jsonl", made, f"{i}/{count}") for i in range(1, count + 1)]


@pytest.mark.parametrize("order", ["in turn", "one class first"])
def test_parts_have_no_line_in_common_and_as_many_of_each_class(order):
    made = [{"id": str(i), "label": i % 2} for i in range(60)]
    if order != "in turn":
        made.sort(key=lambda row: row["label"])
    found = dealt(made, 3)
    ids = [row["id"] for part in found for row in part]
    assert sorted(ids) == sorted(row["id"] for row in made)
    for part in found:
        assert len(part) == 20 and sum(row["label"] for row in part) == 10
        assert part == [row for row in made if row in part]  # in their order


def test_rows_that_share_a_group_are_in_one_part():
    made = [{"id": str(i), "group": i // 5 if i < 50 else None, "label": i % 2} for i in range(80)]
    found = dealt(made, 2)
    groups = [{row["group"] for row in part} - {None} for part in found]
    assert all(groups) and not groups[0] & groups[1] and len(groups[0] | groups[1]) == 10
    assert sum(map(len, found)) == 80


@pytest.mark.parametrize("part, message", [
    ("0/3", "such as 1/3 is needed"), ("4/3", "such as 1/3 is needed"),
    ("a third", "such as 1/3 is needed"), ("9/9", "does not have examples of all classes")])
def test_a_part_that_is_none(tmp_path, part, message):
    lines = [{"id": i, "text": f"t {i}", "label": i % 2} for i in range(12)]
    data = write(tmp_path / "train.jsonl", lines)
    error = inside("train_weak.py", "--model=none", f"--train={data}", f"--test={data}",
                   f"--part={part}", f"--out={tmp_path / 'out'}", ok=False)[2]
    assert message in error and error.count("\n") == 1


def test_a_supervisor_of_a_part_saw_nothing_else(together, tiny, tmp_path):
    made = read(together.data / "weak_train.jsonl")
    part = write(tmp_path / "part.jsonl", parts.rows_of_part("", made, "1/2"))
    inside("train_weak.py", f"--model={tiny['bert']}", f"--train={part}", "--seed=1000",
           f"--test={together.data}/test.jsonl", f"--task={together.data}/task.json", *TRAINING,
           f"--out={tmp_path}/out")
    assert len(read(part)) == len(made) / 2
    ours = (tmp_path / "out" / "predictions.jsonl").read_bytes()
    assert ours == (together.seed / "weak_tiny-bert-1of2" / "predictions.jsonl").read_bytes()
