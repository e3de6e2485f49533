"""Every family of text models that transformers knows, tiny and random: are its probabilities those of the text alone?

    python tests/families.py               # all of them, some eight minutes on one core
    python tests/families.py llama gemma   # those whose name contains one of the words

One row for each configuration class of AutoModelForSequenceClassification, and for variants of some. A model is made as
it would be published: with its language-model head, so that the classification head is new, and with the byte-level
tokenizer of conftest.py, which states no model_max_length. Then

    batch       25 texts, one far too long, by predict() in batches of 8, against the model's own forward on each text alone
    training    two forward passes in training mode: the same bits
    microbatch  finetune() for two steps with batches of 8, whole and two at a time: the same probabilities

Prints a row of each family (family, head, verdict, greatest difference between probabilities, seconds) and counts. Verdicts:

    equal       no probability differs by more than 1e-5; float32's rounding gives 1e-7 to 1e-6
    refused     load() says in one line that it does not take the model, or a later function says so of a text
    OFF         a result is silently wrong, by so much, in which of the checks
    traceback   anything else

To expect: equal or refused in every row; the exit status is 1 if any is OFF or ends in a traceback.
"""

import collections
import contextlib
import copy
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
from conftest import FILLERS, make_model  # first, since it switches bf16 off

import torch
import transformers
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForSequenceClassification

import classifier
from losses import xent

TOLERANCE = 1e-5

# What the attributes of a configuration become, by name, wherever it has them. Windows and blocks are shorter than
# most of the texts, so that what a model does with long texts happens here too.
SIZES = {
    1: "num_hidden_groups inner_group_num n_group topk_group first_k_dense_replace num_random_blocks num_nextn_predict_layers",
    2: "n_layer n_layers num_layers num_decoder_layers encoder_layers decoder_layers depth max_window_layers "
       "num_key_value_heads num_kv_heads num_experts_per_tok moe_topk linear_num_key_heads n_mamba_heads rotary_dim "
       "_sliding_window_pattern sliding_window_pattern block_size num_self_attends_per_block index_n_heads",
    4: "num_hidden_layers num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads num_self_attention_heads "
       "num_cross_attention_heads num_experts num_local_experts n_routed_experts linear_num_value_heads mamba_d_state "
       "coordinate_size gated_norm_rank mamba_dt_rank adapter_rank index_topk num_query_groups",
    8: "head_dim attention_head_size qk_rope_head_dim qk_nope_head_dim v_head_dim d_kv d_head kv_channels linear_key_head_dim "
       "linear_value_head_dim sliding_window local_attention window_size attention_window keep_window_size shape_size "
       "query_pre_attn_scalar local_attn_chunk_length lsh_attn_chunk_length chunk_size num_latents index_head_dim",
    16: "embedding_size kv_lora_rank q_lora_rank input_embedding_size entity_emb_size dim_model_base",
    32: "hidden_size d_model n_embd dim emb_dim word_embed_proj_dim d_latents pooler_hidden_size output_embedding_size "
        "moe_intermediate_size shared_expert_intermediate_size cross_attention_hidden_size true_hidden_size prediction_head_size "
        "intra_bottleneck_size out_hidden_size",
    64: "intermediate_size encoder_ffn_dim decoder_ffn_dim d_ff dff d_inner hidden_dim ffn_hidden_size ffn_dim feed_forward_size "
        "max_position_embeddings n_positions max_seq_len attention_hidden_size original_max_position_embeddings entity_vocab_size "
        "num_position_embeddings shape_vocab_size pronunciation_vocab_size pronunciation_embed_dim shape_embed_dim",
}
SMALL = {name: size for size, names in SIZES.items() for name in names.split()}

