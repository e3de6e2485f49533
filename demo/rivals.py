"""Other ways to finetune the benchmark's classifier, in batches of 32, beside which it sets ours.

    work = hugging_face(model, tokenizer, ids, labels, folder)    # work() trains: one epoch
    work = openai(model, ids, labels)

The same model, token ids and precision as ours: bf16 over float32 weights where the processor has
it fast, else float32. Neither evaluates, saves or logs.
"""

import torch
import transformers

from w2s.precision import autocast
from w2s.training import BF16, DEVICE


def hugging_face(model, tokenizer, ids, labels, folder):
    """transformers' Trainer: sentences of similar length share a batch, padded to its longest."""
    arguments = transformers.TrainingArguments(
        output_dir=folder,
        num_train_epochs=1,
        per_device_train_batch_size=32,
        learning_rate=1e-6,
        train_sampling_strategy="group_by_length",
        bf16=BF16,
        use_cpu=DEVICE.type == "cpu",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(
        model=model,
        args=arguments,
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
        train_dataset=[{"input_ids": i, "labels": label} for i, label in zip(ids, labels)],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer.train


def openai(model, ids, labels):
    """As openai/weak-to-strong trains by default: a forward pass a sentence, in random order and so
    without padding; the logits of 32 make one loss, whose backward pass goes through all of them.
    """
    labels = torch.tensor(labels, device=DEVICE)

    def work():
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)
        model.eval()  # without dropout
        for batch in torch.randperm(len(ids)).split(32):
            logits = []
            for i in batch:
                tokens = torch.tensor([ids[i]], device=DEVICE)
                with autocast():
                    hidden = model.base_model(input_ids=tokens).last_hidden_state  # (1, L, H)
                logits.append(model.score(hidden[:, -1].float()))
            loss = torch.nn.functional.cross_entropy(torch.cat(logits), labels[batch])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return work
