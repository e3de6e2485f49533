"""A report: the numbers of weak and strong models and their students, from their predictions, and the tables that show them."""

import numbers
from pathlib import Path

import numpy as np

from w2s import metrics, records


def pair(weak_name, ceiling_name, students, label, p1):
    """The numbers of one weak and one strong model, over the seeds: what report.json holds.

    students  {name: [[weak, ceiling, student] prediction files, and those of the models between in a chain; a list a seed]}
    label     (n,); p1: {file: (n,)}
    """
    def stack(runs, which):
        return np.stack([p1[run[which]] for run in runs])  # (S, n)

    runs = sorted({tuple(run[:2]) for found in students.values() for run in found})  # the seeds
    weak, ceiling = stack(runs, 0), stack(runs, 1)
    report = {"examples": len(label), "class1": float(label.mean()), "seeds": len(runs),
              "weak": {"name": weak_name, **metrics.describe(weak, label)},
              "ceiling": {"name": ceiling_name, **metrics.describe(ceiling, label), **metrics.agreement(ceiling, weak, label),
                          **overfitting([run[1] for run in runs], len(label))},
              "students": []}
    for name, found in students.items():
        weak, ceiling, student = (stack(found, which) for which in range(3))
        right = np.stack([metrics.same(p, label) for p in (weak, ceiling, student)])  # (3, S, n)
        m = {"name": name, "seeds": len(found), **metrics.describe(student, label)}
        m["gain"], m["gain_se"] = metrics.mean_se(right[2] - right[0])
        both = [(run[2], base[2]) for base in students.get("xent", []) for run in found if run[:2] == base[:2] and name != "xent"]
        if both:  # of the same seed
            ours, xents = (metrics.same(stack(both, i), label) for i in (0, 1))
            m["over_xent"], m["over_xent_se"] = metrics.mean_se(ours - xents)
            m["over_xent_seeds"] = len(both)
        m |= metrics.pgr_interval(right)
        if m["pgr"] is None:
            m["no_pgr"] = "no gap" if right[1].mean() <= right[0].mean() else "unclear"
        m |= metrics.agreement(student, weak, label) | metrics.disagreement(student, weak, label)
        m |= overfitting([run[2] for run in found], len(label))
        m["chain"] = [metrics.mean_se(metrics.same(stack(found, which), label))
                      for which in range(3, min(map(len, found)))]
        report["students"].append(m)
    return report


def curve_beside(file):
    """The curve.jsonl of the run that made a prediction file, if it left one."""
    curve = Path(file).with_name("curve.jsonl")
    return curve if Path(file).name == "predictions.jsonl" and curve.exists() and curve.stat().st_size else None


def overfitting(files, n):
    """{"curve": means over the seeds at each evaluation during training, and where to stop}, of the curve.jsonl beside n predictions.

    Empty where not all of them were evaluated, at the same steps. Standard errors of accuracy and agreement count examples, as if
    all seeds erred on the same ones (which is rather too much), and seeds; those of the loss count the seeds alone.
    """
    found = [[point for point in records.lines(path) if {"step", "accuracy", "held_out_loss"} <= point.keys()]
             for path in map(curve_beside, files) if path]
    if len(found) < len(files) or not found[0] or len({tuple(point["step"] for point in points) for points in found}) > 1:
        return {}
    seeds = len(found)
    curve = {"step": [point["step"] for point in found[0]]}
    for key in ("accuracy", "agreement", "held_out_loss"):
        if all(key in point for point in found[0]):
            values = np.array([[point[key] for point in points] for points in found])  # (S, P)
            variance = values.var(0, ddof=1) / seeds if seeds > 1 else np.zeros(values.shape[1])
            if key != "held_out_loss":
                variance = variance + (values * (1 - values)).mean(0) / n
            curve |= {key: values.mean(0).tolist(), f"{key}_se": (variance**0.5).tolist()}
    stops = {"last": lambda points: points[-1], "held_out": lambda points: min(points, key=lambda point: point["held_out_loss"]),
             "oracle": lambda points: max(points, key=lambda point: point["accuracy"])}
    for name, choose in stops.items():
        chosen = [choose(points) for points in found]
        curve[name] = {"steps": [point["step"] for point in chosen], "accuracy": float(np.mean([point["accuracy"] for point in chosen]))}
    return {"curve": curve}


