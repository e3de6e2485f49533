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

from w2s import pairs, records, report, stage


def main(
    results="",   # folder of seed<k>/{weak_W, ceiling_S, W-to-S_LOSS}/predictions.jsonl
    weak="",      # or: predictions of the weak supervisor,
    ceiling="",   # of the strong ceiling,
    students="",  # and of the students, separated by commas
    out="",       # folder to write; with results, that folder itself
):
    left_out = []
    if results:
        found, left_out = pairs.find(Path(results))
    elif weak and ceiling and students and out:
        weak, ceiling = str(weak), str(ceiling)
        students = re.split(r"(?<=\.jsonl),", str(students))  # a folder's name may hold commas: conf:alpha=0.75,warmup=0.1
        names = {path: Path(path).parent.name if Path(path).stem == "predictions" else Path(path).stem
                 for path in [weak, ceiling, *students]}
        if len(set(names.values())) < len(names):
            names = {path: path for path in names}
        found = [[names[weak], names[ceiling], {names[path]: [[weak, ceiling, path]] for path in students}]]
    else:
        stage.refuse("give a results folder, or --weak, --ceiling, --students and --out")
    out = out or results
    runs = [run for *_, students in found for runs in students.values() for run in runs]
    files = sorted({path for run in runs for path in run})
    curves = [str(curve) for curve in map(report.curve_beside, files) if curve]
    sizes = pairs.sizes(found)
    outdated = [folder for folder in map(os.path.dirname, files) if pairs.has_changed(Path(folder))]
    run = stage.start({"out": out, "pairs": found, "sizes": sizes, "left_out": left_out, "outdated": outdated,
                       **{path: path for path in files + curves}},
                      inputs=files + curves, code=[__file__, "w2s/report.py", "w2s/metrics.py", "w2s/figures.py"])
    if not run:
        return print("\n" + (Path(out) / "report.md").read_text(encoding="utf-8"), end="")
    from w2s import figures  # and with it matplotlib

    label, p1 = read_all(files)
    reports = [report.pair(*pair, label, p1) for pair in found]
    by_size = report.scaling(reports, sizes)
    table = "\n\n".join([*map(report.tables, reports), *report.scaling_tables(by_size)]) + "\n"
    said = [f"left out: {folder} was trained on other data or labels, or with other settings, than the ceiling beside it or the newest of the "
            "seeds, or with another version of its loss; run it again, or remove it." for folder in left_out]
    said += [f"{folder} was trained with its loss as it was in losses.py before the last edit; run_all.sh with this loss in LOSSES trains it again."
             for folder in outdated]
    if said:
        table += "\n" + "".join(map("- Warning: {}\n".format, said))
    text = json.dumps({**reports[0], "more_pairs": reports[1:]}, indent=1, default=lambda value: value.item()) + "\n"
    pictures = {"pgr.png": figures.accuracy, "agreement.png": figures.imitation, "confidence.png": figures.confidence}
    if any("curve" in student for pair in reports for student in pair["students"]):
        pictures["curves.png"] = figures.curves
    outputs = {"report.json": text, "report.md": table, **{name: functools.partial(draw, reports) for name, draw in pictures.items()}}
    if by_size:
        outputs["scaling.png"] = functools.partial(figures.scaling, by_size)
    stage.finish(run, {}, outputs)
    print(f"{table}\n-> {out}/{', '.join(outputs)}")


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
