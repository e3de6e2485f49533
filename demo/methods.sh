#!/usr/bin/env bash
# Which method helps? Every method of this project on the demo, each with its control, in one
# report: an hour a seed on two CPU cores.
#
#   SEEDS="0 1 2" bash demo/methods.sh results/methods
#
# What is done already is skipped. Finetuned students have the demo's recipe, probes theirs (both:
# recipe.md), each method the parameters of its source. The topic is tuned on in batches of 4
# blocks, since there are but 64 of them.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/weak-to-strong
export RESULTS=${1:?a folder for the results is needed} DATA=$1/data
export SEEDS=${SEEDS:-0 1 2} CONTROL=${CONTROL-1}
small=$cache/scratch-2M weak=$cache/all-MiniLM-L6-v2 strong=$cache/SmolLM2-135M
python "$here/get_models.py" "$cache"
python "$here/make_small.py" "$cache"

line() {  # WEAK STRONG [--flag ...]
  bash "$here/../run_all.sh" "$1" "$2" "$here/films.jsonl" --max_train=600 --max_test=1000 "${@:3}"
}

analyse() {  # ANALYSIS WEAK STRONG
  bash "$here/../analyses.sh" "$1" "$2" "$3" "$here/films.jsonl"
}

# the best step on held-out labels, in a report of its own
export WEAK_FLAGS=--epochs=4 STRONG_FLAGS=--epochs=1 LOSSES=xent
RESULTS=$1/early STRONG_FLAGS=--epochs=3 line "$weak" "$strong" --evals=6 --keep=best

# the second probe is one of the finetuned student: saved, it need not be trained again
LOSSES="xent conf" line "$weak" "$strong" --save_model
LOSSES="xent conf" analyse probe,prompt,own "$weak" "$strong"
LOSSES="bootstrap product reverse_ce reverse_kl adaptconf entropy window" line "$weak" "$strong"
GENERATIVE_FLAGS=--batch_size=4 analyse generative "$weak" "$strong"

# the smallest supervisor: of the strong model, directly and through the middle one
export WEAK_FLAGS="--epochs=4 --lr=1e-3"
line "$small" "$strong"
CHAIN_FLAGS=--epochs=4 analyse chain "$small,$weak" "$strong"
