"""Which method helps? Every method of this project on the demo, and one table of them all.

    python demo/methods.py results/methods 0 1 2             # results, seeds; 35 minutes a seed on two CPU cores

What is done already is skipped, so a rerun only prints the table, and writes it to results/methods/methods.md. Finetuned students have the
demo's recipe (three epochs where the best step is kept), probes theirs, and each method the parameters of its source, its defaults (the
topic is tuned on in batches of 4 blocks, since there are but 64 of them). Nothing
was chosen by ground truth of the student's split or by the test set; how the recipes were: recipe.md.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import numpy as np

import evaluate_pgr
import figures
import metrics
import report

if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
    raise SystemExit(__doc__)
results, seeds = Path(sys.argv[1]), sys.argv[2:] or ["0", "1", "2"]
cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weak-to-strong"
scratch, minilm, smollm2 = (cache / name for name in ("scratch-2M", "all-MiniLM-L6-v2", "SmolLM2-135M"))
LOSSES = "bootstrap product reverse_ce reverse_kl adaptconf entropy window"
WEAK, SCRATCH, STRONG = "--epochs=4", "--epochs=4 --lr=1e-3", "--epochs=1"  # the demo's recipe, and that of the model from scratch
RUNS = [  # weak models, strong model, folder below results, what to train, flags
    (f"{minilm}", smollm2, "", {"WEAK_FLAGS": WEAK, "STRONG_FLAGS": STRONG, "LOSSES": "xent conf", "PROBE": "1", "PROMPT": "1"}, []),
    (f"{minilm}", smollm2, "", {"WEAK_FLAGS": WEAK, "STRONG_FLAGS": STRONG, "LOSSES": LOSSES}, []),
    (f"{minilm}", smollm2, "", {"WEAK_FLAGS": WEAK, "STRONG_FLAGS": STRONG, "LOSSES": "xent", "GENERATIVE": "1",
                                "GENERATIVE_FLAGS": "--batch_size=4"}, []),
    (f"{minilm}", smollm2, "early", {"WEAK_FLAGS": WEAK, "STRONG_FLAGS": "--epochs=3", "LOSSES": "xent"}, ["--evals=6", "--keep=best"]),
    (f"{scratch},{minilm}", smollm2, "", {"WEAK_FLAGS": SCRATCH, "CHAIN_FLAGS": WEAK, "STRONG_FLAGS": STRONG, "LOSSES": "xent"}, []),
    (f"{scratch}", minilm, "", {"WEAK_FLAGS": SCRATCH, "STRONG_FLAGS": WEAK, "LOSSES": "xent"}, []),  # for scaling.png
    (f"{minilm}", minilm, "", {"WEAK_FLAGS": WEAK, "STRONG_FLAGS": WEAK, "LOSSES": "xent"}, []),
]


def run():
    for script in ("get_models.py", "make_small.py"):
        subprocess.run([sys.executable, HERE / script, cache], check=True)
    for weak, strong, folder, switches, flags in RUNS:
        places = {"RESULTS": str(results / folder), "DATA": str(results / "data"), "SEEDS": " ".join(seeds)}
        subprocess.run(["bash", HERE.parent / "run_all.sh", weak, strong, HERE / "films.jsonl", "--max_train=600", "--max_test=1000", *flags],
                       check=True, env={**os.environ, **switches, **places})


def table():
    """A table for each supervisor: its students over all folders, the best first."""
    found = [(weak, ceiling + how, name, runs) for folder, how in (("", ""), ("early", ", best step on held-out labels"))
             for weak, ceiling, students in evaluate_pgr.find_pairs(results / folder / "films")[0] for name, runs in students.items()]
    label, p1 = evaluate_pgr.read_all(sorted({path for *_, runs in found for seed in runs for path in seed}))
    seed = lambda files: Path(files[2]).parent.parent.name
    plain = {(weak, seed(files)): files[2] for weak, ceiling, name, runs in found if (ceiling, name) == (smollm2.name, "xent") for files in runs}
    lines = []
    for supervisor in dict.fromkeys(weak for weak, ceiling, *_ in found if ceiling.startswith(smollm2.name)):
        rows = []
        for weak, ceiling, name, runs in found:
            if weak == supervisor and ceiling.startswith(smollm2.name):
                one = report.pair(weak, ceiling, {name: runs}, label, p1)
                student, how = one["students"][0], ceiling.removeprefix(smollm2.name).replace("-generative", ", tuned on the topic first")
                both = [(files[2], plain[weak, seed(files)]) for files in runs if plain.get((weak, seed(files)), files[2]) != files[2]]
                if both:
                    right = ((np.stack([[p1[file] for file in files] for files in both]) > 0.5) == label).astype(float)  # (S, 2, n)
                    student["over_xent"], student["over_xent_se"] = metrics.mean_se(right[:, 0] - right[:, 1])
                how += " (sees five true labels)" * (name == "prompt-5-true")
                rows.append((name + how, student | {"ceiling": one["ceiling"], "weak": one["weak"]}))
        rows.sort(key=lambda row: -row[1]["accuracy"])
        cells = {"accuracy": lambda m: f"{m['accuracy']:.3f} ± {m['accuracy_se']:.3f}",
                 "over xent": lambda m: "" if "over_xent" not in m else f"{m['over_xent']:+.3f} ± {m['over_xent_se']:.3f}",
                 "PGR [95%]": figures.pgr_text, "of the ceiling": lambda m: f"{m['ceiling']['accuracy']:.3f}",
                 "weak right": lambda m: f"{m['agreement_weak_right']:.3f}", "weak wrong": lambda m: f"{m['agreement_weak_wrong']:.3f}",
                 "seeds": lambda m: str(m["seeds"])}
        lines += ["", f"{supervisor} ({rows[0][1]['weak']['accuracy']:.3f}) supervises {smollm2.name}:", "", *report.table(rows, cells)]
    return "\n".join(lines[1:]) + "\n"


if __name__ == "__main__":
    run()
    (results / "methods.md").write_text(table())
    print("\n" + (results / "methods.md").read_text())
