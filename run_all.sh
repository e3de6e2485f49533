#!/usr/bin/env bash
# The whole experiment, stage by stage: what is done already is skipped, so run it again after an edit or a crash.
#
#   bash run_all.sh                                         the embedded demo: no hub, no GPU, a few minutes
#   bash run_all.sh gpt2 gpt2-xl sciq                       WEAK STRONG TASK: hub names, or folders and a file of yours
#   SEEDS="0 1 2" LOSSES="xent conf:alpha=0.75" bash run_all.sh gpt2 gpt2-xl sciq --epochs=1
#   LAUNCH="torchrun --nproc-per-node 8" bash run_all.sh ...          every stage that holds a model shared by 8 GPUs
#   bash run_all.sh gpt2,gpt2-medium gpt2-large sciq        bootstrapping: gpt2 supervises gpt2-medium, that one gpt2-large
#   PROBE=1 bash run_all.sh ...                             adds linear probes, PROMPT=1 prompting; GENERATIVE=1 tunes student and
#                                                           ceiling on the task's texts first
#   RESULTS=results/overfit bash run_all.sh ... --evals=8   evaluates during training, eight times
#
# Defaults: SEEDS=0, LOSSES="xent conf", RESULTS=results, DATA=data.
# --max_train, --max_test and what names columns (--text, --label...) go to prepare_data.py, other flags to the training
# stages: to both, or from WEAK_FLAGS, STRONG_FLAGS, PROBE_FLAGS, PROMPT_FLAGS, GENERATIVE_FLAGS and, for students on the way up,
# CHAIN_FLAGS to one kind of them. The report is written to results/TASK, or RESULTS=elsewhere.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")

names=() prepare=() flags=() strong_flags=() asked=() tuned=() weak_recipe= strong_recipe=
for word in "$@"; do
  case $word in
    --help | -h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"; exit ;;
    --seed=* | --seeds=* | --losses=* | --results=* | --data=* | --out=* | --train=* | --test=* | --task=* | --model=* | --labels=* | \
      --loss=* | --weak=*)
      echo "run_all.sh: ${word%%=*} is set for each stage here; before bash stand SEEDS=, LOSSES=, RESULTS=, DATA=" >&2; exit 1 ;;
    --max_train=* | --max_test=* | --text=* | --label=* | --choices=* | --group=* | --config=*) prepare+=("$word") ;;
    --evals=* | --keep=* | --save_model*) strong_flags+=("$word") ;;
    --max_tokens=* | --fsdp*) flags+=("$word") asked+=("$word") ;;
    --microbatch=* | --checkpointing* | --save_minutes=*) flags+=("$word") tuned+=("$word") ;;
    --*) flags+=("$word") ;;
    *) names+=("$word") ;;
  esac
done

if [ ${#names[@]} -eq 0 ]; then  # the demo, with the sizes and the recipe chosen for it
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/weak-to-strong
  python "$here/demo/get_models.py" "$cache"
  names=("$cache/all-MiniLM-L6-v2" "$cache/SmolLM2-135M" "$here/demo/films.jsonl")
  prepare=(--max_train=600 --max_test=1000 ${prepare[@]+"${prepare[@]}"})
  weak_recipe=--epochs=4 strong_recipe=--epochs=1
fi
if [ ${#names[@]} -ne 3 ]; then
  echo "run_all.sh: three names are needed, WEAK STRONG TASK, or none for the demo; flags are written --flag=value" >&2
  exit 1
fi

if [ -e "${names[0]}" ]; then chain=("${names[0]}"); else IFS=, read -ra chain <<< "${names[0]}"; fi
weak=$(basename "${chain[0]}") task=$(basename "${names[2]}")
task=${task%.jsonl} task=${task%.csv} task=${task%.tsv} task=${task%.parquet}
case $task in "" | . | ..) echo "run_all.sh: ${names[2]} gives the results no name; a task or a file is needed" >&2; exit 1 ;; esac
data=${DATA:-data}/$task results=${RESULTS:-results}/$task
common=(--test="$data/test.jsonl" --task="$data/task.json" ${flags[@]+"${flags[@]}"})

stage() {  # says what comes and where it goes, then runs it
  local last=${*: -1}
  echo; echo "== ${1%.py} -> ${last#--out=}"
  case $1 in
    train_* | label_* | prompt_*) ${LAUNCH:-python} "$here/$1" "${@:2}" ;;
    *) python "$here/$1" "${@:2}" ;;
  esac
}

student() {  # LABELS LOSS NAME --flags: trains $model on the labels of the folder LABELS
  stage train_strong.py --labels="$out/$1/labels.jsonl" --weak="$out/weak_$weak/predictions.jsonl" --loss="$2" --model="$model" \
    --seed="$seed" "${@:4}" --out="$out/$weak-to-$3"
}

ask() {  # SHOTS LABELS NAME: prompts $model
  stage prompt_strong.py --model="$model" --labels="$2" --shots="$1" --test="$data/test.jsonl" --task="$data/task.json" --seed="$seed" \
    ${asked[@]+"${asked[@]}"} ${PROMPT_FLAGS:-} --out="$out/$weak-to-${strong}_$3"
}

PYTHONPATH=$here python -m w2s.source ${LOSSES:-xent conf}  # a slip there is found before anything is trained
for seed in ${SEEDS:-0}; do
  case $seed in *[!0-9]* | 0?*) echo "run_all.sh: SEEDS=\"${SEEDS}\": whole numbers are needed, such as 0 1 2" >&2; exit 1 ;; esac
