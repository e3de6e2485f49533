#!/usr/bin/env bash
# Which method helps? Every method of this project on the demo, in one report: 35 minutes a seed on two CPU cores.
#
#   SEEDS="0 1 2" bash demo/methods.sh results/methods
#
# What is done already is skipped. Finetuned students have the demo's recipe, probes theirs (both: recipe.md), each method the
# parameters of its source. The topic is tuned on in batches of 4 blocks, since there are but 64 of them.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/weak-to-strong
export SEEDS=${SEEDS:-0 1 2} RESULTS=${1:?a folder for the results is needed} DATA=$1/data
small=$cache/scratch-2M weak=$cache/all-MiniLM-L6-v2 strong=$cache/SmolLM2-135M
python "$here/get_models.py" "$cache"
python "$here/make_small.py" "$cache"

run() {  # WEAK STRONG [--flag ...]
  bash "$here/../run_all.sh" "$1" "$2" "$here/films.jsonl" --max_train=600 --max_test=1000 "${@:3}"
}

export WEAK_FLAGS=--epochs=4 STRONG_FLAGS=--epochs=1 LOSSES=xent
RESULTS=$1/early STRONG_FLAGS=--epochs=3 run "$weak" "$strong" --evals=6 --keep=best  # the best step on held-out labels
PROBE=1 PROMPT=1 LOSSES="xent conf" run "$weak" "$strong"
LOSSES="bootstrap product reverse_ce reverse_kl adaptconf entropy window" run "$weak" "$strong"
GENERATIVE=1 GENERATIVE_FLAGS=--batch_size=4 run "$weak" "$strong"
STRONG_FLAGS=--epochs=4 run "$weak" "$weak"  # a student of another size, for scaling.png
export WEAK_FLAGS="--epochs=4 --lr=1e-3"
STRONG_FLAGS=--epochs=4 run "$small" "$weak"
CHAIN_FLAGS=--epochs=4 run "$small,$weak" "$strong"
