# Sourced by run_all.sh and analyses.sh: their words and environment variables, and how they run
# a stage. `bash run_all.sh --help` explains all of them.

SEEDS=${SEEDS:-0} LOSSES=${LOSSES:-xent conf} LAUNCH=${LAUNCH:-python}

refuse() {  # MESSAGE
  echo "$(basename "$0"): $1" >&2
  exit 1
}

name_of() {  # MODEL: what its results are called; of a/b@refs/pr/1 b@refs-pr-1
  local name=${1%%@*}
  local revision=${1#"$name"}
  if [ -d "$1" ]; then
    basename "$1"
  else
    echo "$(basename "$name")${revision//\//-}"
  fi
}

run() {  # COMMAND: says which stage comes and where it writes, then runs it
  local word last=${*: -1}
  for word in "$@"; do
    case $word in *.py) break ;; esac
  done
  echo
  echo "== $(basename "$word" .py) -> ${last#--out=}"
  "$@"
}

# ENDING of a name: its last part says how, what is before it of which labels of the supervisor.
# -truth0.1-confidence0.5 is the surest half of -truth0.1, which is made first; none: they are there
make_labels() {
  local from=$out/labels_$weak${1%-*} to=$out/labels_$weak$1 last=${1##*-}
  local by=${last%%[01]*}
  case $1 in -truth*-*[0-9]) make_labels "${1%-*}" ;; esac  # of labels that no student learns
  case $last in
    "") ;;
    shuffled | uniform)
      run python "$here/control_labels.py" --labels="$from/labels.jsonl" --kind="$last" \
        --seed="$seed" --out="$to" ;;
    truth*)
      run $LAUNCH "$here/label_weak.py" --model="$models" --data="$data/transfer.jsonl" \
        "${label_only[@]}" --truth="${last#truth}" --out="$to" ;;
    *)
      run python "$here/filter_labels.py" --labels="$from/labels.jsonl" --by="$by" \
        --keep="${last#$by}" --model="$models" --train="$data/weak_train.jsonl" --seed="$seed" \
        --out="$to" ;;
  esac
}

check_names() {  # MODEL, or several: students take their names from it
  local name names=("$1")
  if [ ! -d "$1" ]; then
    IFS=,+ read -ra names <<< "$1"
    if [[ $1 == *,* && ,$analyses, != *,chain,* ]]; then
      refuse "$1: several models with commas between them are a chain, for analyses.sh chain"
    fi
  fi
  for name in "${names[@]}"; do
    case $(name_of "$name")- in
      *-via-* | *-own- | *-shuffled- | *-uniform- | *-truth[01]* | *-confidence[01]* | \
      *-unanimity[01]* | *-trust[01]* | *-random[01]*)
        refuse "$name: students take names that end so; a link to its folder can have another" ;;
    esac
  done
}

read_supervisors() {  # from weak_model: who labels, and what they are called together, weak
  local count=${SUPERVISORS:-1} part_word= model i
  case $count in
    0* | *[!0-9]*) refuse "SUPERVISORS=\"$count\": a whole number from 1 is needed" ;;
  esac
  case ${PARTS:-0}-$count in
    0-*) ;;
    1-1) refuse "PARTS=1 needs several SUPERVISORS, each of which learns a part" ;;
    1-*) part_word=parts ;;
    *) refuse "PARTS=\"$PARTS\": 0 or 1 is needed" ;;
  esac

  # of each: the model, its name, which seed of a run's, and of which part of the examples
  weak_models=("$weak_model") supervisors=() weak_seeds=() weak_parts=()
  if [ ! -d "$weak_model" ]; then
    case +$weak_model+ in *++*) refuse "$weak_model: beside a + a model is missing" ;; esac
    IFS=+ read -ra weak_models <<< "$weak_model"
  fi
  weak=
  if [ "$count" = 1 ]; then
    for model in "${weak_models[@]}"; do
      supervisors+=("$(name_of "$model")") weak_seeds+=(0) weak_parts+=("")
      weak+=${weak:++}$(name_of "$model")
    done
  elif [ ${#weak_models[@]} != 1 ]; then
    refuse "SUPERVISORS=$count is of one model; $weak_model are several already"
  else
    weak=$(name_of "$weak_model")
    for ((i = 1; i <= count; i++)); do
      weak_models[i - 1]=$weak_model weak_seeds+=("$i")
      if [ $part_word ]; then
        supervisors+=("$weak-${i}of$count") weak_parts+=("--part=$i/$count")
      else
        supervisors+=("$weak-run$i") weak_parts+=("")
      fi
    done
    weak+=x$count$part_word
  fi
  if [ "$(printf "%s\n" "${supervisors[@]}" | sort -u | wc -l)" -lt ${#supervisors[@]} ]; then
    refuse "$weak_model: two of them are called alike"
  fi

  # the floor is what they say of the test file: together, where they are several
  floor=weak_$weak label_flags=("${label_only[@]}")
  if [ ${#supervisors[@]} != 1 ]; then
    case $results in *,*) refuse "RESULTS=\"$results\": several need a path without commas" ;; esac
    if [ -d "$weak_model" ]; then
      case $weak in *,*) refuse "$weak_model: several need a name without commas" ;; esac
    fi
    floor=labels_$weak label_flags+=(--test="$data/test.jsonl" "${second_flags[@]}")
  fi
}

read_made_labels() {  # what each loss learns beside the supervisor's labels: -shuffled -truth0.1
  local kind share kinds=
  controls=
  for kind in ${CONTROL:-0}; do
    case $kind in
      0) ;;
      1) controls+=" -shuffled" ;;
      shuffled | uniform) controls+=" -$kind" ;;
      *) refuse "CONTROL=\"$CONTROL\": 0, 1 or the kinds, shuffled uniform, are needed" ;;
    esac
  done

  for share in $TRUTH ${KEEP:=0.5}; do
    [[ $share =~ ^(0\.[0-9]*[1-9]|1)$ ]] ||
      refuse "TRUTH=\"$TRUTH\" KEEP=\"$KEEP\": shares such as 0.1 are needed"
  done
  for share in $TRUTH; do
    kinds+=" -truth$share"
  done
  for kind in $FILTER; do
    case $kind in
      confidence | random) ;;
      truth) kind=truth1-random ;;
      unanimity)
        [ ${#supervisors[@]} != 1 ] || refuse "FILTER=unanimity needs several SUPERVISORS" ;;
      trust) [ "${PARTS:-0}" = 1 ] || refuse "FILTER=trust needs several SUPERVISORS and PARTS=1" ;;
      *) refuse "FILTER=\"$FILTER\": confidence, unanimity, trust, random, truth are there" ;;
    esac
    kinds+=" -$kind$KEEP"
  done
  made_of_labels=$controls
  for kind in $kinds; do
    made_of_labels+=" $kind"
    case $kind in -truth1-*) continue ;; esac  # a ceiling has no control
    for control in $controls; do
      made_of_labels+=" $kind$control"
    done
  done
}

