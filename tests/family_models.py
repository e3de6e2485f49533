"""A tiny random model of every family that transformers knows, for families.py.

    make(config_class, changes, folder)     # saves it, with its tokenizer

The tables say how large a configuration becomes, what a family needs beyond that, and which
variants are rows of their own.
"""

import tempfile

from conftest import make_model  # before torch, since it switches bf16 off

import torch
import transformers
from tokenizers.processors import TemplateProcessing


# What attributes of a configuration become, by their name. Positions are 64; windows and blocks are
# shorter than most texts, so that what a model does only with long texts happens here too.
SIZES = {
    1: "num_hidden_groups inner_group_num n_group topk_group first_k_dense_replace "
       "num_random_blocks num_nextn_predict_layers",
    2: "n_layer n_layers num_layers num_decoder_layers encoder_layers decoder_layers depth "
       "max_window_layers num_key_value_heads num_kv_heads num_experts_per_tok moe_topk rotary_dim "
       "linear_num_key_heads n_mamba_heads _sliding_window_pattern sliding_window_pattern "
       "block_size num_self_attends_per_block",
    4: "num_hidden_layers num_attention_heads n_head n_heads num_heads encoder_attention_heads "
       "decoder_attention_heads num_self_attention_heads num_cross_attention_heads num_experts "
       "num_local_experts n_routed_experts linear_num_value_heads mamba_d_state gated_norm_rank "
       "mamba_dt_rank adapter_rank index_topk num_query_groups coordinate_size",
    8: "head_dim attention_head_size qk_rope_head_dim qk_nope_head_dim v_head_dim d_kv d_head "
       "kv_channels linear_key_head_dim linear_value_head_dim index_head_dim sliding_window "
       "local_attention window_size attention_window keep_window_size query_pre_attn_scalar "
       "local_attn_chunk_length lsh_attn_chunk_length chunk_size num_latents shape_size",
    16: "embedding_size input_embedding_size entity_emb_size kv_lora_rank q_lora_rank "
        "dim_model_base index_n_heads",
    32: "hidden_size d_model n_embd dim emb_dim word_embed_proj_dim d_latents pooler_hidden_size "
        "output_embedding_size moe_intermediate_size shared_expert_intermediate_size "
        "cross_attention_hidden_size true_hidden_size intra_bottleneck_size out_hidden_size "
        "prediction_head_size",
    64: "intermediate_size encoder_ffn_dim decoder_ffn_dim ffn_dim ffn_hidden_size hidden_dim "
        "feed_forward_size d_ff dff d_inner attention_hidden_size max_position_embeddings "
        "original_max_position_embeddings n_positions max_seq_len num_position_embeddings "
        "entity_vocab_size shape_vocab_size pronunciation_vocab_size shape_embed_dim "
        "pronunciation_embed_dim",
}
SMALL = {}
for size, names in SIZES.items():
    SMALL |= dict.fromkeys(names.split(), size)

# What a family needs beyond that.
MLA = {"num_key_value_heads": 4}  # of compressed keys each head has its own
DISENTANGLED = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
NEEDS = {
    "axk1": MLA, "axk2": MLA, "deepseek_v3": MLA, "minicpm3": MLA, "esmc": MLA,
    "deepseek_v2": {**MLA, "num_experts_per_tok": 2},
    "mistral4": {**MLA, "qk_nope_head_dim": 4, "qk_rope_head_dim": 4},
    "hunyuan_v1_dense": {"head_dim": 8}, "hunyuan_v1_moe": {"head_dim": 8},
    "ministral": {"head_dim": 8}, "nemotron": {"num_key_value_heads": 2},
    # The class's defaults are another model than those published.
    "deberta": DISENTANGLED, "deberta-v2": DISENTANGLED,
    "esm": {"position_embedding_type": "rotary", "token_dropout": True},
    # Starts from the pad token, id 2 of the tokenizer made below.
    **{family: {"decoder_start_token_id": 2} for family in ("t5", "mt5", "umt5")},
    # Which layers are of which kind, where it is no rule that four layers can follow.
    "cohere_compass_text": {"layer_types": ["sliding_attention", "full_attention"] * 2,
                            "rope_parameters": {"sliding_attention": ROPE, "full_attention": ROPE}},
    "funnel": {"block_sizes": [2, 1, 1]},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "reformer": {"attn_layers": ["local", "lsh"] * 2, "axial_pos_shape": [8, 8],
                 "axial_pos_embds_dim": [16, 16]},
    "zamba": {"layers_block_type": ["mamba", "hybrid"] * 2},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"] * 2},
    "lilt": {"hidden_size": 48},
    "squeezebert": {"embedding_size": 32},
    "xmod": {"default_language": "en_XX"},
}

# Published with a pooler, which their masked language model here is without.
WITH_POOLER = ("gte", "nomic_bert", "rembert", "tapas")

# Families of documents, tables and pictures are in, by their tokens alone.
SKIPPED = {"layoutlmv2": "cannot be built without detectron2",
           "mra": "its attention is zero without a CUDA kernel"}

