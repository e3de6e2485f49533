#!/usr/bin/env bash
# Students of three sizes, of a far and of a near supervisor, for scaling.png: all-MiniLM-L6-v2
# (23M), SmolLM2-135M and Gemma 3 270M, whose licence is its own (ai.google.dev/gemma/terms).
#
#   SEEDS="0 1 2" bash demo/scaling.sh results/scaling
#
# What is done already is skipped. The recipe is the demo's (recipe.md); Gemma has that of SmolLM2.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/weak-to-strong
export RESULTS=${1:?a folder for the results is needed} DATA=$1/data
export SEEDS=${SEEDS:-0 1 2} LOSSES=${LOSSES:-xent} CONTROL=${CONTROL-1}
small=$cache/scratch-2M middle=$cache/all-MiniLM-L6-v2
python "$here/get_models.py" "$cache" --gemma
python "$here/make_small.py" "$cache"

line() {  # STRONG --flag ...: of both supervisors
  export STRONG_FLAGS=${*:2}
  task=("$1" "$here/films.jsonl" --max_train=600 --max_test=1000)
  WEAK_FLAGS="--epochs=4 --lr=1e-3" bash "$here/../run_all.sh" "$small" "${task[@]}"
  WEAK_FLAGS=--epochs=4 bash "$here/../run_all.sh" "$middle" "${task[@]}"
}

line "$middle" --epochs=4
line "$cache/SmolLM2-135M" --epochs=1
line "$cache/gemma-3-270m" --epochs=1
