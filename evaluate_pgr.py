"""Test predictions -> accuracy, PGR, agreement with the supervisor: a table, report.json and pgr.png.

    python evaluate_pgr.py results/sciq                      # every seed, pair and student found there
    python evaluate_pgr.py --weak=A.jsonl --ceiling=B.jsonl --students=C.jsonl,D.jsonl --out=DIR

PGR = (student - weak) / (ceiling - weak), the performance gap recovered, in test accuracy (Burns et al. 2023, arXiv
2312.09390). A prediction file holds {"id", "label", "probs": [p0, p1]} a line; files are joined by id.
"""

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
    run = stage.start({"out": out, "pairs": pairs, **{path: path for path in files}}, inputs=files, code=[__file__])
    if not run:
        return print("\n" + (Path(out) / "report.md").read_text(encoding="utf-8"), end="")

    label, p1 = read_all(files)
    reports = [report_pair(*pair, label, p1) for pair in pairs]
    table = "\n\n".join(markdown(report) for report in reports) + "\n"
    text = json.dumps({**reports[0], **({"more_pairs": reports[1:]} if len(reports) > 1 else {})}, indent=1) + "\n"
    stage.finish(run, {}, {"report.json": text, "report.md": table, "pgr.png": lambda path: draw(reports, path)})
    print(f"{table}\n-> {out}/report.md, report.json, pgr.png")


def find_pairs(results):
    """[[weak name, ceiling name, {student: [[weak, ceiling, student] prediction files, a list a seed]}], ...]"""
    pairs = {}
    for path in sorted(results.glob("seed*/*-to-*_*/predictions.jsonl")):
        seed, student = path.parent.parent, path.parent.name
        named = [(weak, ceiling) for weak in sorted(seed.glob("weak_*/predictions.jsonl"))
                 for ceiling in sorted(seed.glob("ceiling_*/predictions.jsonl")) if student.startswith(prefix(weak, ceiling))]
        if named:
            weak, ceiling = max(named, key=lambda names: len(prefix(*names)))  # of m and m_v2 the longer
            names = weak.parent.name.removeprefix("weak_"), ceiling.parent.name.removeprefix("ceiling_")
            if differs(path.parent, ceiling.parent, seed / f"labels_{names[0]}" / "labels.jsonl"):
                print(f"left out: {path.parent} was trained on other labels or with other settings than the ceiling beside it; "
                      "run it again, or remove it")
            else:
                runs = pairs.setdefault(names, {}).setdefault(student.removeprefix(prefix(weak, ceiling)), [])
                runs.append([str(weak), str(ceiling), str(path)])
    if not pairs:
        stage.refuse(f"{results}: no student found with its weak supervisor and ceiling beside it; run_all.sh makes them")
    return [[*names, dict(sorted(students.items(), key=lambda item: (item[0] != "xent", item[0])))]  # the baseline first
            for names, students in sorted(pairs.items())]


def prefix(weak, ceiling):
    """How the folders of a pair's students begin."""
    return f"{weak.parent.name.removeprefix('weak_')}-to-{ceiling.parent.name.removeprefix('ceiling_')}_"


def differs(student, ceiling, labels):
    """Whether a student's run.json tells of other labels than the supervisor's of today, or of other code, inputs or settings than
    the ceiling's: the two may differ in nothing but labels and loss."""
    try:
        runs = [json.loads((folder / "run.json").read_text()) for folder in (student, ceiling)]
        used = runs[0]["inputs"]["labels"]["sha256"]
    except (OSError, ValueError, KeyError):
        return False  # predictions that come from elsewhere
    recipes = [(run.get("code"), {key: value for key, value in run["args"].items() if key not in ("loss", "weak", *stage.HOW)},
                {key: given["sha256"] for key, given in run["inputs"].items() if key not in ("labels", "weak")}) for run in runs]
    return recipes[0] != recipes[1] or used != stage.fingerprint(labels)["sha256"]


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