# More rows: (name, family, changes to its configuration, one more text).
EOS = "the <|endoftext|> film"
VARIANTS = [
    *[(f"{family} is_causal=false", family, {"is_causal": False}, "")
      for family in ("llama", "qwen2", "qwen3", "mistral")],
    ("gemma3_text bidirectional", "gemma3_text", {"use_bidirectional_attention": True}, ""),
    ("gemma3 nested bidirectional", "gemma3",
     {"text_config": {"use_bidirectional_attention": True}}, ""),
    ("gemma3 nested dropout", "gemma3", {"text_config": {"attention_dropout": 0.2}}, ""),
    ("qwen3_5 nested dropout", "qwen3_5", {"text_config": {"attention_dropout": 0.2}}, ""),
    ("mixtral router_jitter_noise", "mixtral", {"router_jitter_noise": 0.1}, ""),
    ("bart layerdrop", "bart", {"encoder_layerdrop": 0.2, "decoder_layerdrop": 0.2}, ""),
    ("big_bird original_full", "big_bird", {"attention_type": "original_full"}, ""),
    ("deberta-v2 convolution", "deberta-v2", {"conv_kernel_size": 3, "conv_act": "gelu"}, ""),
    ("esm absolute positions", "esm", {"position_embedding_type": "absolute"}, ""),
    ("falcon alibi", "falcon", {"alibi": True}, ""),
    ("modernbert mean pooling", "modernbert", {"classifier_pooling": "mean"}, ""),
    ("roberta 130 positions", "roberta", {"max_position_embeddings": 130}, ""),
    ("bart eos in a text", "bart", {}, EOS),
    ("t5 eos in a text", "t5", {}, EOS),
]


# ---------------------------------------------------------------------------------- tiny models


def small(config_class, ids):
    """Arguments that make a configuration and those nested in it tiny, with the tokenizer's ids."""
    default = config_class()
    arguments = {}
    for name, value in default.to_dict().items():
        if isinstance(value, dict) and name in config_class.sub_configs:
            arguments[name] = small(type(getattr(default, name)), ids)
        elif name in ids and ids[name] is not None:
            arguments[name] = ids[name]
        elif name in ids:  # the tokenizer has no such token; where there must be one it is eos
            arguments[name] = None if value is None else ids["eos_token_id"]
        elif name in SMALL and isinstance(value, int) and not isinstance(value, bool):
            arguments[name] = SMALL[name]
    return arguments


def change(arguments, changes):
    """Changes arguments in place, the nested ones too."""
    for name, value in changes.items():
        if isinstance(value, dict) and name in arguments:
            change(arguments[name], value)
        else:
            arguments[name] = value


def knows(config_class, kind):
    """Whether transformers has an AutoModelFor<kind> of this family."""
    return config_class in getattr(transformers, f"AutoModelFor{kind}")._model_mapping.keys()


def published_as(config_class):
    """The auto class of a pretrained checkpoint: a language model where the family has one."""
    if config_class.model_type not in WITH_POOLER:
        for kind in ("PreTraining", "ImageTextToText", "MaskedLM", "Seq2SeqLM", "CausalLM"):
            if knows(config_class, kind):
                return getattr(transformers, f"AutoModelFor{kind}")
    return transformers.AutoModel


def make_tokenizer(config_class, folder):
    """A tokenizer with the special tokens that such a family puts around a text."""
    if config_class().is_encoder_decoder:
        form = "$A <|endoftext|>"
    elif config_class.model_type == "xlnet":
        form = "$A [SEP] [CLS]"
    elif knows(config_class, "CausalLM") and not knows(config_class, "MaskedLM"):
        form = "$A"
    else:
        form = "[CLS] $A [SEP]"

    # make_model saves a model too: it is in the way, but its tokenizer is what the tests use.
    with tempfile.TemporaryDirectory() as other:
        make_model("gpt2" if form == "$A" else "bert", other)
        tokenizer = transformers.AutoTokenizer.from_pretrained(other)
    if form != "$A":
        tokenizer.add_special_tokens({"sep_token": "[SEP]", "mask_token": "[MASK]"})
        around = ["[CLS]", "[SEP]", "<|endoftext|>"]
        pairs = list(zip(around, tokenizer.convert_tokens_to_ids(around)))
        template = TemplateProcessing(single=form, special_tokens=pairs)
        tokenizer.backend_tokenizer.post_processor = template
    tokenizer.save_pretrained(folder)
    return tokenizer


@torch.no_grad()
def draw(model, names=None):
    """Gives all weights, or those of some names, the size of trained ones: a new model's are so
    small that every position gets the same attention, and a pad token in it would hardly show."""
    generator = torch.Generator().manual_seed(0)
    tables = set()
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            tables.add(id(module.weight))

    for name, weight in model.named_parameters():
        if names is not None and name not in names:
            continue
        noise = torch.randn(weight.shape, generator=generator)
        if any(word in name for word in ("A_log", "dt_", ".D", "slope")):
            continue  # rates of decay in state-space layers
        if weight.dim() == 1:
            weight += 0.1 * noise
        elif id(weight) in tables:
            weight.copy_(noise)
        elif weight.dim() == 3 and "conv" not in name:
            weight.copy_(noise / weight.shape[2] ** 0.5)  # one matrix for each expert
        else:
            weight.copy_(noise / weight[0].numel() ** 0.5)


def make(config_class, changes, folder):
    """Saves a tiny model with its tokenizer."""
    tokenizer = make_tokenizer(config_class, folder)
    names = [f"{name}_token_id" for name in ("pad", "eos", "cls", "sep", "mask")]
    ids = {name: getattr(tokenizer, name) for name in names}
    for name in ("bos_token_id", "decoder_start_token_id", "forced_eos_token_id"):
        ids[name] = tokenizer.eos_token_id
    ids |= {"vocab_size": len(tokenizer), "pad_index": ids["pad_token_id"],
            "mask_index": ids["mask_token_id"]}

    arguments = small(config_class, ids)
    change(arguments, NEEDS.get(config_class.model_type, {}))
    change(arguments, changes)
    torch.manual_seed(0)
    model = published_as(config_class).from_config(config_class(**arguments))
    draw(model)
    model.save_pretrained(folder)
