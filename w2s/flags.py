"""The command line: fire takes its words apart, and the defaults of a stage's main say their types.

    flags.cli(main)   # main(model, out, epochs=2): --model=gpt2 --out=o --epochs=3
"""

import difflib
import gc
import inspect
import os
import sys

from w2s.records import FIRST, refuse

# the least that an argument may be
LEAST = {"max_train": 2, "max_test": 2, "block": 2, "batch_size": 1, "max_tokens": 1,
         **dict.fromkeys(["shots", "calibrate", "epochs", "examples", "evals", "lora", "microbatch",
                          "save_minutes"], 0)}

# what it may be, of those that have a choice
ONE_OF = {"head": ("auto", "words", "random"), "dtype": ("float32", "bf16"),
          "form": ("binary", "choices")}

TRUTH = {"true": True, "1": True, "false": False, "0": False}


def cli(main):
    """Runs main with the command line's flags, each of its default's type. --help shows them."""
    # of several processes the first one speaks for all
    if not FIRST:
        sys.stdout = open(os.devnull, "w")

    gc.disable()  # imports are a million objects and no garbage; hub.fetching enables it again
    try:
        if {"--help", "-h"} & set(sys.argv[1:]):
            print_help(main)
        else:
            main(**_flags(main))
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        refuse(f"{error.name} is not installed; "
               "pip install -r requirements.txt has what this project needs")
    except BrokenPipeError:
        # whoever reads the output, `| head` say, has read enough: nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        refuse(f"{error.filename or 'a file'}: {error.strerror or error}; "
               "what was done before is kept, run it again")
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        refuse("the GPU's memory does not suffice; "
               "try --checkpointing, --fsdp on several GPUs, or --microbatch=1 with it")
    finally:
        gc.freeze()  # nor are they looked through when the process ends


def print_help(main):
    """The stage's docstring, and main's signature with its comments, which fire cannot see."""
    signature = inspect.getsource(main).split("):\n")[0].replace("def main(", "").strip("\n")
    print(sys.modules[main.__module__].__doc__.strip())
    print(f"\nFlags, with their defaults:\n\n{signature}")


def _flags(main):
    """{flag: value} of the command line: --flag=value, --flag value; for a boolean also --flag
    alone, and --noflag. The first flag may stand without its name."""
    import fire  # here, since who calls main from Python has no command line

    flags = inspect.signature(main).parameters
    words, given = [], {}

    @fire.decorators.SetParseFn(str)  # as typed: fire would make 1e3 a number, and None a None
    def collect(*loose, **named):     # not main, which fire would run before it finds a wrong flag
        words.extend(loose)
        given.update(named)

    # what follows -- is for fire itself: told so, it takes a single - for a word like any other
    if "--" in sys.argv:
        refuse("unknown flag --")
    fire.Fire(collect, [*_booleans_settled(flags), "--", "--separator=\0"])

    first = next(iter(flags))
    if words and first not in given:
        given[first] = words.pop(0)
    if words:
        refuse(f"unknown flag {words[0]}")

    for name, text in given.items():
        # what fire makes of a flag that stands alone: --epochs is "True", --nose an "se" of "False"
        is_boolean = name in flags and isinstance(flags[name].default, bool)
        if text == "False" and _stands_alone(f"no{name}") and not is_boolean:
            name = f"no{name}"
        if name not in flags:
            near = difflib.get_close_matches(name, flags, 1, 0)
            refuse(f"unknown flag --{name}; did you mean --{near[0]}?")
        if text == "True" and _stands_alone(name) and not is_boolean:
            refuse(f"--{name} has no value; write --{name}=VALUE")

    for name, flag in flags.items():
        if name not in given and flag.default is flag.empty:
            refuse(f"--{name} is missing; --help shows all flags")
    return {name: _value(name, flags[name].default, text) for name, text in given.items()}


def _stands_alone(name):
    """Whether a flag is on the command line without "=" and a value."""
    return name in [word.lstrip("-").replace("-", "_") for word in sys.argv[1:]]


def _booleans_settled(flags):
    """The command line's words, where a boolean flag that stands alone is said to be true: fire
    would take any word that follows it for its value."""
    words = sys.argv[1:]
    for i, word in enumerate(words):
        name = word.removeprefix("--").replace("-", "_")
        is_boolean = name in flags and isinstance(flags[name].default, bool)
        following = "".join(words[i + 1:i + 2]).lower()
        if word.startswith("--") and is_boolean and following not in TRUTH:
            words[i] = f"{word}=true"
    return words


def _value(name, default, text):
    """A flag's value, of the type of its default; text where it has none."""
    try:
        if isinstance(default, bool):
            return TRUTH[text.lower()]
        if isinstance(default, (int, float)):
            return type(default)(text)
        return text
    except (KeyError, ValueError):
        wanted = {bool: "true or false is", int: "a whole number is", float: "a number is"}
        refuse(f"--{name}={text}: {wanted[type(default)]} needed")


def refuse_values(args):
    """Refuses arguments that no stage can work with."""
    for name in LEAST.keys() & args.keys():
        if not args[name] >= LEAST[name]:  # nan is not, either
            refuse(f"--{name}={args[name]}: {LEAST[name]} or more is needed")
    if not 0 <= args.get("seed", 0) < 2**63:
        refuse(f"--seed={args['seed']}: a whole number from 0 on is needed, below 2**63")
    if not 0 < args.get("lr", 1) < float("inf"):
        refuse(f"--lr={args['lr']}: a number above 0 is needed")
    for name in ONE_OF.keys() & args.keys():
        if args[name] not in ONE_OF[name]:
            *others, last = ONE_OF[name]
            refuse(f"--{name}={args[name]}: {', '.join(others)} or {last} is needed")
    if not args["out"]:
        refuse("--out is empty: a folder is needed")
