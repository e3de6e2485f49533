#!/usr/bin/env bash
# Which method helps? Every method of this project on the demo, of a near supervisor and of a far
# one, each with its control, in one report: some ninety students of SmolLM2-135M a seed, of 40
# seconds each on two CPU cores with bf16 instructions.
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
export SEEDS=${SEEDS:-0 1 2} CONTROL=${CONTROL-1} STRONG_FLAGS=--epochs=1
near=$cache/all-MiniLM-L6-v2 far=$cache/scratch-2M strong=$cache/SmolLM2-135M
python "$here/get_models.py" "$cache"
python "$here/make_small.py" "$cache"

line() {  # WEAK [--flag ...]
  bash "$here/../run_all.sh" "$1" "$strong" "$here/films.jsonl" --max_train=600 --max_test=1000 \
    "${@:2}"
}

analyse() {  # ANALYSIS WEAK
  bash "$here/../analyses.sh" "$1" "$2" "$strong" "$here/films.jsonl"
}

methods() {  # WEAK: losses; fewer labels; a tenth of the truth; labels of three; each of a third
  LOSSES="xent conf" line "$1" --save_model
  LOSSES="bootstrap product reverse_ce reverse_kl adaptconf entropy window cace symmetric" line "$1"
  LOSSES=xent FILTER="confidence random truth" TRUTH=0.1 line "$1"
  LOSSES=xent SUPERVISORS=3 line "$1"
  LOSSES=xent SUPERVISORS=3 PARTS=1 FILTER="unanimity trust random" \
    WEAK_FLAGS="$WEAK_FLAGS --epochs=12" line "$1"  # in as many steps
}

budget() {  # EXAMPLES EPOCHS [SHARE]: of so many true labels a supervisor, of that share a student
  local model=$RESULTS/MiniLM-$1  # a name of its own for the same model
  mkdir -p "$RESULTS" && ln -sfn "$near" "$model"
  WEAK_FLAGS=--epochs=$2 LOSSES=xent TRUTH=${3:-} line "$model" --examples="$1"
}

export WEAK_FLAGS=--epochs=4
methods "$near"
# the second probe is one of the finetuned student, which is saved
LOSSES="xent conf" analyse probe,prompt,own "$near"
LOSSES=xent GENERATIVE_FLAGS=--batch_size=4 analyse generative "$near"
# the best step on held-out labels, in a report of its own
RESULTS=$1/early STRONG_FLAGS=--epochs=3 LOSSES=xent line "$near" --evals=6 --keep=best

# 120 true labels: all for the supervisor; or half of them for the student. Both supervisors learn
# in as many steps as the demo's.
budget 120 19
budget 60 38 0.1

export WEAK_FLAGS="--epochs=4 --lr=1e-3"
methods "$far"
LOSSES=xent CHAIN_FLAGS=--epochs=4 analyse chain "$far,$near"