# What a family needs beyond that.
MLA = {"num_key_value_heads": 4}  # its keys are compressed, not shared between heads
ROPE = {kind: {"rope_type": "default", "rope_theta": 10000.0} for kind in ("full_attention", "sliding_attention")}
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8}
NEEDS = {
    **{family: MLA for family in ("axk1", "axk2", "deepseek_v3", "minicpm3", "esmc")},
    **{family: {"head_dim": 8} for family in ("hunyuan_v1_dense", "hunyuan_v1_moe", "ministral")},
    **{family: {"decoder_start_token_id": 2} for family in ("t5", "mt5", "umt5")},  # the pad token
    **{family: RELATIVE for family in ("deberta", "deberta-v2")},  # as all published ones; the class's default is without
    "cohere_compass_text": {"rope_parameters": ROPE, "layer_types": ["sliding_attention", "full_attention"] * 2},
    "deepseek_v2": {**MLA, "num_experts_per_tok": 2},
    "esm": {"position_embedding_type": "rotary", "token_dropout": True},
    "funnel": {"block_sizes": [2, 1, 1]},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "layoutlmv3": {"coordinate_size": 4, "shape_size": 8},
    "lilt": {"hidden_size": 48},
    "mistral4": {**MLA, "qk_nope_head_dim": 4, "qk_rope_head_dim": 4},
    "nemotron": {"num_key_value_heads": 2},
    "reformer": {"attn_layers": ["local", "lsh"] * 2, "axial_pos_shape": [8, 8], "axial_pos_embds_dim": [16, 16]},
    "squeezebert": {"embedding_size": 32},
    "xmod": {"default_language": "en_XX"},
    **{family: {"layers_block_type": ["mamba", "hybrid"] * 2} for family in ("zamba", "zamba2")},
}

# Rows beyond one for each class: (name, family, changes to its configuration, a text more).
VARIANTS = [
    *[(f"{family} is_causal=false", family, {"is_causal": False}, "") for family in ("llama", "qwen2", "qwen3", "mistral")],
    ("gemma3_text bidirectional", "gemma3_text", {"use_bidirectional_attention": True}, ""),
    ("mixtral router_jitter_noise", "mixtral", {"router_jitter_noise": 0.1}, ""),
    ("gemma3 nested dropout", "gemma3", {"text_config": {"attention_dropout": 0.2}}, ""),
    ("qwen3_5 nested dropout", "qwen3_5", {"text_config": {"attention_dropout": 0.2}}, ""),
    ("roberta 130 positions", "roberta", {"max_position_embeddings": 130}, ""),
    ("bart eos in a text", "bart", {}, "the <|endoftext|> film"),
    ("t5 eos in a text", "t5", {}, "the <|endoftext|> film"),
]

# No family of text, or none whose classifier takes token ids alone.
SKIPPED = {}


def small(config_class, ids):
    """Keyword arguments that make a configuration tiny, with the tokenizer's special ids, and so do those nested in it."""
    nested = getattr(config_class, "sub_configs", {})
    arguments = {}
    for name, value in config_class().to_dict().items():
        if name in nested and isinstance(value, dict):
            own = type(getattr(config_class(), name))
            arguments[name] = small(own, ids)
        elif name in ids:
            missing = ids["eos_token_id"] if value is not None else None
            arguments[name] = missing if ids[name] is None else ids[name]
        elif name in SMALL and isinstance(value, int) and not isinstance(value, bool):
            arguments[name] = SMALL[name]
    return arguments


def merge(arguments, changes):
    """arguments with changes, also to those nested in it."""
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(arguments.get(name), dict):
            merge(arguments[name], value)
        else:
            arguments[name] = value
    return arguments


def published_class(config_class):
    """The class of a pretrained checkpoint: with a language model's head where the family has one."""
    for kind in ("PreTraining", "ImageTextToText", "MaskedLM", "Seq2SeqLM", "CausalLM"):
        auto = getattr(transformers, f"AutoModelFor{kind}" if kind != "PreTraining" else "AutoModelForPreTraining")
        if config_class in auto._model_mapping.keys():
            return auto
    return transformers.AutoModel


