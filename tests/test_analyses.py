"""Every analysis that analyses.sh can add, on tiny models: the stages it calls, what they leave,
and what the report makes of it."""

import hashlib
import json
import re

import pytest
from conftest import inside, line_inside, read, reviews, rows, write

from w2s import inputs, lineage, probe


@pytest.fixture(scope="module")
def analyses(tiny, tmp_path_factory):
    """The folder of the first seed, after BERT -> GPT-2 -> Llama with all analyses, on Llama as it
    is and tuned on the topic; the data; and what the runs printed, the last one a rerun."""
    folder = tmp_path_factory.mktemp("analyses")
    data = reviews(folder)
    chain = f"{tiny['bert']},{tiny['gpt2']}"
    words = tiny["llama"], data, "--evals=2", "--batch_size=16", "--lr=3e-3"
    environment = {
        "DATA": str(folder / "data"),
        "RESULTS": str(folder / "results"),
        "PROMPT_FLAGS": "--max_tokens=20",
        "GENERATIVE_FLAGS": "--block=32 --epochs=1",
    }

    def run(analysis, losses, control="0"):
        environment.update(LOSSES=losses, CONTROL=control)
        return [
            *line_inside(folder, tiny["bert"], *words, **environment),
            *line_inside(folder, analysis, chain, *words, script="analyses.sh", **environment),
        ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "CACHE", folder / "cache")
        printed = [
            run("probe,prompt,own,chain", "xent conf"),
            run("own,generative,chain", "xent", control="1"),
            run("probe,prompt,own,chain", "xent conf"),
        ]
    return folder / "results" / "reviews" / "seed0", folder / "data" / "reviews", printed


def test_every_student_is_there_and_in_the_report(analyses):
    seed, _, printed = analyses
    made = {path.name for path in seed.iterdir()}
    students = {
        "xent",
        "conf",
        "probe-xent",
        "probe-conf",
        "xent-then-probe",
        "conf-then-probe",
        "xent-via-tiny-gpt2",
        "conf-via-tiny-gpt2",
        "xent-own",
        "conf-own",
        "prompt",
        "prompt-5-weak",
        "prompt-5-true",
    }
    assert {f"tiny-bert-to-tiny-llama_{student}" for student in students} < made
    report = json.loads((seed.parent / "report.json").read_text())
    found = {}
    for pair in [report, *report["more_pairs"]]:
        names = pair["weak"]["name"], pair["ceiling"]["name"]
        found[names] = {student["name"]: student for student in pair["students"]}
    assert found.keys() == {("tiny-bert", "tiny-llama"), ("tiny-bert", "tiny-llama-generative")}
    assert found["tiny-bert", "tiny-llama"].keys() == students
    assert found["tiny-bert", "tiny-llama-generative"].keys() == {
        "xent", "xent-own", "xent-via-tiny-gpt2"}
    for pair in found.values():
        controlled = {name for name, student in pair.items() if student["controls"]}
        assert controlled == ({"xent"} if "conf" in pair else pair.keys())
    assert all("left out" not in text for run in printed for _, text in run)
    tables = (seed.parent / "report.md").read_text()
    assert re.search(
        r"Chain, student: xent-via-tiny-gpt2: "
        r"tiny-bert 0\.\d+ → tiny-gpt2 0\.\d+ → tiny-llama 0\.\d+\.",
        tables,
    )
    for picture in ("pgr", "agreement", "confidence", "curves"):
        assert (seed.parent / f"{picture}.png").read_bytes()[:4] == b"\x89PNG"


def test_a_rerun_does_nothing(analyses):
    _, _, printed = analyses
    again = [text for _, text in printed[-1]]
    assert again and all("up to date" in text for text in again)


def test_a_chain_passes_its_labels_on(analyses):
    seed, _, _ = analyses
    def labels(student):
        return json.loads((seed / student / "run.json").read_text())["inputs"]["labels"]["path"]

    assert labels("tiny-bert-to-tiny-gpt2_xent").endswith("labels_tiny-bert/labels.jsonl")
    assert labels("tiny-bert-to-tiny-llama_xent-via-tiny-gpt2").endswith(
        "labels_tiny-bert-to-tiny-gpt2_xent/labels.jsonl"
    )
    between = read(seed / "labels_tiny-bert-to-tiny-gpt2_xent" / "labels.jsonl")
    assert {tuple(row) for row in between} == {("id", "text", "probs")}
    assert between != read(seed / "labels_tiny-bert" / "labels.jsonl")


def test_the_folders_of_a_chain_of_four():
    assert lineage.teachers("a-to-", "conf:alpha=0.5-via-b,c") == [
        "a-to-b_conf:alpha=0.5",
        "a-to-c_conf:alpha=0.5-via-b",
    ]
    assert lineage.teachers("a-to-", "xent") == []


def test_evaluations_during_training(analyses):
    seed, _, _ = analyses
    for student in (
        "tiny-bert-to-tiny-llama_conf",
        "tiny-bert-to-tiny-llama_probe-conf",
        "ceiling_tiny-llama",
    ):
        folder = seed / student
        curve, predictions = read(folder / "curve.jsonl"), read(folder / "predictions.jsonl")
        points = [point for point in curve if "accuracy" in point]
        assert len(points) == 2
        assert points[-1]["step"] == len(curve)
        assert all(point["held_out_loss"] > 0 for point in points)
        right = sum((row["probs"][1] > 0.5) == row["label"] for row in predictions)
        right /= len(predictions)
        assert points[-1]["accuracy"] == pytest.approx(right)
        if student.startswith("ceiling"):
            assert "agreement" not in points[-1]
        else:
            weak = {
                row["id"]: row["probs"][1] > 0.5
                for row in read(seed / "weak_tiny-bert" / "predictions.jsonl")
            }
            assert points[-1]["agreement"] == pytest.approx(
                sum((row["probs"][1] > 0.5) == weak[row["id"]] for row in predictions)
                / len(predictions)
            )


