"""Test predictions -> accuracy, PGR, agreement, calibration: tables, report.json and pictures.

    python evaluate_pgr.py results/sciq                      # every seed, pair and student found there
    python evaluate_pgr.py --weak=A.jsonl --ceiling=B.jsonl --students=C.jsonl,D.jsonl --out=DIR

PGR = (student - weak) / (ceiling - weak), the performance gap recovered, in test accuracy (Burns et al. 2023, arXiv
2312.09390). A prediction file holds {"id", "label", "probs": [p0, p1]} a line; files are joined by id.

Writes pgr.png, agreement.png (imitation), confidence.png; curves.png where training was evaluated on its way (--evals), and
scaling.png where a supervisor has students of several sizes.
"""

import functools
import json
import os
import re
from pathlib import Path

import numpy as np

import records
import report
import source
import stage


def main(
    results="",   # folder of seed<k>/{weak_W, ceiling_S, W-to-S_LOSS}/predictions.jsonl
    weak="",      # or: predictions of the weak supervisor,
    ceiling="",   # of the strong ceiling,
    students="",  # and of the students, separated by commas
    out="",       # folder to write; with results, that folder itself
):
    left_out = []
    if results:
        pairs, left_out = find_pairs(Path(results))
    elif weak and ceiling and students and out:
        weak, ceiling, students = str(weak), str(ceiling), re.split(r"(?<=\.jsonl),", str(students))  # a folder's name may hold commas: conf:alpha=0.75,warmup=0.1
        names = {path: Path(path).parent.name if Path(path).stem == "predictions" else Path(path).stem
                 for path in [weak, ceiling, *students]}
        if len(set(names.values())) < len(names):
            names = {path: path for path in names}
        pairs = [[names[weak], names[ceiling], {names[path]: [[weak, ceiling, path]] for path in students}]]
    else:
        stage.refuse("give a results folder, or --weak, --ceiling, --students and --out")
    out = out or results
    files = sorted({path for *_, found in pairs for runs in found.values() for run in runs for path in run})
    curves = [str(curve) for curve in map(report.curve_beside, files) if curve]
    sizes = {ceiling: size for _, ceiling, found in pairs if (size := parameters(Path(next(iter(found.values()))[0][1]).parent))}
    outdated = [str(folder) for folder in sorted({Path(run[2]).parent for *_, found in pairs for runs in found.values() for run in runs}) if has_changed(folder)]
    run = stage.start({"out": out, "pairs": pairs, "sizes": sizes, "left_out": left_out, "outdated": outdated, **{path: path for path in files + curves}}, inputs=files + curves,
                      code=[__file__, "report.py", "metrics.py", "figures.py"])
    if not run:
        return print("\n" + (Path(out) / "report.md").read_text(encoding="utf-8"), end="")
    import figures  # and with it matplotlib

    label, p1 = read_all(files)
    reports = [report.pair(*pair, label, p1) for pair in pairs]
    by_size = report.scaling(reports, sizes)
    table = "\n\n".join([*map(report.tables, reports), *report.scaling_tables(by_size)]) + "\n"
    if left_out:
        table += "\n" + "".join(f"- Warning: left out: {folder} was trained on other labels or with other settings than the ceiling beside it, or "
                                "with other settings or another version of its loss than the newest of its seeds; run it again, or remove it.\n"
                                for folder in left_out)
    if outdated:
        table += "\n" + "".join(f"- Warning: {folder} was trained with its loss as it was in losses.py before the last edit; LOSSES=... trains it again.\n" for folder in outdated)
    text = json.dumps({**reports[0], "more_pairs": reports[1:]}, indent=1, default=lambda value: value.item()) + "\n"
    pictures = {"pgr.png": figures.accuracy, "agreement.png": figures.imitation, "confidence.png": figures.confidence}
    if any("curve" in student for found in reports for student in found["students"]):
        pictures["curves.png"] = figures.curves
    outputs = {"report.json": text, "report.md": table, **{name: functools.partial(draw, reports) for name, draw in pictures.items()}}
    if by_size:
        outputs["scaling.png"] = functools.partial(figures.scaling, by_size)
    stage.finish(run, {}, outputs)
    print(f"{table}\n-> {out}/{', '.join(outputs)}")