read_arguments() {  # WEAK STRONG TASK [--flag=value ...]
  local names=() weak_recipe= strong_recipe=

  # whose flag it is; both: of supervisor and student
  prepare_flags=() both=() weak_only=() strong_only=() label_only=() prompt_flags=()
  generative_flags=()
  second_flags=()  # the second test file, for supervisors that label together, too
  for word in "$@"; do
    case $word in
      --*-*)  # --max-tokens=64 is --max_tokens=64
        local flag=${word%%=*} value=${word#"${word%%=*}"}
        flag=${flag#--} word=--${flag//-/_}$value ;;
    esac
    case $word in
      --help | -h)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0"
        exit ;;
      --max_train=* | --max_test=* | --text=* | --label=* | --choices=* | --group=* | --config=* | \
      --form=*)
        prepare_flags+=("$word") ;;
      --evals=* | --keep=* | --save_model*)
        strong_only+=("$word") ;;
      --examples=*)
        weak_only+=("$word") ;;
      --dtype=*)
        label_only+=("$word") prompt_flags+=("$word") ;;
      --max_tokens=* | --fsdp*)
        both+=("$word") prompt_flags+=("$word") ;;
      --microbatch=* | --checkpointing* | --save_minutes=*)
        both+=("$word") generative_flags+=("$word") ;;
      --test2=*)
        both+=("$word") second_flags+=("$word") ;;
      --*)
        both+=("$word") ;;
      *)
        names+=("$word") ;;
    esac
  done

  # what names a run is set for each stage, or its results would be called what they are not
  for word in "$@" $WEAK_FLAGS $STRONG_FLAGS $PROBE_FLAGS $PROMPT_FLAGS $GENERATIVE_FLAGS \
    $CHAIN_FLAGS; do
    case ${word%%=*} in
      --seed | --seeds | --losses | --results | --data | --out | --train | --test | --task | \
      --model | --labels | --loss | --weak | --shots | --kind | --part)
        refuse "${word%%=*} is set for each stage here; \
before bash stand SEEDS=, LOSSES=, RESULTS=, DATA=" ;;
    esac
  done

  # the demo, with the sizes and the recipe chosen for it
  if [ ${#names[@]} = 0 ]; then
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/weak-to-strong
    python "$here/demo/get_models.py" "$cache"
    names=("$cache/all-MiniLM-L6-v2" "$cache/SmolLM2-135M" "$here/demo/films.jsonl")
    prepare_flags=(--max_train=600 --max_test=1000 "${prepare_flags[@]}")
    weak_recipe=--epochs=4 strong_recipe=--epochs=1
    CONTROL=${CONTROL-1}
  fi
  if [ ${#names[@]} != 3 ]; then
    refuse "three names are needed, WEAK STRONG TASK, or none for the demo; \
flags are written --flag=value"
  fi

  # what results are called
  weak_model=${names[0]} strong_model=${names[1]} task=${names[2]}
  strong=$(name_of "$strong_model") name=$(basename "$task")
  for ending in jsonl csv tsv parquet; do
    name=${name%.$ending}
  done
  case $name in
    "" | . | ..) refuse "$task gives the results no name; a task or a file is needed" ;;
  esac
  data=${DATA:-data}/$name results=${RESULTS:-results}/$name
  check_names "$weak_model"
  check_names "$strong_model"
  read_supervisors

  # of a flag that is there twice the last one counts
  test_files=(--test="$data/test.jsonl" --task="$data/task.json")
  weak_flags=("${test_files[@]}" $weak_recipe "${both[@]}" $WEAK_FLAGS "${weak_only[@]}")
  strong_flags=("${test_files[@]}" $strong_recipe "${both[@]}" $STRONG_FLAGS "${strong_only[@]}")

  read_made_labels

  # a slip is found before anything is trained
  PYTHONPATH=$here python -m w2s.source "$0" $LOSSES
  for seed in $SEEDS; do
    case $seed in
      *[!0-9]* | 0?*) refuse "SEEDS=\"$SEEDS\": whole numbers are needed, such as 0 1 2" ;;
      ????*)
        [ ${#supervisors[@]} = 1 ] ||
          refuse "SEEDS=\"$SEEDS\": numbers below 1000 are needed with several supervisors" ;;
    esac
  done
}