def make_tokenizer(config_class, folder):
    """Saves a tokenizer as the family has it, and returns it: bare for decoders, with eos, or with [CLS] and [SEP]."""
    decoder = config_class in transformers.AutoModelForCausalLM._model_mapping.keys()
    masked = config_class in transformers.AutoModelForMaskedLM._model_mapping.keys()
    both = getattr(config_class(), "is_encoder_decoder", False)
    xlnet = config_class.model_type == "xlnet"
    bare = decoder and not (masked or both or xlnet)
    make_model("gpt2" if bare else "bert", folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if not bare:
        tokenizer.add_special_tokens({"sep_token": "[SEP]", "mask_token": "[MASK]"})
        form = "$A [SEP] [CLS]" if xlnet else "$A <|endoftext|>" if both else "[CLS] $A [SEP]"
        special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("[CLS]", "[SEP]", "<|endoftext|>")]
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=form, special_tokens=special)
    for file in Path(folder).iterdir():
        file.unlink()
    tokenizer.save_pretrained(folder)
    return tokenizer


@torch.no_grad()
def draw(parameters):
    """Weights of the size of trained ones. Those of a new model are so small that attention is the same everywhere."""
    generator = torch.Generator().manual_seed(0)
    for name, weight in parameters:
        if any(word in name for word in ("A_log", "dt_", ".D", "slope")):
            continue  # of state-space layers: rates of decay, whose first values have a meaning
        noise = torch.randn(weight.shape, generator=generator)
        if weight.dim() < 2:
            weight += 0.1 * noise
        elif "embed" in name or "wte" in name or "wpe" in name:
            weight.copy_(noise)
        else:
            weight.copy_(noise * (weight.shape[0] / weight.numel()) ** 0.5 if weight.dim() != 3 or "conv" in name
                         else noise * weight.shape[-1] ** -0.5)


def make(config_class, changes, folder):
    """Saves a tiny model of a family with its tokenizer."""
    tokenizer = make_tokenizer(config_class, folder)
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "eos", "cls", "sep", "mask")}
    ids |= {"bos_token_id": ids["eos_token_id"], "forced_eos_token_id": ids["eos_token_id"], "vocab_size": len(tokenizer),
            "decoder_start_token_id": ids["eos_token_id"], "pad_index": ids["pad_token_id"], "mask_index": ids["mask_token_id"]}
    arguments = merge(small(config_class, ids), NEEDS.get(config_class.model_type, {}))
    config = config_class(**merge(arguments, changes))
    torch.manual_seed(0)
    model = published_class(config_class).from_config(config)
    draw(model.named_parameters())
    model.save_pretrained(folder)


def make_texts(whole, more):
    """25 texts of 1 to 40 words, some with the first token of the vocabulary and, unless only whole, with special tokens."""
    draw = random.Random(0)
    texts = ["!", "a"]
    for length in [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 33, 36, 40]:
        words = draw.choices(FILLERS, k=length)
        if length % 5 == 0:
            words[-1] += "!"
        if length % 4 == 0 and not whole:
            words[draw.randrange(length)] = draw.choice(["[PAD]", "<|endoftext|>"])
            words[-1] = draw.choice([words[-1], "<|endoftext|>", "[PAD]"])
        texts.append(" ".join(words))
    return texts + [more] * bool(more)


@torch.no_grad()
def plain(model, folder):
    """The library's own classifier from the same folder. What the folder lacks, such as the head, both get anew."""
    plain, info = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2, output_loading_info=True)
    draw((name, weight) for name, weight in plain.named_parameters() if name in info["missing_keys"])
    model.load_state_dict({name: weight for name, weight in plain.state_dict().items() if name in info["missing_keys"]}, strict=False)
    return plain


@torch.no_grad()
def alone(plain, tokenizer, texts, causal):
    """Probabilities of each text by itself, without padding or mask, from the library's own forward.

    To find the last token of a text a causal model looks for its pad token, which is also its eos and may stand in a text.
    Without a pad token in the text it takes the last one, so its pad token becomes one that no text has. Each text has a model of its own, since some remember (BigBird).
    """
    logits = []
    for ids in classifier.encode(tokenizer, texts):
        model = copy.deepcopy(plain).eval()
        if tokenizer.pad_token == tokenizer.eos_token or causal:
            model.config.pad_token_id = model.config.get_text_config().pad_token_id = -1
        logits.append(model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)).logits)
    return torch.cat(logits).float().softmax(1)


def compare(model, reference, tokenizer, texts):
    """Probabilities in batches of 8, less those of each text alone."""
    together = classifier.predict(copy.deepcopy(model), tokenizer, texts, 8, what="")
    return together - alone(reference, tokenizer, texts, classifier.is_causal(model))


