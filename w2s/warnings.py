"""What makes the numbers of a report mean less than they seem to, each in a sentence or two."""


def of_report(report):
    weak, ceiling = report["weak"], report["ceiling"]
    majority = max(report["class_shares"])  # accuracy of always giving that class
    texts = []
    if weak["accuracy"] - 2 * weak["accuracy_se"] <= majority:
        texts.append(
            "the weak supervisor is not clearly better than always giving the most frequent class "
            f"({majority:.3f}). Its labels say little; more --epochs, another --lr or more "
            "examples for train_weak.py may help.")

    texts += collapse_of("weak supervisor", weak, majority)
    for student in report["students"]:
        texts += collapse_of(f"student {student['name']}", student, majority)
    texts += collapse_of("strong ceiling", ceiling, majority)

    for student in report["students"]:
        for kind, control in student["controls"].items():
            if control["share_low"] <= 0:
                texts.append(idle_labels(student["name"], kind, control))

    missing = {student.get("no_pgr") for student in report["students"]}
    if "no gap" in missing:
        texts.append(
            "the weak supervisor is as good as the ceiling or better: there is nothing to recover, "
            "and no PGR. See whether the ceiling was trained enough, or take a stronger student.")
    if "unclear" in missing:
        texts.append(
            "PGR is not given where the ceiling is not clearly above the weak supervisor (the 95% "
            "interval of the gap includes 0). A stronger student or more test examples would help.")
    return texts


def collapse_of(name, model, majority):
    """A warning where a model gives nearly one class only, in one of its seeds or more."""
    # of unbalanced data one class may well be predicted often
    limit = max(0.9, (1 + majority) / 2)
    collapsed = [shares for shares in model["class_shares_seeds"] if max(shares) > limit]
    if not collapsed:
        return []
    said = ", ".join(f"{max(shares):.0%} class {shares.index(max(shares))}" for shares in collapsed)
    seeds = f"{len(collapsed)} of {len(model['class_shares_seeds'])} seeds"
    return [f"{name} gives nearly one class only ({said}, in {seeds}). Its training has "
            "collapsed: see its curve.jsonl; a smaller --lr or more examples may help."]


def idle_labels(name, kind, control):
    """A warning where a student is no better than one of labels that say nothing."""
    return (
        f"student {name} is not clearly better than its control, the same on {kind} labels "
        f"({control['accuracy']:.3f}): this does not show that its labels contributed, whatever "
        "the PGR.")


def of_runs(left_out, outdated):
    """What the runs of a results folder tell of themselves.

    left_out  {folder: why}
    outdated  folders
    """
    texts = [f"left out: {folder} {why}" for folder, why in left_out.items()]
    if outdated:
        names = ", ".join(f"{folder.parent.name}/{folder.name}" for folder in outdated)
        texts.append(
            f"of an earlier version of their loss in losses.py: {names}; run_all.sh with this loss "
            "in LOSSES trains them again.")
    return texts