def scaling(reports, sizes):
    """{student: {"ceiling": [point], "supervisors": {weak: (its accuracy, [point])}}} for students of two strong models or more.

    A point is {"name": of the strong model, "size": its parameters, "accuracy", "accuracy_se", "seeds"}; sizes: {strong model: parameters}.
    """
    found = {}
    sized = [report for report in reports if report["ceiling"]["name"] in sizes]
    sized.sort(key=lambda report: (sizes[report["ceiling"]["name"]], report["ceiling"]["name"], -report["seeds"]))  # most seeds first

    def point(report, m):
        name = report["ceiling"]["name"]
        return {"name": name, "size": sizes[name], "seeds": m.get("seeds", report["seeds"]), **{key: m[key] for key in ("accuracy", "accuracy_se")}}

    for name in dict.fromkeys(m["name"] for report in sized for m in report["students"]):
        here = [(report, m) for report in sized for m in report["students"] if m["name"] == name]
        ceilings, lines = {}, {}
        for report, m in here:
            ceilings.setdefault(report["ceiling"]["name"], point(report, report["ceiling"]))
            most = max((other for other, _ in here if other["weak"]["name"] == report["weak"]["name"]), key=lambda other: other["seeds"])
            lines.setdefault(report["weak"]["name"], (most["weak"]["accuracy"], []))[1].append(point(report, m))
        if len(ceilings) > 1:
            found[name] = {"ceiling": list(ceilings.values()), "supervisors": lines}
    return found


def setting(report):
    """5 seeds, 1000 test examples"""
    return ("one seed" if report["seeds"] == 1 else f"{report['seeds']} seeds") + f", {report['examples']} test examples"


def named(student, report):
    """A student's name, with the number of seeds where some of them are missing."""
    return student["name"] + (f" ({student['seeds']} of the seeds)" if student["seeds"] != report["seeds"] else "")


def pgr_text(student):
    """0.57 [0.33, 0.78]"""
    if student["pgr"] is None:
        return student["no_pgr"]
    return "{pgr:.2f} [{pgr_low:.2f}, {pgr_high:.2f}]".format(**student)


def in_words(size):
    """135M, 1.6B"""
    return f"{size / 1e9:.1f}B" if size >= 1e9 else f"{size / 1e6:.0f}M"


def number(key, form=".3f", error=True):
    """A cell: a model's number, with its standard error if it has one; empty where the model has no such number."""
    def cell(m):
        if m.get(key) is None:
            return ""
        return f"{m[key]:{form}}" + (f" ± {m[f'{key}_se']:.3f}" if error and f"{key}_se" in m else "")
    return cell


def tables(report):
    """The tables of one pair, aligned for the terminal too, with what should be said about them."""
    students = [(f"student: {named(m, report)}", m) for m in report["students"]]
    models = [("weak supervisor", report["weak"]), *students, ("strong ceiling", report["ceiling"])]

    def over_xent(m):
        fewer = "over_xent" in m and m["over_xent_seeds"] != m["seeds"]
        return number("over_xent", "+.3f")(m) + (f" ({m['over_xent_seeds']} seeds)" if fewer else "")

    counted = ("test examples, not how training varies: of one seed small\ndifferences between losses mean little" if report["seeds"] == 1
               else "test examples and of seeds")
    lines = [f"{report['weak']['name']} supervises {report['ceiling']['name']}: {setting(report)}.",
             f"± is one standard error; it and the 95% intervals count the choice of {counted}.",
             "Agreement with the weak supervisor: overall, where it is right, where it is wrong."]
    if any(m["seeds"] != report["seeds"] for _, m in students):
        lines.append("A student of fewer seeds is compared within its own; of one seed, ± counts test examples alone.")
    lines.append("")
    lines += table(models, {"accuracy": number("accuracy"), "over weak": number("gain", "+.3f"), "over xent": over_xent,
                            "PGR [95%]": lambda m: pgr_text(m) if "pgr" in m else "", "agreement": number("agreement", error=False),
                            "weak right": number("agreement_weak_right", error=False), "weak wrong": number("agreement_weak_wrong", error=False)})
    lines += ["", *map("- Warning: {}".format, found)] if (found := warnings(report)) else []
    for name, m in students:
        if m["chain"]:
            names = [report["weak"]["name"], *m["name"].split("-via-")[1].split(","), report["ceiling"]["name"]]
            accuracies = [report["weak"]["accuracy"], *(accuracy for accuracy, _ in m["chain"]), m["accuracy"]]
            lines += ["", f"Chain, {name}: " + " → ".join(f"{link} {accuracy:.3f}" for link, accuracy in zip(names, accuracies)) + "."]

    lines += ["", "Mean confidence, expected calibration error (10 bins), Brier score; and, of the test examples where student and supervisor",
              "differ, how often the student is right: where it is the more confident of the two, and where the less.", ""]
    described = [key for key, value in report["weak"].items()  # of metrics.describe; accuracy stands above
                 if isinstance(value, numbers.Real) and key != "accuracy" and not key.endswith(("_se", "_seeds"))]
    lines += table(models, {**{key: number(key) for key in described},
                            "right where surer": number("right_if_surer"), "right where less sure": number("right_if_less_sure")})
    stopped = [(name, m["curve"]) for name, m in models if "curve" in m]
    if stopped:
        lines += ["", "Test accuracy where training could stop (at step): its end; the evaluation with the lowest loss on held-out training "
                      "labels; the one with the highest test accuracy, an oracle that no one has.", ""]
        at = lambda stop: f"{stop['accuracy']:.3f} ({', '.join(map(str, sorted(set(stop['steps']))))})"
        lines += table(stopped, {"last step": lambda m: at(m["last"]), "best on held-out labels": lambda m: at(m["held_out"]),
                                 "oracle": lambda m: at(m["oracle"])})
    return "\n".join(lines)


