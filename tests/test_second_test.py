"""A second test file, --test2: what the stages write of it, and what the report tells of it."""

import json

import pytest
from conftest import ROOT, inside, line_inside, read, recorded, reviews, rows, write
from test_evaluate_pgr import CEILING, STUDENT, WEAK, evaluate_folder, predictions
from test_pairs import finished

FLAGS = ["--epochs=1", "--lr=3e-3"]


@pytest.fixture(scope="module")
def line(tiny, tmp_path_factory):
    """(folder, train): data of two kinds; and how a stage trains there, on its flags."""
    folder = tmp_path_factory.mktemp("second")
    made = [{"id": f"r{i}", **row} for i, row in enumerate(rows(80))]
    data = write(folder / "data.jsonl", made[:40])
    second = write(folder / "second.jsonl", made[40:])
    write(folder / "labels.jsonl", [{**row, "probs": [1 - row["label"], row["label"]]}
                                    for row in made[:40]])

    def train(script, name, *flags, test2=second, ok=True):
        out = folder / "results" / "seed0" / name
        words = [f"--model={tiny['bert']}", f"--test={data}", *FLAGS, *flags]
        if test2:
            words.append(f"--test2={test2}")
        return inside(script, *words, f"--out={out}", ok=ok)[1:]

    train("train_weak.py", "weak_a", f"--train={data}")
    train("train_strong.py", "ceiling_b", f"--labels={data}")
    train("train_strong.py", "a-to-b_xent", f"--labels={folder}/labels.jsonl")
    train("train_strong.py", "a-to-b_conf", f"--labels={folder}/labels.jsonl", "--loss=conf",
          test2="")
    return folder, train


def test_predictions_are_those_of_the_same_model(line):
    """A model tested on the second file alone makes the same of it; and training is the same."""
    folder, train = line
    seed = folder / "results" / "seed0"
    trained = [("train_weak.py", "weak_a", f"--train={folder}/data.jsonl"),
               ("train_strong.py", "a-to-b_xent", f"--labels={folder}/labels.jsonl")]
    for script, name, flag in trained:
        train(script, "../../plain", flag, test2="")
        plain = (folder / "plain" / "predictions.jsonl").read_bytes()
        assert plain == (seed / name / "predictions.jsonl").read_bytes()
        assert not (folder / "plain" / "predictions2.jsonl").exists()

        train(script, "../../plain", flag, f"--test={folder}/second.jsonl", test2="")
        ours = read(seed / name / "predictions2.jsonl")
        theirs = read(folder / "plain" / "predictions.jsonl")
        assert [row["id"] for row in ours] == [f"r{i}" for i in range(40, 80)]
        for one, other in zip(ours, theirs):
            assert one["label"] == other["label"]
            assert one["probs"] == pytest.approx(other["probs"], abs=2e-6)
        (folder / "plain" / "run.json").unlink()


def test_the_report_has_tables_of_the_second_file(line):
    """The student that was not tested on it is in the first table alone, and not left out."""
    folder, _ = line
    printed = inside("evaluate_pgr.py", folder / "results")[1]
    report = json.loads((folder / "results" / "report.json").read_text())
    assert [student["name"] for student in report["students"]] == ["xent", "conf"]
    second, = report["second_test"]
    assert [student["name"] for student in second["students"]] == ["xent"]
    made = read(folder / "results" / "seed0" / "a-to-b_xent" / "predictions2.jsonl")
    right = [row["probs"][row["label"]] > 0.5 for row in made]
    assert second["students"][0]["accuracy"] == pytest.approx(sum(right) / 40)
    first, title, of_second = printed.partition(f"The same models on {folder}/second.jsonl:")
    assert title and "left out" not in printed
    # what the columns are is explained once
    for explained in ("is one standard error", "Brier score;"):
        assert explained in first and explained not in of_second


def test_a_model_tested_on_another_second_file_is_not_held_against_them(line, tmp_path):
    folder, train = line
    other = write(tmp_path / "other.jsonl", read(folder / "second.jsonl")[:20])
    train("train_strong.py", "a-to-b_entropy", f"--labels={folder}/labels.jsonl",
          "--loss=entropy", test2=other)
    inside("evaluate_pgr.py", folder / "results")
    report = json.loads((folder / "results" / "report.json").read_text())
    assert len(report["students"]) == 3
    second, = report["second_test"]
    assert [student["name"] for student in second["students"]] == ["xent"]


