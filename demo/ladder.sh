#!/usr/bin/env bash
# A ladder of supervisors, from far to near: what do labels contribute, and what the strong model's
# own prior? Four supervisors of SmolLM2-135M, six losses, each with its control.
#
#   SEEDS="0 1 2" bash demo/ladder.sh results/ladder    # report and pictures: results/ladder/films
#
# What is done already is skipped. The supervisors: all-MiniLM-L6-v2, finetuned on 30 and on 120
# sentences, in as many steps as the demo's; scratch-2M, which has learned nothing but the demo's
# 600 sentences; and the demo's own. All else is the demo's recipe (recipe.md).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/weak-to-strong
export RESULTS=${1:?a folder for the results is needed} DATA=$1/data
export SEEDS=${SEEDS:-0 1 2} CONTROL=${CONTROL-1} STRONG_FLAGS=--epochs=1
export LOSSES=${LOSSES:-xent conf conf:alpha=0.75 conf:alpha=0.9 conf:alpha=1 bootstrap:beta=0.5}
python "$here/get_models.py" "$cache"
python "$here/make_small.py" "$cache"

rung() {  # SUPERVISOR --flag ...
  WEAK_FLAGS="${*:2}" bash "$here/../run_all.sh" "$1" "$cache/SmolLM2-135M" "$here/films.jsonl" \
    --max_train=600 --max_test=1000
}

for part in "30 76" "120 19"; do
  read -r examples epochs <<< "$part"
  model=$RESULTS/MiniLM-$examples  # a name of its own for the same model
  mkdir -p "$RESULTS" && ln -sfn "$cache/all-MiniLM-L6-v2" "$model"
  rung "$model" --examples="$examples" --epochs="$epochs"
done
rung "$cache/scratch-2M" --epochs=4 --lr=1e-3
rung "$cache/all-MiniLM-L6-v2" --epochs=4