def find_pairs(results):
    """[[weak name, ceiling name, {student: [[weak, ceiling, student, *chain] prediction files, a list a seed]}], ...], and the
    folders of students that are left out."""
    pairs, left_out = {}, []
    for path in sorted(results.glob("seed*/*-to-*_*/predictions.jsonl")):
        student, seed = path.parent, path.parent.parent
        if not re.fullmatch(r"seed\d+", seed.name):
            continue  # a copy, say
        weaks, ceilings = ([file.parent.name.removeprefix(role) for file in sorted(seed.glob(f"{role}*/predictions.jsonl"))] for role in ("weak_", "ceiling_"))
        named = [(weak, ceiling) for weak in weaks for ceiling in ceilings if student.name.startswith(f"{weak}-to-{ceiling}_")]
        if named:
            names = max(named, key=lambda names: len("".join(names)))  # of m and m_v2 the longer
            weak, ceiling = seed / f"weak_{names[0]}", seed / f"ceiling_{names[1]}"
            name = student.name.removeprefix("-to-".join(names) + "_")
            links = [seed / link for link in teachers(f"{names[0]}-to-", name)]
            taught = zip([weak, *links], [*links, student])  # each by the one before it
            if differs(student, ceiling) or any(stale(*both, weak, ceiling) for both in taught):
                left_out.append(str(student))
            else:
                chain = links if all((link / "predictions.jsonl").exists() for link in links) else []
                files = [str(folder / "predictions.jsonl") for folder in (weak, ceiling, student, *chain)]
                pairs.setdefault(names, {}).setdefault(name, []).append(files)
    for students in pairs.values():
        for name, runs in students.items():
            recipes = {files[2]: [recipe(Path(file).parent) for file in files[:3]] for files in runs}
            newest = recipes[max(recipes, key=os.path.getmtime)]
            left_out += [str(Path(file).parent) for file, found in recipes.items() if found != newest]
            students[name] = [files for files in runs if recipes[files[2]] == newest]
    if not pairs:
        stage.refuse(f"{results}: no student found with its weak supervisor and ceiling beside it; run_all.sh makes them" + "".join(
            f"; {folder} was trained on other labels or with other settings" for folder in left_out[:1]))
    return [[*names, dict(sorted(students.items(), key=lambda item: (item[0] != "xent", item[0] != "conf", item[0])))]
            for names, students in sorted(pairs.items())], left_out


def teachers(begin, student):
    """The folders of the models between in a chain: begin "a-to-", student "xent-via-b,c" -> a-to-b_xent, a-to-c_xent-via-b."""
    loss, _, via = student.partition("-via-")
    via = via.split(",") if via else []
    return [f"{begin}{name}_{loss}" + ("-via-" + ",".join(via[:i]) if i else "") for i, name in enumerate(via)]


def has_changed(folder):
    """Whether a student's loss is no longer what it was when it was trained."""
    run = stage.run_of(folder)
    loss = run.get("args", {}).get("loss")
    try:
        return bool(loss and "loss_source" in run) and run["loss_source"] != source.loss_source(source.parse_loss(loss)[0])
    except SystemExit:  # it is not there any more
        return True


def recipe(folder):
    """What must be alike in the runs of all seeds: settings, code, and the loss as it was then."""
    run = stage.run_of(folder)
    return {key: value for key, value in run.get("args", {}).items() if key not in ("seed", *stage.HOW)}, run.get("code"), run.get("loss_source")


def stale(teacher, pupil, first, ceiling):
    """Whether a pupil learned from other labels than its teacher gives today, or these are of an earlier model of the teacher's."""
    labels = teacher.with_name("labels_" + teacher.name.removeprefix("weak_" * (teacher == first)))
    run = stage.run_of(pupil)
    used, truth = (its.get("inputs", {}).get("labels", {}).get("sha256") for its in (run, stage.run_of(ceiling)))
    if not used or used == truth and run.get("stage") == "prompt_strong":  # shots may have ground truth
        return False
    made_by = stage.run_of(labels).get("inputs", {}).get("model")
    changed = made_by and (teacher / "model").exists() and stage.fingerprint(teacher / "model", made_by)["sha256"] != made_by["sha256"]
    return bool(changed) or used != stage.fingerprint(labels / "labels.jsonl")["sha256"]


def differs(student, ceiling):
    """Whether a student's run.json tells of other code, inputs or settings than the ceiling's: the two may differ in nothing but
    labels and loss. One that is probed or prompted beside a finetuned ceiling must have its model and its test data."""
    ours, theirs = stage.run_of(student), stage.run_of(ceiling)
    if not {"args", "inputs"} <= ours.keys() & theirs.keys():
        return False  # predictions that come from elsewhere
    mine, its = ({**run["args"], **{key: given["sha256"] for key, given in run["inputs"].items()}, "code": run.get("code")} for run in (ours, theirs))
    if ours.get("stage") == "prompt_strong" or ours["args"].get("linear_probe") and not theirs["args"].get("linear_probe"):
        first = student.with_name(student.name.removesuffix("-then-probe"))
        if first != student:
            its["model"] = stage.fingerprint(first / "model", ours["inputs"].get("model"))["sha256"]
        return any(mine.get(key) != its.get(key) for key in ("model", "test", "task"))
    return any(mine.get(key) != its.get(key) for key in (mine.keys() | its.keys()) - {"loss", "labels", "weak", *stage.HOW})


def parameters(folder):
    """How many weights the model of a run has; 0 where it does not say so, or was tuned on the topic first."""
    return 0 if folder.name.endswith("-generative") else stage.run_of(folder).get("metrics", {}).get("parameters", 0)


def read_all(files):
    """(n,) labels and {file: (n,) p1}, in the order of the ids. Files that do not hold the same ids are refused."""
    labels, p1 = {}, {}
    for path in files:
        rows = {row["id"]: row for row in records.read_jsonl(path, "id", "label", "probs")}
        labels = labels or {key: rows[key]["label"] for key in sorted(rows)}
        if single := labels.keys() ^ rows.keys():
            stage.refuse(f"{path} and {files[0]} do not hold the same ids, so they cannot be compared: {min(single)} is in one only")
        for key in labels:
            if labels[key] != rows[key]["label"]:
                stage.refuse(f"{path} and {files[0]} disagree about the label of {key}")
        p1[path] = np.array([rows[key]["probs"][1] for key in labels])
    return np.array(list(labels.values())), p1


if __name__ == "__main__":
    stage.cli(main)
