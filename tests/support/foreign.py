"""Configurations of other tools, as their own examples write them."""

from __future__ import annotations

import json

# Keys as in mlx_lm/examples/lora_config.yaml of mlx-lm 0.32.
STOCK = """\
model: org/model
train: true
fine_tune_type: dora
optimizer: adamw
optimizer_config:
  adamw: {weight_decay: 0.1}
  sgd: {momentum: 0.9}
data: rows
seed: 7
num_layers: -1
batch_size: 2
iters: 300
val_batches: 25
learning_rate: 3e-5
lr_schedule: {name: cosine_decay, warmup: 100, warmup_init: 0, arguments: [1e-5, 200]}
steps_per_report: 10
steps_per_eval: 200
resume_adapter_file: null
adapter_path: adapters
save_every: 100
test: true
test_batches: 10
max_seq_length: 1024
grad_checkpoint: true
mask_prompt: true
lora_parameters:
  keys: ["self_attn.q_proj", "self_attn.v_proj"]
  rank: 16
  scale: 10.0
  dropout: 0.05
"""
# Keys as in the configuration reference of Axolotl and its examples/llama-3/qlora-1b.yml.
AXOLOTL = """\
base_model: org/llama
load_in_4bit: true
adapter: qlora
datasets:
  - {path: who/instructions, type: alpaca}
  - {path: who/more, type: sharegpt}
val_set_size: 0.1
sequence_len: 4096
sample_packing: true
lora_r: 32
lora_alpha: 16
lora_target_linear: true
gradient_accumulation_steps: 4
micro_batch_size: 2
max_steps: 100
optimizer: adamw_bnb_8bit
weight_decay: 0.0
lr_scheduler: cosine
learning_rate: 0.0002
warmup_ratio: 0.1
logging_steps: 5
train_on_inputs: false
output_dir: ./outputs/out
deepspeed: zero2.json
"""
# As PEFT's save_pretrained writes its LoraConfig.
PEFT = json.dumps(
    {
        "base_model_name_or_path": "org/llama", "bias": "none", "fan_in_fan_out": False, "inference_mode": True,
        "init_lora_weights": True, "layers_to_transform": [1, 2], "lora_alpha": 32, "lora_dropout": 0.1,
        "modules_to_save": None, "peft_type": "LORA", "r": 16, "target_modules": ["q_proj", "v_proj"],
        "task_type": "CAUSAL_LM", "use_dora": False, "use_rslora": True,
    }
)  # fmt: skip
# As in Unsloth's notebooks: from_pretrained, get_peft_model, SFTConfig.
UNSLOTH = """\
model: {model_name: org/llama, max_seq_length: 2048, load_in_4bit: true}
lora:
  r: 8
  target_modules: [q_proj, k_proj]
  lora_alpha: 8
  lora_dropout: 0
  use_gradient_checkpointing: unsloth
  random_state: 3407
training:
  dataset_text_field: text
  per_device_train_batch_size: 2
  gradient_accumulation_steps: 4
  warmup_steps: 5
  max_steps: 60
  learning_rate: 2e-4
  optim: adamw_8bit
  weight_decay: 0.01
  lr_scheduler_type: linear
  report_to: none
dataset: rows.jsonl
"""
# Keys as in LLaMA-Factory's examples/train_lora.
LLAMA_FACTORY = """\
model_name_or_path: org/llama
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 8
lora_target: all
dataset: identity,demo
template: llama3
cutoff_len: 1024
max_samples: 500
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
val_size: 200
quantization_bit: 8
"""
FILES = {"mlx-lm": STOCK, "axolotl": AXOLOTL, "peft": PEFT, "unsloth": UNSLOTH, "llama-factory": LLAMA_FACTORY}
