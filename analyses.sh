#!/usr/bin/env bash
# What comes after run_all.sh: more students of the same supervisor, in the same report. Give the
# names and flags that run_all.sh was given, after the name of an analysis (or more: probe,prompt).
#
#   bash analyses.sh probe gpt2 gpt2-xl sciq        linear probes, of the pretrained student and of
#                                                   the finetuned one, which is then saved
#   bash analyses.sh prompt gpt2 gpt2-xl sciq       no shots; five labelled weakly; five truly
#   bash analyses.sh own gpt2 gpt2-xl sciq          a student of its own answers, when asked
#   bash analyses.sh generative gpt2 gpt2-xl sciq   student and ceiling, tuned on the task's texts
#   bash analyses.sh chain gpt2,gpt2-medium gpt2-xl sciq
#                                                   bootstrapping: each supervises the next one
#   bash analyses.sh probe                          of the embedded demo
#
# Environment variables, before bash: those of run_all.sh (see its --help) but TRUTH, FILTER and
# KEEP, and
#
#   PROBE_FLAGS        flags for probes alone                      --epochs=20 --lr=1e-3
#   PROMPT_FLAGS       flags for prompt_strong.py
#   GENERATIVE_FLAGS   flags for train_generative.py
#   CHAIN_FLAGS        flags for the students on the way up        those of STRONG_FLAGS
set -e
here=$(dirname "$0")
source "$here/w2s/arguments.sh"

analyses=${1:---help}
for word in ${analyses//,/ }; do
  case $word in
    probe | prompt | own | generative | chain) ;;
    --help | -h) read_arguments --help ;;
    *) refuse "unknown analysis $word; there are probe, prompt, own, generative and chain" ;;
  esac
done
TRUTH= FILTER= read_arguments "${@:2}"  # what run_all.sh alone makes of labels

wants() {  # ANALYSIS
  case ,$analyses, in *,$1,*) ;; *) false ;; esac
}

ask() {  # SHOTS LABELS OUT --flags
  run $LAUNCH "$here/prompt_strong.py" --model="$model" --labels="$2" --shots="$1" \
    "${test_files[@]}" --seed="$seed" "${prompt_flags[@]}" $PROMPT_FLAGS "${@:4}" --out="$out/$3"
}

train() {  # MODEL LABELS NAME --flags
  run $LAUNCH "$here/train_strong.py" --model="$1" --labels="$out/$2/labels.jsonl" \
    --weak="$out/$floor/predictions.jsonl" --loss="$loss" "${@:4}" --seed="$seed" \
    --out="$out/$weak-to-$3"
}

student() {  # MODEL LABELS NAME --flags: trains it, and its controls
  train "$@"
  for control in $controls; do
    run python "$here/control_labels.py" --labels="$out/$2/labels.jsonl" --kind="${control#-}" \
      --seed="$seed" --out="$out/$2$control"
    train "$1" "$2$control" "$3$control" "${@:4}"
  done
}

middle=()
if wants chain; then
  [ ${#supervisors[@]} = 1 ] || refuse "a chain starts from one supervisor"
  IFS=, read -ra chain <<< "$weak_model"
  weak_model=${chain[0]} weak=$(name_of "${chain[0]}") middle=("${chain[@]:1}")
  floor=weak_$weak
  [ ${#middle[@]} != 0 ] || refuse "a chain is WEAK,MIDDLE STRONG TASK, with one MIDDLE or more"
fi

# of a flag that is there twice the last one counts
probe_flags=("${strong_flags[@]}" --linear_probe --lora=0 ${PROBE_FLAGS:---epochs=20 --lr=1e-3})
chain_flags=("${test_files[@]}" "${both[@]}" ${CHAIN_FLAGS:-$STRONG_FLAGS} "${strong_only[@]}")

for seed in $SEEDS; do
  out=$results/seed$seed model=$strong_model strong=$(name_of "$strong_model")

  # from here on the strong model is the one tuned on the topic
  if wants generative; then
    run $LAUNCH "$here/train_generative.py" --model="$model" --data="$data/transfer.jsonl" \
      --seed="$seed" "${generative_flags[@]}" $GENERATIVE_FLAGS --out="$out/generative_$strong"
    model=$out/generative_$strong/model strong=$strong-generative
    run $LAUNCH "$here/train_strong.py" --model="$model" --labels="$data/transfer.jsonl" \
      "${strong_flags[@]}" --seed="$seed" --out="$out/ceiling_$strong"
  fi

  if wants prompt; then
    ask 0 "$out/labels_$weak/labels.jsonl" "$weak-to-${strong}_prompt"
    ask 5 "$out/labels_$weak/labels.jsonl" "$weak-to-${strong}_prompt-5-weak"
    ask 5 "$data/transfer.jsonl" "$weak-to-${strong}_prompt-5-true"
  fi
  if wants own; then
    ask 0 "$data/transfer.jsonl" "labels_$strong-own" --data="$data/transfer.jsonl"
  fi

  for loss in $LOSSES; do

    # a probe of the pretrained model, and one of the finetuned student
    finetuned=$weak-to-${strong}_$loss
    if wants probe; then
      student "$model" "labels_$weak" "${strong}_probe-$loss" "${probe_flags[@]}"
      train "$model" "labels_$weak" "${strong}_$loss" "${strong_flags[@]}" --save_model
      train "$out/$finetuned/model" "labels_$weak" "${strong}_$loss-then-probe" \
        "${probe_flags[@]}" --head=random
    elif wants generative; then
      student "$model" "labels_$weak" "${strong}_$loss" "${strong_flags[@]}"
    fi
    if wants own; then
      student "$model" "labels_$strong-own" "${strong}_$loss-own" "${strong_flags[@]}"
    fi

    # each model of a chain is the student of the one before it
    labels=labels_$weak via=
    for next in "${middle[@]}"; do
      link=$(name_of "$next")_$loss${via:+-via-$via}
      train "$next" "$labels" "$link" "${chain_flags[@]}" --save_model
      run $LAUNCH "$here/label_weak.py" --model="$out/$weak-to-$link/model" \
        --data="$data/transfer.jsonl" "${label_only[@]}" --out="$out/labels_$weak-to-$link"
      labels=labels_$weak-to-$link via=${via:+$via,}$(name_of "$next")
    done
    if wants chain; then
      student "$model" "$labels" "${strong}_$loss-via-$via" "${strong_flags[@]}"
    fi
  done
done

run python "$here/evaluate_pgr.py" --results="$results" --out="$results"