def digest(name):
    return hashlib.sha256(name.encode()).digest()


def flipped(row):
    return row | {"label": 1 - row["label"]}


def test_held_out_labels_are_not_trained_on_and_are_the_same_for_the_ceiling(
    analyses, tiny, tmp_path
):
    """Other labels for the tenth that is held out change the curve's loss, and not a weight."""
    seed, data, _ = analyses
    transfer = read(data / "transfer.jsonl")
    by_hash = sorted([row["id"] for row in transfer], key=digest)
    held = by_hash[: len(transfer) // 10]
    lines = [flipped(row) if row["id"] in held else row for row in transfer]
    write(tmp_path / "flipped.jsonl", lines)
    files = [f"--labels={tmp_path}/flipped.jsonl", f"--test={data}/test.jsonl",
             f"--task={data}/task.json", f"--out={tmp_path}/out"]
    flags = ["--evals=2", "--batch_size=16", "--lr=3e-3"]
    inside("train_strong.py", f"--model={tiny['llama']}", *files, *flags)
    ceiling = seed / "ceiling_tiny-llama"
    predictions = (tmp_path / "out" / "predictions.jsonl").read_bytes()
    assert predictions == (ceiling / "predictions.jsonl").read_bytes()

    def held_out_losses(folder):
        points = read(folder / "curve.jsonl")
        return [point["held_out_loss"] for point in points if "held_out_loss" in point]

    ours, theirs = held_out_losses(tmp_path / "out"), held_out_losses(ceiling)
    assert all(a != pytest.approx(b) for a, b in zip(ours, theirs))


def test_a_group_that_is_null_is_none():
    made = [{"id": str(i)} for i in range(100)]
    held = inputs.hold_out("labels.jsonl", made)[1]
    grouped = [row | {"group": None} for row in made]
    assert [row["id"] for row in inputs.hold_out("labels.jsonl", grouped)[1]] == [
        row["id"] for row in held]
    assert len(held) == 10


def test_examples_of_a_group_are_held_out_together(analyses, tiny, tmp_path):
    """Forty rows, half of them in one group.

    Another label for all of a group that is held out changes no weight, for any other it does. The
    largest is not the one that is held out, though its hash comes first.
    """
    _, data, _ = analyses
    names = sorted(("g0", "g1", "g2", "g3", "g4", "g5"), key=digest)
    made = [
        {"id": f"r{i}", "group": names[0 if i < 20 else i // 4 - 4], **row}
        for i, row in enumerate(rows(40))
    ]

    def predictions(name, lines):
        labels = write(tmp_path / f"{name}.jsonl", lines)
        files = [f"--labels={labels}", f"--test={data}/test.jsonl", f"--out={tmp_path / name}"]
        flags = ["--evals=1", "--epochs=1", "--lr=1e-2"]
        inside("train_strong.py", f"--model={tiny['gpt2']}", *files, *flags)
        return (tmp_path / name / "predictions.jsonl").read_bytes()

    def changed(group):
        return predictions(
            group, [flipped(row) if row["group"] == group else row for row in made])

    largest, held, other, *_ = names
    base = predictions("base", made)
    assert changed(held) == base and base not in (changed(other), changed(largest))


def test_the_best_step_is_the_one_that_is_kept_and_saved(analyses, tiny, tmp_path):
    seed, data, _ = analyses
    common = [
        f"--labels={seed}/labels_tiny-bert/labels.jsonl",
        f"--test={data}/test.jsonl",
        f"--task={data}/task.json",
    ]
    flags = ["--evals=8", "--epochs=8", "--batch_size=8", "--lr=5e-3", "--keep=best",
             "--save_model", f"--out={tmp_path}/best"]
    inside("train_strong.py", f"--model={tiny['llama']}", *common, *flags)
    curve = read(tmp_path / "best" / "curve.jsonl")
    points = [point for point in curve if "held_out_loss" in point]
    best = min(points, key=lambda point: point["held_out_loss"])
    metrics = json.loads((tmp_path / "best" / "run.json").read_text())["metrics"]
    assert best != points[-1]
    assert metrics["step"] == best["step"]
    assert metrics["accuracy"] == best["accuracy"]
    # the saved model is that one: it predicts the same
    inside("label_weak.py", f"--model={tmp_path}/best/model", f"--data={data}/test.jsonl",
           f"--test={data}/test.jsonl", f"--out={tmp_path}/again")
    best, again = (read(tmp_path / name / "predictions.jsonl") for name in ("best", "again"))
    for ours, theirs in zip(best, again):
        assert ours["probs"] == pytest.approx(theirs["probs"], abs=2e-6)


def test_a_saved_model_is_no_other_run(analyses, tiny, tmp_path):
    seed, data, _ = analyses
    argv = [
        "train_strong.py",
        f"--model={tiny['bert']}",
        f"--labels={seed}/labels_tiny-bert/labels.jsonl",
        f"--test={data}/test.jsonl",
        "--epochs=0",
        f"--out={tmp_path}/out",
    ]
    assert "up to date" not in inside(*argv)[1]
    assert "up to date" not in inside(*argv, "--save_model")[1]  # there is none yet
    assert "up to date" in inside(*argv, "--save_model")[1]
    assert "up to date" in inside(*argv)[1] and (tmp_path / "out" / "model").exists()
