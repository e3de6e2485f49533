#!/usr/bin/env bash
# The whole experiment, stage by stage. What is done already is skipped, so run it again after an
# edit or a crash.
#
#   bash run_all.sh                                the embedded demo: no hub, no GPU, a few minutes
#   bash run_all.sh gpt2 gpt2-xl sciq              WEAK STRONG TASK: hub names; or folders, a file
#   bash run_all.sh gpt2 gpt2-xl sciq --epochs=1   flags for the stages
#   bash run_all.sh gpt2 gpt2-xl sciq --test2=FILE the report tells of FILE too: other data, as a
#                                                  test.jsonl of prepare_data.py
#   SEEDS="0 1 2" LOSSES="xent conf:alpha=0.75" bash run_all.sh gpt2 gpt2-xl sciq
#
# --max_train, --max_test and what names columns (--text, --label ...) go to prepare_data.py;
# --examples to the supervisor; --evals, --keep and --save_model to students and ceiling; --dtype to
# what labels and asks; all others to supervisor, students and ceiling, and those that have to do
# with the machine or the length of texts to every stage that knows them.
# Environment variables, before bash:
#
#   SEEDS          one run of everything for each                               0
#   LOSSES         a student for each; parameters as in conf:alpha=0.75         xent conf
#   CONTROL        1: each loss learns the labels shuffled too, and the         0; in the demo 1
#                  report tells what they contributed; "shuffled uniform":
#                  and all classes alike for every text
#   SUPERVISORS    so many of WEAK, each trained with a seed of its own, label  1
#                  together; of several models: WEAK is gpt2+bert
#   PARTS          1: each of them trains on a part of its own of the examples  0
#   TRUTH          "0.1 0.25": each loss learns labels too of which a tenth, a
#                  quarter, are ground truth
#   FILTER         "confidence random": and those labels alone of which the
#                  supervisor is most confident; as many by lot; also truth, by
#                  lot with true labels, the ceiling of so few; unanimity, of
#                  several; trust, of several with PARTS=1
#   KEEP           the share that FILTER keeps                                  0.5
#   RESULTS        folder to write; the report is RESULTS/TASK/report.md        results
#   DATA           folder to write                                              data
#   LAUNCH         how a stage that holds a model starts on several GPUs,       python
#                  such as "torchrun --nproc-per-node 8"
#   WEAK_FLAGS     flags for the supervisor alone
#   STRONG_FLAGS   flags for students and ceiling alone
#
# Then analyses.sh adds probes, prompting, tuning on the topic and chains to the same report.
set -e
here=$(dirname "$0")
source "$here/w2s/arguments.sh"
read_arguments "$@"

run python "$here/prepare_data.py" "$task" "${prepare_flags[@]}" --out="$data"

for seed in $SEEDS; do
  out=$results/seed$seed

  # the weak supervisor, on ground truth; or several, which label together
  models=
  for i in ${!supervisors[*]}; do
    supervisor=$out/weak_${supervisors[i]}
    run $LAUNCH "$here/train_weak.py" --model="${weak_models[i]}" \
      --train="$data/weak_train.jsonl" "${weak_flags[@]}" ${weak_parts[i]} \
      --seed="$((seed + 1000 * weak_seeds[i]))" --out="$supervisor"
    models+=${models:+,}$supervisor/model
  done
  run $LAUNCH "$here/label_weak.py" --model="$models" --data="$data/transfer.jsonl" \
    "${label_flags[@]}" --out="$out/labels_$weak"

  # the strong ceiling, on ground truth of what the supervisor has labelled
  run $LAUNCH "$here/train_strong.py" --model="$strong_model" --labels="$data/transfer.jsonl" \
    "${strong_flags[@]}" --seed="$seed" --out="$out/ceiling_$strong"

  # the students: on the supervisor's labels; on what is made of these, such as -shuffled
  for made in "" $made_of_labels; do
    make_labels "$made"
    for loss in $LOSSES; do
      run $LAUNCH "$here/train_strong.py" --model="$strong_model" \
        --labels="$out/labels_$weak$made/labels.jsonl" --weak="$out/$floor/predictions.jsonl" \
        --loss="$loss" "${strong_flags[@]}" --seed="$seed" \
        --out="$out/$weak-to-${strong}_$loss$made"
    done
  done
done

run python "$here/evaluate_pgr.py" --results="$results" --out="$results"