def warnings(report):
    """What makes numbers of a report mean less than they seem to, and what to look at."""
    weak, ceiling, base = report["weak"], report["ceiling"], max(report["class1"], 1 - report["class1"])
    found = []
    if weak["accuracy"] - 2 * weak["accuracy_se"] <= base:
        found.append(f"the weak supervisor is not clearly better than always giving the more frequent class ({base:.3f}). Its labels say little; "
                     "more --epochs, another --lr or more examples for train_weak.py may help.")
    for name, m in [("weak supervisor", weak), *((f"student {m['name']}", m) for m in report["students"]), ("strong ceiling", ceiling)]:
        limit = max(0.9, (1 + base) / 2)  # of unbalanced data one class may well be predicted often
        collapsed = [share for share in m["class1_seeds"] if max(share, 1 - share) > limit]
        if collapsed:
            shares = ", ".join(f"{share:.0%} class 1" for share in collapsed)
            found.append(f"{name} gives nearly one class only ({shares}, in {len(collapsed)} of {len(m['class1_seeds'])} seeds). "
                         "Its training has collapsed: see its curve.jsonl; a smaller --lr or more examples may help.")
    missing = {m["no_pgr"] for m in report["students"] if "no_pgr" in m}
    if "no gap" in missing:
        found.append("the weak supervisor is as good as the ceiling or better: there is nothing to recover, and no PGR. See whether the ceiling was "
                     "trained enough, or take a stronger student.")
    if "unclear" in missing:
        found.append("PGR is not given where the ceiling is not clearly above the weak supervisor (the 95% interval of the gap includes 0). "
                     "A stronger student or more test examples would help.")
    return found


def scaling_tables(found):
    """A table for each student of `scaling`: supervisors down, strong models across."""
    made = []
    for student, lines in found.items():
        rows = [(f"students of {weak} ({accuracy:.3f})", points) for weak, (accuracy, points) in lines["supervisors"].items()]
        cells = {f"{c['name']} ({in_words(c['size'])})": lambda points, name=c["name"]: next(
            (f"{number('accuracy')(p)} ({p['seeds']})" for p in points if p["name"] == name), "") for c in lines["ceiling"]}
        title = f"Scaling, student: {student}. Test accuracy by strong model, and its number of seeds; beside a supervisor's name its own."
        made.append("\n".join([title, "", *table([*rows, ("strong ceiling", lines["ceiling"])], cells)]))
    return made


def table(models, columns):
    """Markdown lines. models: [(name, numbers)]; columns: {title: numbers -> cell}, left out where no model has any."""
    columns = {title: cell for title, cell in columns.items() if any(cell(m) for _, m in models)}
    rows = [["", *columns], *([name, *(cell(m) for cell in columns.values())] for name, m in models)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    return ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