@torch.no_grad()
def training_passes(model, tokenizer, texts):
    """The difference between two passes in training mode."""
    model.train()
    ids = classifier.encode(tokenizer, texts)
    first, second = (classifier.forward(model, ids, tokenizer.pad_token_id).softmax(1) for _ in range(2))
    return first - second


def tuned(model, tokenizer, texts, microbatch):
    """Probabilities after two steps of training."""
    model = copy.deepcopy(model)
    targets = torch.tensor([[0.2, 0.8], [0.7, 0.3]]).repeat(len(texts) // 2, 1)
    classifier.finetune(model, tokenizer, texts, targets, xent, epochs=1, batch_size=8, microbatch=microbatch)
    return classifier.predict(model, tokenizer, texts, 8, what="")


def by_us(error):
    """Whether an error is the classifier's own word, in one line, and not one that it let through."""
    own = traceback.extract_tb(error.__traceback__)[-1].filename == classifier.__file__
    return own and isinstance(error, (ValueError, OSError)) and "\n" not in str(error)


def check(config_class, changes, more, folder):
    """(head, verdict, greatest difference) of a family."""
    head, greatest = "-", 0.0
    try:
        make(config_class, changes, folder)
    except Exception as error:
        return head, f"cannot be made tiny: {type(error).__name__}: {error}"[:180].replace("\n", " "), greatest
    try:
        model, tokenizer = classifier.load(folder, seed=0)
    except (ValueError, OSError) as error:
        return head, f"refused: {str(error)[:100]}" if "\n" not in str(error) else "traceback: several lines", greatest
    except Exception as error:
        return head, f"traceback: {type(error).__name__} in load: {error}"[:120].replace("\n", " "), greatest
    head = "causal" if classifier.is_causal(model) else "other"
    reference = plain(model, folder)
    texts = make_texts(whole=model.config.is_encoder_decoder, more=more)
    long = texts[5:8] + [" ".join(FILLERS * 20)]
    checks = {"batch": lambda: compare(model, reference, tokenizer, texts),
              "training": lambda: training_passes(model, tokenizer, texts),
              "microbatch": lambda: tuned(model, tokenizer, texts[8:24], 0) - tuned(model, tokenizer, texts[8:24], 2),
              "long text": lambda: compare(model, reference, tokenizer, long)}
    off, failed = [], []
    for what, difference in checks.items():
        try:
            by = difference().abs().max().item()
        except Exception as error:
            if by_us(error):
                return head, f"refused: {str(error)[:100]}", greatest
            failed.append(f"{type(error).__name__} in {what}: {error}"[:100].replace("\n", " "))
            continue
        greatest = max(by, greatest)
        if not by <= (0 if what == "training" else TOLERANCE):
            off.append(f"{by:.2g} ({what})")
    verdict = ["traceback: " + "; ".join(failed)] * bool(failed) + ["OFF by " + ", ".join(off)] * bool(off)
    return head, "; ".join(verdict) or "equal", greatest


def main():
    classes = {config_class.model_type: config_class for config_class in AutoModelForSequenceClassification._model_mapping.keys()}
    rows = [(family, family, {}, "") for family in classes if family not in SKIPPED] + VARIANTS
    rows = [row for row in rows if not sys.argv[1:] or any(word in row[0] for word in sys.argv[1:])]
    counts = collections.Counter()
    for name, family, changes, more in rows:
        began = time.time()
        with tempfile.TemporaryDirectory() as folder:
            head, verdict, greatest = check(classes[family], changes, more, folder)
        counts[verdict.split()[0].strip(":")] += 1
        print(f"{name:30} {head:7} {verdict:60} {greatest:8.1e} {time.time() - began:5.1f} s", flush=True)
    print(", ".join(f"{number} {kind}" for kind, number in counts.items()), f"of {len(rows)};", f"{len(SKIPPED)} families skipped")
    sys.exit(1 if counts["OFF"] or counts["traceback"] or counts["cannot"] else 0)


if __name__ == "__main__":
    main()