done
stage prepare_data.py "${names[2]}" ${prepare[@]+"${prepare[@]}"} --out="$data"
for seed in ${SEEDS:-0}; do
  out=$results/seed$seed model=${names[1]} strong=$(basename "${names[1]}")
  stage train_weak.py --model="${chain[0]}" --train="$data/weak_train.jsonl" $weak_recipe "${common[@]}" ${WEAK_FLAGS:-} --seed="$seed" \
    --out="$out/weak_$weak"
  stage label_weak.py --model="$out/weak_$weak/model" --data="$data/transfer.jsonl" --out="$out/labels_$weak"
  if [ "${GENERATIVE:-0}" = 1 ]; then
    stage train_generative.py --model="$model" --data="$data/transfer.jsonl" --seed="$seed" ${tuned[@]+"${tuned[@]}"} \
      ${GENERATIVE_FLAGS:-} --out="$out/generative_$strong"
    model=$out/generative_$strong/model strong=$strong-generative
  fi
  if [ "${PROMPT:-0}" = 1 ]; then
    ask 0 "$out/labels_$weak/labels.jsonl" prompt
    ask 5 "$out/labels_$weak/labels.jsonl" prompt-5-weak
    ask 5 "$data/transfer.jsonl" prompt-5-true
  fi
  strongly=($strong_recipe "${common[@]}" ${STRONG_FLAGS:-} ${strong_flags[@]+"${strong_flags[@]}"})
  probe=("${strongly[@]}" --linear_probe ${PROBE_FLAGS:---epochs=20 --lr=1e-3})
  stage train_strong.py --model="$model" --labels="$data/transfer.jsonl" "${strongly[@]}" --seed="$seed" --out="$out/ceiling_$strong"
  for loss in ${LOSSES:-xent conf}; do
    if [ "${PROBE:-0}" = 1 ]; then  # the second one on top of the finetuned student
      student "labels_$weak" "$loss" "${strong}_probe-$loss" "${probe[@]}"
      student "labels_$weak" "$loss" "${strong}_$loss" "${strongly[@]}" --save_model
      model=$out/$weak-to-${strong}_$loss/model student "labels_$weak" "$loss" "${strong}_$loss-then-probe" "${probe[@]}" --head=random
    else
      student "labels_$weak" "$loss" "${strong}_$loss" "${strongly[@]}"
    fi
    labels=labels_$weak via=
    for middle in "${chain[@]:1}"; do  # each is the student of the one before it
      name=$(basename "$middle")_$loss${via:+-via-$via}
      model=$middle student "$labels" "$loss" "$name" "${common[@]}" ${CHAIN_FLAGS:-${STRONG_FLAGS:-}} \
        ${strong_flags[@]+"${strong_flags[@]}"} --save_model
      labels=labels_$weak-to-$name via=${via:+$via,}$(basename "$middle")
      stage label_weak.py --model="$out/$weak-to-$name/model" --data="$data/transfer.jsonl" --out="$out/$labels"
    done
    if [ -n "$via" ]; then student "$labels" "$loss" "${strong}_$loss-via-$via" "${strongly[@]}"; fi
  done
done
stage evaluate_pgr.py --results="$results" --out="$results"
