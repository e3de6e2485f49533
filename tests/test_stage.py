"""What makes a run up to date."""

import shutil
from pathlib import Path

import pytest
from conftest import CODE, edit, inside, project, read, rows, start, write

from w2s import source, stage


def test_up_to_date_means_same_arguments_inputs_code_and_outputs(tmp_path, monkeypatch):
    here = project(tmp_path / "project")
    data = write(tmp_path / "mine.jsonl", rows(60))
    out = tmp_path / "data"
    monkeypatch.setattr(source, "HERE", here)

    def fresh(*flags):
        _, printed, _ = inside("prepare_data.py", data, f"--out={out}", *flags)
        return "up to date" not in printed

    assert fresh() and not fresh()

    # an argument
    assert fresh("--max_test=4") and fresh()

    # code: remarks do not count
    remark = "# a remark\n\n\ndef uniform(*key):"
    edit(here / "w2s" / "records.py", "def uniform(*key):", remark)
    assert not fresh()
    edit(here / "w2s" / "records.py", "2**48", "2**48 * 1")
    assert fresh() and not fresh()

    # the content of an input counts, not its date
    write(data, rows(62))
    assert fresh() and not fresh()
    write(data, rows(62))
    assert not fresh()

    # outputs
    (out / "test.jsonl").unlink()
    assert fresh() and not fresh()
    (out / "transfer.jsonl").write_text("")
    assert fresh() and not fresh()
    (out / "run.json").write_text("{")
    assert fresh()


def test_a_crash_while_writing_is_not_taken_for_a_result(tmp_path):
    def crash(path):
        raise KeyboardInterrupt

    out = tmp_path / "seed0" / "run"
    outputs = {"a.txt": "first", "model": Path.mkdir}
    stage.finish(start(out), {"accuracy": 1.0}, outputs)
    assert start(out) is None

    # not done, and nothing lost
    with pytest.raises(KeyboardInterrupt):
        stage.finish(start(out, lr=1), {}, {"a.txt": "second", "b.txt": crash})
    assert start(out, lr=1)
    assert start(out) is None and (out / "a.txt").read_text() == "first"

    stage.finish(start(out, lr=1), {"accuracy": 0.5}, {"a.txt": "second"})
    assert sorted(path.name for path in out.iterdir()) == ["a.txt", "run.json"]
    history = [run["metrics"] for run in read(tmp_path / "history.jsonl")]
    assert history == [{"accuracy": 1.0}, {"accuracy": 0.5}]


def test_model_folder_counts_by_content(tmp_path):
    write(tmp_path / "m" / "config.json", [{"a": 1}])
    first = stage.fingerprint(tmp_path / "m")
    shutil.copytree(tmp_path / "m", tmp_path / "n")
    assert stage.fingerprint(tmp_path / "n")["sha256"] == first["sha256"]
    write(tmp_path / "m" / "config.json", [{"a": 2}])
    assert stage.fingerprint(tmp_path / "m", first)["sha256"] != first["sha256"]
    known = {**first, "path": str(tmp_path / "n")}
    assert stage.fingerprint(tmp_path / "n", known)["sha256"] == first["sha256"]


def test_a_model_is_read_once_for_all_its_students(tmp_path, monkeypatch):
    model, hashed = write(tmp_path / "m" / "config.json", [{"a": 1}]).parent, []
    digest = stage._digest.__wrapped__
    monkeypatch.setattr(stage, "_digest", lambda *stat: hashed.append(stat) or digest(*stat))

    def student(name):
        args = {"out": str(tmp_path / "seed0" / name), "model": str(model)}
        run = stage.start(args, ["model"], CODE)
        stage.finish(run, {}, {"a.txt": "a"})
        return run["inputs"]["model"]["sha256"]

    first = student("a")
    assert student("b") == first and len(hashed) == 1
    write(model / "config.json", [{"a": 23}])
    assert student("c") != first and len(hashed) == 2


def test_an_input_that_changes_under_the_work_is_noticed(tmp_path):
    data = write(tmp_path / "data.jsonl", [{}])
    run = stage.start({"out": str(tmp_path / "out"), "data": str(data)}, ["data"], CODE)
    write(data, [{}, {}])
    with pytest.raises(SystemExit, match="data.jsonl was changed while this run worked on it"):
        stage.finish(run, {}, {"a.txt": "a"})
    assert not (tmp_path / "out" / "run.json").exists()


def test_an_error_of_one_s_own_loss_is_shown_as_it_is():
    with pytest.raises(ZeroDivisionError), stage.explain_divergence([]):
        1 / 0


def test_a_stage_is_a_function_that_takes_a_path(tmp_path):
    run = stage.start({"out": tmp_path / "out"}, [], CODE)
    stage.finish(run, {}, {"a.txt": "a"})
    assert start(tmp_path / "out") is None


def test_what_another_stage_wrote_is_not_written_over(tmp_path):
    stage.finish(start(tmp_path / "out"), {}, {"labels.jsonl": [{}]})
    with pytest.raises(SystemExit, match="out holds what stage.py wrote; give another folder"):
        stage.start({"out": str(tmp_path / "out")}, [], ["w2s/records.py"])
    with pytest.raises(SystemExit, match="--out is empty"):
        start("")

    # what no stage wrote stays
    (tmp_path / "state-dicts").mkdir()
    stage.finish(start(tmp_path), {}, {"a.txt": "a"})
    assert (tmp_path / "state-dicts").exists() and (tmp_path / "out" / "labels.jsonl").exists()
