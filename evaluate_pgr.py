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
import re
from pathlib import Path

import numpy as np

import stage


def main(
    results="",   # folder of seed<k>/{weak_W, ceiling_S, W-to-S_LOSS}/predictions.jsonl
    weak="",      # or: predictions of the weak supervisor,
    ceiling="",   # of the strong ceiling,
    students="",  # and of the students, separated by commas
    out="",       # folder to write; with results, that folder itself
):
    if results:
        pairs = find_pairs(Path(results))
    elif weak and ceiling and students and out:
        students = re.split(r"(?<=\.jsonl),", students)  # a folder's name may hold commas: conf:alpha=0.75,warmup=0.1
        names = {path: Path(path).parent.name if Path(path).stem == "predictions" else Path(path).stem
                 for path in [weak, ceiling, *students]}
        if len(set(names.values())) < len(names):
            names = {path: path for path in names}
        pairs = [[names[weak], names[ceiling], {names[path]: [[weak, ceiling, path]] for path in students}]]
    else:
        stage.refuse("give a results folder, or --weak, --ceiling, --students and --out")
    out = out or results
    files = sorted({path for *_, found in pairs for runs in found.values() for run in runs for path in run})
    curves = [curve for curve in (str(Path(path).with_name("curve.jsonl")) for path in files) if Path(curve).exists()]
    sizes = {ceiling: size for _, ceiling, found in pairs if (size := parameters(Path(next(iter(found.values()))[0][1]).parent))}
    run = stage.start({"out": out, "pairs": pairs, "sizes": sizes, **{path: path for path in files + curves}}, inputs=files + curves,
                      code=[__file__, "report.py", "metrics.py", "figures.py"])
    if not run:
        return print("\n" + (Path(out) / "report.md").read_text(encoding="utf-8"), end="")
    import figures
    import report

    label, p1 = read_all(files)
    reports = [report.pair(*pair, label, p1) for pair in pairs]
    by_size = report.scaling(reports, sizes)
    table = "\n\n".join(report.tables(found) for found in reports) + "\n" + (report.scaling_table(by_size, sizes) + "\n" if by_size else "")
    text = json.dumps({**reports[0], **({"more_pairs": reports[1:]} if len(reports) > 1 else {})}, indent=1) + "\n"
    outputs = {"report.json": text, "report.md": table, "pgr.png": functools.partial(figures.accuracy, reports),
               "agreement.png": functools.partial(figures.imitation, reports),
               "confidence.png": functools.partial(figures.confidence, reports)}
    if any("curve" in student for found in reports for student in found["students"]):
        outputs["curves.png"] = functools.partial(figures.curves, reports)
    if by_size:
        outputs["scaling.png"] = functools.partial(figures.scaling, by_size)
    stage.finish(run, {}, outputs)
    print(f"{table}\n-> {out}/{', '.join(outputs)}")


def find_pairs(results):
    """[[weak name, ceiling name, {student: [[weak, ceiling, student, *chain] prediction files, a list a seed]}], ...]"""
    pairs = {}
    for path in sorted(results.glob("seed*/*-to-*_*/predictions.jsonl")):
        seed, student = path.parent.parent, path.parent.name
        named = [(weak, ceiling) for weak in sorted(seed.glob("weak_*/predictions.jsonl"))
                 for ceiling in sorted(seed.glob("ceiling_*/predictions.jsonl")) if student.startswith(prefix(weak, ceiling))]
        if named:
            weak, ceiling = max(named, key=lambda names: len(prefix(*names)))  # of m and m_v2 the longer
            names = weak.parent.name.removeprefix("weak_"), ceiling.parent.name.removeprefix("ceiling_")
            name = student.removeprefix(prefix(weak, ceiling))
            chain = teachers(f"{names[0]}-to-", name)
            labels = seed / f"labels_{[names[0], *chain][-1]}" / "labels.jsonl"
            if differs(path.parent, ceiling.parent, labels):
                print(f"left out: {path.parent} was trained on other labels or with other settings than the ceiling beside it; "
                      "run it again, or remove it")
            else:
                runs = pairs.setdefault(names, {}).setdefault(name, [])
                runs.append([str(weak), str(ceiling), str(path), *(str(seed / link / "predictions.jsonl") for link in chain)])
    if not pairs:
        stage.refuse(f"{results}: no student found with its weak supervisor and ceiling beside it; run_all.sh makes them")
    return [[*names, dict(sorted(students.items(), key=lambda item: (item[0] != "xent", item[0] != "conf", item[0])))]
            for names, students in sorted(pairs.items())]


def prefix(weak, ceiling):
    """How the folders of a pair's students begin."""
    return f"{weak.parent.name.removeprefix('weak_')}-to-{ceiling.parent.name.removeprefix('ceiling_')}_"


def teachers(begin, student):
    """The folders of the models between in a chain: begin "a-to-", student "xent-via-b,c" -> a-to-b_xent, a-to-c_xent-via-b."""
    loss, _, via = student.partition("-via-")
    via = via.split(",") if via else []
    return [f"{begin}{name}_{loss}" + ("-via-" + ",".join(via[:i]) if i else "") for i, name in enumerate(via)]


def differs(student, ceiling, labels):
    """Whether a student's run.json tells of other labels than its supervisor's of today, or of other code, inputs or settings than
    the ceiling's: the two may differ in nothing but labels and loss. Of one that is probed or prompted: of other test data."""
    try:
        runs = [json.loads((folder / "run.json").read_text()) for folder in (student, ceiling)]
        truth, used = (run["inputs"]["labels"]["sha256"] for run in reversed(runs))
    except (OSError, ValueError, KeyError):
        return False  # predictions that come from elsewhere
    recipes = [(run.get("code"), {key: value for key, value in run["args"].items() if key not in ("loss", "weak", *stage.HOW)},
                {key: given["sha256"] for key, given in run["inputs"].items() if key not in ("labels", "weak")}) for run in runs]
    if runs[0].get("stage") == "prompt_strong" or runs[0]["args"].get("linear_probe"):
        recipes = [[run["inputs"].get(key, {}).get("sha256") for key in ("test", "task")] for run in runs]
        if runs[0].get("stage") == "prompt_strong" and used == truth:
            return recipes[0] != recipes[1]  # shots with ground truth
    return recipes[0] != recipes[1] or used != stage.fingerprint(labels)["sha256"]


def parameters(folder):
    """How many weights the model of a run has; 0 where it does not say so, or was tuned on the topic first."""
    try:
        size = json.loads((folder / "run.json").read_text())["metrics"].get("parameters", 0)
    except (OSError, ValueError, KeyError):
        return 0
    return 0 if folder.name.endswith("-generative") else size


def read_all(files):
    """(n,) labels and {file: (n,) p1}, in the order of the ids. Files that do not hold the same ids are refused."""
    labels, p1 = {}, {}
    for path in files:
        rows = {row["id"]: row for row in stage.read_jsonl(path, "id", "label", "probs")}
        labels = labels or {key: rows[key]["label"] for key in sorted(rows)}
        for key in sorted(labels.keys() ^ rows.keys()):
            stage.refuse(f"{path} and {files[0]} do not hold the same ids, so they cannot be compared: {key} is in one only")
        for key in labels:
            if labels[key] != rows[key]["label"]:
                stage.refuse(f"{path} and {files[0]} disagree about the label of {key}")
        p1[path] = np.array([rows[key]["probs"][1] for key in labels])
    return np.array(list(labels.values())), p1


if __name__ == "__main__":
    stage.cli(main)
