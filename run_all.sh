#!/usr/bin/env bash
# The whole experiment, stage by stage: what is done already is skipped, so run it again after an edit or a crash.
#
#   bash run_all.sh                                         the embedded demo: no hub, no GPU, a few minutes
#   bash run_all.sh gpt2 gpt2-xl sciq                       WEAK STRONG TASK: hub names, or folders and a file of yours
#   SEEDS="0 1 2" LOSSES="xent conf:alpha=0.75" bash run_all.sh gpt2 gpt2-xl sciq --epochs=1
#   LAUNCH="torchrun --nproc-per-node 8" bash run_all.sh ...          every stage that holds a model shared by 8 GPUs
#
# --max_train, --max_test and what names columns (--text, --label...) go to prepare_data.py, other flags to the training
# stages: to both, or from WEAK_FLAGS and STRONG_FLAGS to one of them. The report is written to results/TASK, or RESULTS=elsewhere.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")

names=() prepare=() flags=()
for word in "$@"; do
  case $word in
    --help | -h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"; exit ;;
    --seed=* | --out=* | --train=* | --test=* | --task=* | --model=* | --labels=* | --loss=*)
      echo "run_all.sh: ${word%%=*} is set for each stage here; seeds and losses are given as SEEDS and LOSSES" >&2; exit 1 ;;
    --max_train=* | --max_test=* | --text=* | --label=* | --choices=* | --group=* | --config=*) prepare+=("$word") ;;
    --*) flags+=("$word") ;;
    *) names+=("$word") ;;
  esac
done

if [ ${#names[@]} -eq 0 ]; then  # the demo, with the sizes and the recipe chosen for it
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/weak-to-strong
  python "$here/demo/get_models.py" "$cache"
  names=("$cache/all-MiniLM-L6-v2" "$cache/SmolLM2-135M" "$here/demo/films.jsonl")
  prepare=(--max_train=600 --max_test=1000 ${prepare[@]+"${prepare[@]}"})
  WEAK_FLAGS="--epochs=4 ${WEAK_FLAGS:-}" STRONG_FLAGS="--epochs=1 ${STRONG_FLAGS:-}"
fi
if [ ${#names[@]} -ne 3 ]; then
  echo "run_all.sh: three names are needed, WEAK STRONG TASK, or none for the demo; flags are written --flag=value" >&2
  exit 1
fi

weak=$(basename "${names[0]}") strong=$(basename "${names[1]}") task=$(basename "${names[2]}")
task=${task%.jsonl} task=${task%.csv} task=${task%.tsv} task=${task%.parquet}
data=${DATA:-data}/$task results=${RESULTS:-results}/$task
common=(--test="$data/test.jsonl" --task="$data/task.json" ${flags[@]+"${flags[@]}"})

stage() {  # says what comes and where it goes, then runs it
  local last=${*: -1}
  echo; echo "== ${1%.py} -> ${last#--out=}"
  case $1 in
    train_* | label_*) ${LAUNCH:-python} "$here/$1" "${@:2}" ;;
    *) python "$here/$1" "${@:2}" ;;
  esac
}

stage prepare_data.py "${names[2]}" ${prepare[@]+"${prepare[@]}"} --out="$data"
for seed in ${SEEDS:-0}; do
  out=$results/seed$seed
  stage train_weak.py --model="${names[0]}" --train="$data/weak_train.jsonl" ${WEAK_FLAGS:-} "${common[@]}" --seed="$seed" \
    --out="$out/weak_$weak"
  stage label_weak.py --model="$out/weak_$weak/model" --data="$data/transfer.jsonl" --out="$out/labels_$weak"
  stage train_strong.py --model="${names[1]}" --labels="$data/transfer.jsonl" ${STRONG_FLAGS:-} "${common[@]}" --seed="$seed" \
    --out="$out/ceiling_$strong"
  for loss in ${LOSSES:-xent conf}; do
    stage train_strong.py --model="${names[1]}" --labels="$out/labels_$weak/labels.jsonl" --loss="$loss" ${STRONG_FLAGS:-} \
      "${common[@]}" --seed="$seed" --out="$out/$weak-to-${strong}_$loss"
  done
done
stage evaluate_pgr.py --results="$results" --out="$results"