def report_pair(weak_name, ceiling_name, students, label, p1):
    """The numbers of one weak and one strong model, over the seeds: what report.json holds."""
    def stack(runs, which):
        return np.stack([p1[run[which]] for run in runs])  # (S, n)

    runs = sorted({tuple(run[:2]) for found in students.values() for run in found})  # the seeds
    weak, ceiling = stack(runs, 0), stack(runs, 1)
    report = {"examples": len(label), "seeds": len(runs), "weak": {"name": weak_name, **describe(weak, label)},
              "ceiling": {"name": ceiling_name, **describe(ceiling, label), **agreement(ceiling, weak, label)}, "students": []}
    for name, found in students.items():
        weak, ceiling, student = (stack(found, which) for which in range(3))
        right = np.stack([(p > 0.5) == label for p in (weak, ceiling, student)])  # (3, S, n)
        gain, gain_se = mean_se(right[2].astype(float) - right[0])
        report["students"].append({"name": name, "seeds": len(found), **describe(student, label), "gain": gain,
                                   "gain_se": gain_se, **recovered(right), **agreement(student, weak, label)})
    return report


def describe(p1, label):
    """Accuracy, its standard error and the mean confidence. p1: (S, n) over seeds and examples; label: (n,)."""
    right = (p1 > 0.5) == label
    accuracy, se = mean_se(right)
    found = {"accuracy": accuracy, "accuracy_se": se, "confidence": float(np.maximum(p1, 1 - p1).mean())}
    if len(p1) > 1:
        found["accuracy_seeds"] = right.mean(1).tolist()
        found["accuracy_se_seeds"] = float(right.mean(1).std(ddof=1) / len(p1) ** 0.5)
    return found


def mean_se(values):
    """Mean of (S, n) values and its standard error, which counts both the choice of test examples and, of several, of seeds."""
    variance = values.mean(0).var() / values.shape[1]
    if len(values) > 1:
        variance += values.mean(1).var(ddof=1) / len(values)
    return float(values.mean()), float(variance**0.5)


def recovered(right, resamples=10_000, seed=0):
    """PGR with a 95% interval, or None where the ceiling is not clearly above the floor.

    right  (3, S, n) bool: whether weak supervisor, ceiling and student are right, over S seeds and n test examples

    Accuracies are means over the seeds. The interval is a paired bootstrap: test examples are resampled for all models and
    seeds together, and so are the seeds. Examples that are right and wrong in the same places are counted, not listed: the
    same distribution, in a fraction of the time.
    """
    rng = np.random.default_rng(seed)
    _, seeds, n = right.shape
    patterns, counts = np.unique(right.reshape(3 * seeds, n).T, axis=0, return_counts=True)  # (K, 3S), (K,)
    drawn = rng.multinomial(n, counts / n, resamples) @ patterns / n  # (R, 3S) accuracies
    weight = rng.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds  # (R, S)
    if seeds > 1:  # a resample of S seeds varies by (S-1)/S of what it should
        weight = 1 / seeds + (weight - 1 / seeds) * (seeds / (seeds - 1)) ** 0.5
    weak, ceiling, student = (drawn.reshape(resamples, 3, seeds) * weight[:, None]).sum(2).T  # (R,) each
    gain, gap = student - weak, ceiling - weak
    if np.quantile(gap, 0.025) <= 0:
        return {"pgr": None, "pgr_low": None, "pgr_high": None}
    # The few resamples with no gap at all count as the worst or the best, by the sign of the gain.
    ratio = np.where(gap > 0, gain / np.where(gap > 0, gap, 1), np.copysign(np.inf, gain))
    low, high = (float(end) if np.isfinite(end) else None for end in np.quantile(ratio, [0.025, 0.975], method="nearest"))
    weak, ceiling, student = right.mean((1, 2))
    return {"pgr": float((student - weak) / (ceiling - weak)), "pgr_low": low, "pgr_high": high}


def agreement(p1, weak_p1, label):
    """Share of test points with the same prediction as the supervisor: overall, where it is right, where it is wrong."""
    same, weak_right = (p1 > 0.5) == (weak_p1 > 0.5), (weak_p1 > 0.5) == label  # (S, n)
    share = lambda where: float(same[where].mean()) if where.any() else None
    return {"agreement": float(same.mean()), "agreement_weak_right": share(weak_right),
            "agreement_weak_wrong": share(~weak_right)}