def test_a_second_file_that_is_wrong_is_refused_before_training(line, tmp_path):
    _, train = line
    bad = write(tmp_path / "bad.jsonl", [{"id": "a", "text": "a film", "label": 2}])
    error = train("train_weak.py", "../../bad", f"--train={line[0]}/data.jsonl",
                  test2=bad, ok=False)[1]
    assert f"{bad}:1: label 2 is none of the 2 classes that are trained, 0 to 1" in error
    assert error.count("\n") == 1
    error = train("train_weak.py", "../../bad", f"--train={line[0]}/data.jsonl",
                  test2=tmp_path / "no.jsonl", ok=False)[1]
    assert f"cannot read {tmp_path}/no.jsonl" in error


def test_run_all_gives_it_to_what_is_trained(tmp_path):
    commands = recorded(tmp_path, ROOT / "run_all.sh", "a", "b", "c.jsonl", "--test2=other.jsonl")
    given = [command[1].split("/")[-1] for command in commands if "--test2=other.jsonl" in command]
    students = ["train_strong.py"] * 3
    assert given == ["train_weak.py", *students]

    # together they have a floor of their own
    commands = recorded(tmp_path, ROOT / "run_all.sh", "a", "b", "c.jsonl", "--test2=other.jsonl",
                        SUPERVISORS="2")
    given = [command[1].split("/")[-1] for command in commands if "--test2=other.jsonl" in command]
    assert given == ["train_weak.py", "train_weak.py", "label_weak.py", *students]


def test_supervisors_that_label_together_have_a_floor_on_it(tiny, tmp_path):
    """It is the mean of what each of them makes of it; a rerun does nothing."""
    test2 = write(tmp_path / "other.jsonl", [{"id": i, **row} for i, row in enumerate(rows(40, 1))])
    places = {"DATA": str(tmp_path / "data"), "RESULTS": str(tmp_path / "results")}

    def line():
        return line_inside(tmp_path, tiny["bert"], tiny["llama"], reviews(tmp_path), *FLAGS,
                           f"--test2={test2}", LOSSES="xent", SUPERVISORS="2", **places)

    line()
    results = tmp_path / "results" / "reviews"
    labels = results / "seed0" / "labels_tiny-bertx2"
    weak = [results / "seed0" / f"weak_tiny-bert-run{i}" for i in (1, 2)]
    made = [read(folder / "predictions2.jsonl") for folder in [labels, *weak]]
    for row, one, other in zip(*made, strict=True):
        assert (row["id"], row["label"]) == (one["id"], one["label"])
        mean = (one["probs"][1] + other["probs"][1]) / 2
        assert row["probs"][1] == pytest.approx(mean, abs=3e-6)

    second, = json.loads((results / "report.json").read_text())["second_test"]
    alone = [accuracy(folder) for folder in made[1:]]
    assert second["weak"]["alone"] == pytest.approx(alone)
    assert second["weak"]["accuracy"] == pytest.approx(accuracy(made[0]))
    assert [student["name"] for student in second["students"]] == ["xent"]
    of_second = (results / "report.md").read_text().partition("The same models on")[2]
    assert f"the mean of 2: {alone[0]:.3f}, {alone[1]:.3f} alone." in of_second
    assert all("up to date" in printed for _, printed in line())


def accuracy(made):
    return sum((row["probs"][1] > 0.5) == row["label"] for row in made) / len(made)


def test_a_second_file_of_the_other_form_is_refused_by_who_labels(tmp_path):
    data = write(tmp_path / "data.jsonl", [{"id": 1, "text": "t"}])
    test2 = write(tmp_path / "test2.jsonl", [{"id": 1, "choices": ["t", "u"], "label": 0}])
    error = inside("label_weak.py", "--model=none", f"--data={data}", f"--test2={test2}",
                   f"--out={tmp_path}/out", ok=False)[2]
    assert f"{test2}: " in error and "the two forms do not mix" in error
    assert error.count("\n") == 1


def test_the_second_tables_hold_a_ladder_and_warnings_without_advice(tmp_path):
    """The second file turns what the models are worth around: there the ceiling is worst."""
    seed = tmp_path / "task" / "seed0"
    test2 = {"test2": {"path": "other.jsonl", "sha256": "the other"}}
    for name, right, right2 in [("ceiling_s", CEILING, {0}), ("weak_a", WEAK, WEAK),
                                ("weak_b", {0}, CEILING), ("weak_c", {0, 1, 2}, STUDENT),
                                *[(f"{weak}-to-s_xent", STUDENT, STUDENT) for weak in "abc"]]:
        finished(seed / name, right, 1, inputs=test2)
        predictions(seed / name / "predictions2.jsonl", right2, copies=10)
    _, printed = evaluate_folder(tmp_path / "task")
    first, _, of_second = printed.partition("The same models on other.jsonl:")
    assert "| b (0.100) | c (0.300) | a (0.500) |" in first
    assert "| a (0.500) | c (0.700) | b (0.900) |" in of_second
    assert "there is nothing to recover, and no PGR.\n" in of_second
    assert "See whether the ceiling" not in printed
