"""Test predictions -> accuracy, AUC, PGR, agreement, calibration: tables, report.json and pictures.

    python evaluate_pgr.py results/sciq    # every seed, pair and student found there
    python evaluate_pgr.py --weak=A.jsonl --ceiling=B.jsonl --students=C.jsonl,D.jsonl --out=DIR

PGR = (student - weak) / (ceiling - weak), the performance gap recovered, in test accuracy (Burns et
al. 2023, arXiv 2312.09390). A prediction file holds {"id", "label", "probs": [p0, p1, ...]} a line;
files are joined by id. What the same models made of a second test file (--test2 of the stages that
train and label), predictions2.jsonl, has tables of its own.

Writes pgr.png, agreement.png (imitation), confidence.png; curves.png where training was evaluated
on its way (--evals); ladder.png where a strong model has three supervisors or more, and scaling.png
where a supervisor has students of several sizes.
"""

import functools
import json
from pathlib import Path

from w2s import pairs, report, second_pairs, stage, trend_tables, warnings


def main(
    results="",   # folder of seed<k>/{weak_W, ceiling_S, W-to-S_LOSS}/predictions.jsonl
    weak="",      # or: predictions of the weak supervisor,
    ceiling="",   # of the strong ceiling,
    students="",  # and of the students, separated by commas
    out="",       # folder to write; with results, that folder itself
):
    # which predictions belong together
    left_out = {}
    if results and (weak or ceiling or students):
        stage.refuse("give a results folder or single files, not both")
    if results:
        found, left_out = pairs.find(Path(results))
    elif weak and ceiling and students and out:
        found = [pairs.of_files(str(weak), str(ceiling), str(students))]
    else:
        stage.refuse("give a results folder, or --weak, --ceiling, --students and --out")
    out = out or results
    test2, found2 = second_pairs.find(found)
    files, files2 = pairs.files_in(found), pairs.files_in(found2)
    curves = [str(curve) for curve in map(report.curve_beside, files) if curve]
    sizes = pairs.sizes(found)
    alone = [pairs.alone(pair) for pair in found]
    alone2 = [pairs.alone(pair, "alone2") for pair in found2]
    outdated = [folder for folder in pairs.folders_in(found) if pairs.loss_was_edited(folder)]

    # every file is an input: where one has changed, the report is made again
    args = {"out": out, "pairs": found, "sizes": sizes, "alone": alone,
            "left_out": left_out, "outdated": outdated, "second": [test2, found2, alone2]}
    inputs = files + files2 + curves
    modules = ["records", "lineage", "report", "metrics", "tables", "trend_tables", "warnings",
               "figures", "trends"]
    code = [__file__, *(f"w2s/{module}.py" for module in modules)]
    run = stage.start(args | {path: path for path in inputs}, inputs, code)
    if not run:
        print("\n" + (Path(out) / "report.md").read_text(encoding="utf-8"), end="")
        return

    # numbers and tables
    reports = report.pair_reports(found, alone)
    reports2 = report.pair_reports(found2, alone2)
    by_size = report.scaling(reports, sizes)
    rungs = report.ladder(reports)
    warned = [f"- Warning: {warning}" for warning in warnings.of_runs(left_out, outdated)]
    parts = trend_tables.of_all(reports, rungs, by_size)
    if reports2:
        parts.append(f"The same models on {test2}:")
        parts += trend_tables.of_all(
            reports2, report.ladder(reports2), report.scaling(reports2, sizes), brief=True)
    text = "\n\n".join([*parts, "\n".join(warned)]).rstrip("\n") + "\n"
    numbers = {**reports[0], "more_pairs": reports[1:], "second_test": reports2}
    numbers = json.dumps(numbers, indent=1, default=stage.plain) + "\n"
    outputs = {"report.json": numbers, "report.md": text}

    # pictures; matplotlib is loaded only here
    from w2s import figures, trends

    outputs["pgr.png"] = functools.partial(figures.accuracy, reports)
    outputs["agreement.png"] = functools.partial(figures.imitation, reports)
    outputs["confidence.png"] = functools.partial(figures.confidence, reports)
    if figures.with_curves(reports):
        outputs["curves.png"] = functools.partial(figures.curves, reports)
    if rungs:
        outputs["ladder.png"] = functools.partial(trends.ladder, rungs)
    if by_size:
        outputs["scaling.png"] = functools.partial(trends.scaling, by_size)
    stage.finish(run, {}, outputs)
    print(f"{text}\n-> {out}/{', '.join(outputs)}")


if __name__ == "__main__":
    stage.cli(main)