def markdown(report):
    """The table of one pair, aligned for the terminal too, with what should be said about it."""
    rows = [["", "accuracy", "over weak", "PGR [95%]", "agreement", "weak right", "weak wrong", "confidence"]]
    for name, m in [("weak supervisor", report["weak"]), *((f"student: {m['name']}", m) for m in report["students"]),
                    ("strong ceiling", report["ceiling"])]:
        if m.get("seeds", report["seeds"]) != report["seeds"]:
            name += f" ({m['seeds']} of the seeds)"
        gain = f"{m['gain']:+.3f} ± {m['gain_se']:.3f}" if "gain" in m else ""
        shares = (m.get(key) for key in ("agreement", "agreement_weak_right", "agreement_weak_wrong", "confidence"))
        rows.append([name, f"{m['accuracy']:.3f} ± {m['accuracy_se']:.3f}", gain, pgr_text(m) if "pgr" in m else "",
                     *("" if share is None else f"{share:.3f}" for share in shares)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    counted = "test examples" if report["seeds"] == 1 else "test examples and of seeds"
    lines = [f"{report['weak']['name']} supervises {report['ceiling']['name']}: {setting(report)}.",
             f"± is one standard error; it and the 95% intervals count the choice of {counted}.",
             "Agreement with the weak supervisor: overall, where it is right, where it is wrong.", ""]
    lines += ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    if any(student["pgr"] is None for student in report["students"]):
        lines += ["", "PGR is not given: the ceiling is not clearly above the weak supervisor (the 95% interval of the gap "
                      "includes 0), so there is no gap to recover. A stronger student or more test examples would help."]
    return "\n".join(lines)


def setting(report):
    """5 seeds, 1000 test examples"""
    return ("one seed" if report["seeds"] == 1 else f"{report['seeds']} seeds") + f", {report['examples']} test examples"


def pgr_text(student):
    """0.57 [0.33, 0.78]; an end that no resample bounds is left open."""
    if student["pgr"] is None:
        return "unclear"
    low, high = ("" if end is None else f"{end:.2f}" for end in (student["pgr_low"], student["pgr_high"]))
    return f"{student['pgr']:.2f} [{low}, {high}]"


def draw(reports, path):
    """Accuracies of the students with standard errors, floor and ceiling as lines, PGR at each student; a panel a pair."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(reports), figsize=(max(6.4, 4.2 * len(reports)), 4.2), sharey=True, squeeze=False)
    for panel, report in zip(panels[0], reports):
        for role, colour, text in (("weak", "#0072B2", "weak supervisor"), ("ceiling", "#009E73", "strong ceiling")):
            m = report[role]
            panel.axhline(m["accuracy"], color=colour)
            panel.axhspan(m["accuracy"] - m["accuracy_se"], m["accuracy"] + m["accuracy_se"], color=colour, alpha=0.15, lw=0)
            panel.text(0.01, m["accuracy"], f"{text} ({m['name']}) {m['accuracy']:.3f}", color=colour, va="bottom",
                       transform=panel.get_yaxis_transform())
        for x, m in enumerate(report["students"]):
            panel.errorbar(x, m["accuracy"], m["accuracy_se"], fmt="o", color="#D55E00", capsize=4)
            panel.annotate("PGR " + pgr_text(m).replace(" [", "\n["), (x, m["accuracy"]), (9, 0), textcoords="offset points",
                           va="center", fontsize=9)
        panel.set_xticks(range(len(report["students"])), [m["name"] for m in report["students"]])
        panel.set_xlim(-0.6, len(report["students"]) - 0.2)
        panel.set_xlabel("student, by loss")
        panel.set_title(f"{report['weak']['name']} → {report['ceiling']['name']}", fontsize=11)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set_ylabel("test accuracy")
    figure.text(0.99, 0.01, f"{setting(reports[0])}. Bars and bands: ± 1 standard error; [ ]: 95% interval.",
                ha="right", fontsize=7.5, color="#555555")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, dpi=160)


if __name__ == "__main__":
    stage.cli(main)
