"""Three classes of text and four choices, from the supervisor to the student."""

import json
import random

import pytest
import torch
from conftest import FILLERS, inside, read, write

from w2s import records

THREE, FOUR = ("fine", "dull", "odd"), ("fine", "dull", "odd", "long")


def texts(n, seed):
    """n made-up reviews of three classes, told apart by one word."""
    draw, made = random.Random(seed), []
    for i in range(n):
        words = draw.choices(FILLERS, k=3) + [THREE[i % 3]]
        draw.shuffle(words)
        made.append({"id": f"{seed}-{i}", "text": " ".join(words), "label": i % 3})
    return made


def choices(n, seed):
    """n lists of four made-up reviews, of which one is fine."""
    draw, made = random.Random(seed), []
    for i in range(n):
        label = draw.randrange(4)
        four = [" ".join(draw.choices(FILLERS, k=5)) + f" {'fine' if j == label else 'dull'}"
                for j in range(4)]
        made.append({"id": f"{seed}-{i}", "choices": four, "label": label})
    return made


@pytest.fixture(scope="module", params=["texts", "choices"])
def line(request, tiny, tmp_path_factory):
    """Folders of a supervisor of more than two classes, its labels, a student."""
    folder = tmp_path_factory.mktemp(request.param)
    make = texts if request.param == "texts" else choices
    for seed, name in enumerate(("weak_train", "transfer", "test")):
        write(folder / f"{name}.jsonl", make(96, seed))
    test = f"--test={folder}/test.jsonl"
    recipe = "--epochs=8", "--batch_size=8", "--lr=5e-3"
    for name, seed in (("weak", 0), ("other", 1)):
        inside("train_weak.py", f"--model={tiny['bert']}", test, *recipe, f"--seed={seed}",
               f"--train={folder}/weak_train.jsonl", f"--out={folder}/{name}")
    inside("label_weak.py", f"--model={folder}/weak/model,{folder}/other/model", test,
           f"--data={folder}/transfer.jsonl", f"--out={folder}/labels")
    line = Line(folder, tiny, test, recipe, 3 if request.param == "texts" else 4)
    for loss in ("xent", "conf"):
        line.student(loss, "labels", loss)
    return line


class Line:
    def __init__(self, folder, tiny, test, recipe, classes):
        self.folder, self.tiny, self.test = folder, tiny, test
        self.recipe, self.classes = recipe, classes

    def student(self, loss, labels, out, *flags):
        inside("train_strong.py", f"--model={self.tiny['llama']}", self.test, f"--loss={loss}",
               f"--labels={self.folder}/{labels}/labels.jsonl", *self.recipe, *flags,
               f"--out={self.folder}/{out}")
        return self.metrics(out)["accuracy"]

    def metrics(self, out):
        return json.loads((self.folder / out / "run.json").read_text())["metrics"]


def test_all_have_as_many_probabilities_and_learn(line):
    for file in ("weak/predictions.jsonl", "labels/labels.jsonl", "labels/predictions.jsonl",
                 "xent/predictions.jsonl", "conf/predictions.jsonl"):
        for row in read(line.folder / file):
            assert len(row["probs"]) == line.classes and abs(sum(row["probs"]) - 1) < 1e-5
    for name in ("weak", "labels", "xent", "conf"):
        assert line.metrics(name)["accuracy"] > 0.6, name


def test_the_labels_of_several_are_their_mean_with_what_each_said(line):
    for row in read(line.folder / "labels" / "labels.jsonl"):
        one, other = row["supervisors"]
        for p, of_one, of_other in zip(row["probs"], one, other, strict=True):
            assert p == pytest.approx((of_one + of_other) / 2, abs=3e-6)


@pytest.mark.parametrize("flags", [["--microbatch=3"], ["--evals=2"], ["--lora=2"]])
def test_a_student_however_it_is_trained(line, flags):
    accuracy = line.student("conf", "labels", "-".join(flags), *flags)
    assert accuracy > 1.4 / line.classes  # clearly above a guess


def test_controls_and_filters(line):
    labels = f"--labels={line.folder}/labels/labels.jsonl"
    inside("control_labels.py", labels, "--kind=uniform", f"--out={line.folder}/uniform")
    for row in read(line.folder / "uniform" / "labels.jsonl"):
        assert row["probs"] == pytest.approx([1 / line.classes] * line.classes, abs=3e-6)
    inside("control_labels.py", labels, f"--out={line.folder}/shuffled")
    pairs = [read(line.folder / name / "labels.jsonl") for name in ("labels", "shuffled")]
    assert sorted(row["probs"] for row in pairs[0]) == sorted(row["probs"] for row in pairs[1])

    for by in ("confidence", "unanimity", "random"):
        inside("filter_labels.py", labels, f"--by={by}", f"--out={line.folder}/{by}")
        kept = read(line.folder / by / "labels.jsonl")
        assert len(kept) == 48
        counts = line.metrics(by)["class_counts"]
        assert sum(counts) == 48 and max(counts) - min(counts) <= 4


def test_trust_of_supervisors_that_learned_parts(line):
    models = []
    for part in (1, 2):
        inside("train_weak.py", f"--model={line.tiny['bert']}", f"--part={part}/2", line.test,
               f"--train={line.folder}/weak_train.jsonl", "--epochs=1",
               f"--out={line.folder}/part{part}")
        models.append(f"{line.folder}/part{part}/model")
    inside("label_weak.py", f"--model={','.join(models)}", f"--data={line.folder}/transfer.jsonl",
           f"--out={line.folder}/of-parts")
    inside("filter_labels.py", f"--labels={line.folder}/of-parts/labels.jsonl", "--by=trust",
           f"--model={','.join(models)}", f"--train={line.folder}/weak_train.jsonl",
           f"--out={line.folder}/trusted")
    assert len(read(line.folder / "trusted" / "labels.jsonl")) == 48


def test_true_labels_are_certain(line):
    inside("label_weak.py", f"--model={line.folder}/weak/model", "--truth=1",
           f"--data={line.folder}/transfer.jsonl", f"--out={line.folder}/true")
    truth = {row["id"]: row["label"] for row in read(line.folder / "transfer.jsonl")}
    for row in read(line.folder / "true" / "labels.jsonl"):
        assert row["probs"][truth[row["id"]]] == 1 and sum(row["probs"]) == 1


def test_a_probe_of_it(line):
    assert line.student("xent", "labels", "probe", "--linear_probe") > 1 / line.classes


def test_three_label_words_are_asked_for(line, tiny, tmp_path):
    if line.classes == 4:
        pytest.skip("choices are not asked for")
    words = [" fine", " dull", " odd"]
    (tmp_path / "task.json").write_text(json.dumps({"label_words": words}))
    inside("prompt_strong.py", f"--model={tiny['llama']}", f"--task={tmp_path}/task.json",
           line.test, f"--labels={line.folder}/labels/labels.jsonl", "--shots=2",
           f"--out={tmp_path}/asked")
    assert {len(row["probs"]) for row in read(tmp_path / "asked" / "predictions.jsonl")} == {3}
    assert len(json.loads((tmp_path / "asked" / "run.json").read_text())["metrics"]["prior"]) == 3


def supervisor_of_two_classes(line, tiny, folder):
    """A model that was trained on two of the classes, and their data."""
    two = [row for row in read(line.folder / "weak_train.jsonl") if row["label"] < 2]
    data = write(folder / "two.jsonl", two)
    inside("train_weak.py", f"--model={tiny['bert']}", f"--train={data}", f"--test={data}",
           "--epochs=0", f"--out={folder}/weak")
    return folder / "weak" / "model", data


def test_a_supervisor_that_knows_fewer_classes_than_the_data_is_refused(line, tiny, tmp_path):
    if line.classes == 4:
        pytest.skip("of choices the number shows")
    model, _ = supervisor_of_two_classes(line, tiny, tmp_path)
    error = inside("label_weak.py", f"--model={model}", line.test,
                   f"--data={line.folder}/transfer.jsonl", f"--out={tmp_path}/out", ok=False)[2]
    assert "tells 2 classes apart, the data has 3" in error and error.count("\n") == 1


def test_the_report_of_them(line, tmp_path):
    files = [f"--{role}={line.folder}/{name}/predictions.jsonl" for role, name in (
        ("weak", "labels"), ("ceiling", "xent"), ("students", "conf"))]
    printed = inside("evaluate_pgr.py", *files, f"--out={tmp_path}")[1]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["students"][0]["accuracy"] == pytest.approx(line.metrics("conf")["accuracy"])
    assert len(report["class_shares"]) == line.classes
    assert "brier" in printed and "auc" not in printed
    assert (tmp_path / "confidence.png").exists()


def test_a_student_that_always_says_one_class_is_named(tmp_path):
    made = [{"id": i, "label": i % 3, "probs": [0.2, 0.2, 0.6]} for i in range(60)]
    good = [{**row, "probs": [0.8 * (row["label"] == k) + 0.1 for k in range(3)]} for row in made]
    good = [{**row, "probs": [p / sum(row["probs"]) for p in row["probs"]]} for row in good]
    weak, student = write(tmp_path / "good.jsonl", good), write(tmp_path / "same.jsonl", made)
    printed = inside("evaluate_pgr.py", f"--weak={weak}", f"--ceiling={weak}",
                     f"--students={student}", f"--out={tmp_path}")[1]
    assert "nearly one class only (100% class 2, in 1 of 1 seeds)" in printed


def test_ties_of_three_classes_are_shared_in_the_report_too(tmp_path):
    tied = ([0.4, 0.4, 0.2], [1 / 3] * 3, [0.2, 0.4, 0.4])
    made = [{"id": i, "label": i % 3, "probs": tied[i // 20]} for i in range(60)]
    path = write(tmp_path / "tied.jsonl", made)
    other = write(tmp_path / "other.jsonl", made)
    inside("evaluate_pgr.py", f"--weak={path}", f"--ceiling={path}", f"--students={other}",
           f"--out={tmp_path}/out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["weak"]["accuracy"] == pytest.approx(records.accuracy(made)["accuracy"])


@pytest.mark.parametrize("probs", [[1 / 3] * 3, [1 / 7] * 7, [0.41234567, 0.41234567, 0.17530866]])
def test_ties_are_written_as_ties(tmp_path, probs):
    made = records.with_probs([{"id": "a", "text": "t"}], torch.tensor([probs]), "id", "text")
    read_again = records.read_labels(write(tmp_path / "labels.jsonl", made))
    expected = records.predicted(probs)
    assert records.predicted(made[0]["probs"]) == expected
    assert records.predicted(read_again[0]["probs"]) == expected
    assert records.with_probs(read_again, [read_again[0]["probs"]], "id", "text") == made


def test_supervisors_of_other_numbers_of_classes_do_not_label_together(line, tiny, tmp_path):
    if line.classes == 4:
        pytest.skip("of choices the number shows")
    model, data = supervisor_of_two_classes(line, tiny, tmp_path)
    error = inside("label_weak.py", f"--model={model},{line.folder}/weak/model",
                   f"--data={data}", f"--out={tmp_path}/out", ok=False)[2]
    assert "not tell the same number of classes apart" in error and error.count("\n") == 1
