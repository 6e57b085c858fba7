"""Twenty steps of training in both libraries, from the same weights on the same batches: the losses are equal."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import models
from minillm.nn.utils import clip_grad_norm_
from minillm.optim.lr_scheduler import get_linear_schedule_with_warmup

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

STEPS, VOCAB = 20, 37
BERT = {
    "vocab_size": VOCAB, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 16, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.1,
}  # fmt: skip
SETTINGS = {
    "BertForMaskedLM": BERT,
    "BertForMultipleChoice": BERT,
    "BertForNextSentencePrediction": BERT,
    "BertForPreTraining": BERT,
    "BertForQuestionAnswering": BERT,
    "BertForSequenceClassification": {**BERT, "num_labels": 3},
    "BertForTokenClassification": {**BERT, "num_labels": 5},
    "GPT2ForSequenceClassification": {
        "vocab_size": VOCAB, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2, "resid_pdrop": 0.0,
        "embd_pdrop": 0.0, "attn_pdrop": 0.0, "pad_token_id": 0, "num_labels": 3, "initializer_range": 0.1,
    },
    "GPT2LMHeadModel": {
        "vocab_size": VOCAB, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2, "resid_pdrop": 0.0,
        "embd_pdrop": 0.0, "attn_pdrop": 0.0, "initializer_range": 0.1,
    },
    "LlamaForCausalLM": {
        "vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16, "initializer_range": 0.1,
    },
    "MarianMTModel": {
        "vocab_size": VOCAB, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 16,
        "pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": 1, "dropout": 0.0, "init_std": 0.1,
    },
}  # fmt: skip


def batch(head: str, step: int) -> dict[str, np.ndarray]:
    """What is read at a step, padded, with its labels."""
    rng = np.random.default_rng(step)
    shape = (4, 3, 9) if head == "BertForMultipleChoice" else (4, 9)
    x = rng.integers(2, VOCAB, shape)
    x[1, ..., 6:] = x[3, ..., 4:] = 0
    given = {"input_ids": x, "attention_mask": (x != 0).astype(np.int64)}
    if head == "BertForQuestionAnswering":
        return {**given, "start_positions": rng.integers(0, 4, 4), "end_positions": rng.integers(0, 4, 4)}
    if head.endswith(("Choice", "SequenceClassification")):
        return {**given, "labels": rng.integers(0, 3, 4)}
    if head.endswith("NextSentencePrediction"):
        return {**given, "labels": rng.integers(0, 2, 4)}
    labels = rng.integers(0, 5, (4, 9)) if head.endswith("TokenClassification") else x.copy()
    labels[x == 0] = -100
    if head.endswith("PreTraining"):
        given["next_sentence_label"] = rng.integers(0, 2, 4)
    return {**given, "labels": labels}


@pytest.mark.parametrize("head", SETTINGS)
def test_losses_and_weights_of_twenty_steps_are_equal(tmp_path, head):
    torch.manual_seed(0)
    kind = getattr(transformers, head)
    theirs = kind(kind.config_class(**SETTINGS[head])).train()
    theirs.save_pretrained(tmp_path / "before")
    ours = getattr(models, head).from_pretrained(tmp_path / "before").train()
    their_optimizer = torch.optim.AdamW(theirs.parameters(), lr=3e-3, weight_decay=0.1)
    our_optimizer = minillm.optim.AdamW(ours.parameters(), lr=3e-3, weight_decay=0.1)
    their_schedule = transformers.get_linear_schedule_with_warmup(their_optimizer, 4, STEPS)
    our_schedule = get_linear_schedule_with_warmup(our_optimizer, 4, STEPS)
    losses = []
    largest = {name: np.zeros(parameter.shape, np.float32) for name, parameter in theirs.named_parameters()}
    for step in range(STEPS):
        given = batch(head, step % 5)
        wanted = theirs(**{name: torch.tensor(values) for name, values in given.items()}).loss
        loss = ours(**{name: minillm.tensor(values) for name, values in given.items()}).loss
        wanted.backward()
        loss.backward()
        for name, parameter in theirs.named_parameters():
            if parameter.grad is not None:
                largest[name] = np.maximum(largest[name], np.abs(parameter.grad.numpy()))
        their_norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        our_norm = clip_grad_norm_(ours.parameters(), 1.0)
        assert float(our_norm) == pytest.approx(float(their_norm), rel=1e-3)
        for part in (their_optimizer, their_schedule, our_optimizer, our_schedule):
            part.step()
        their_optimizer.zero_grad()
        our_optimizer.zero_grad()
        losses.append((loss.item(), wanted.item()))
    found, expected = np.array(losses).T
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert expected[-5:].mean() < expected[:5].mean() - 0.05  # it has learned
    ours.save_pretrained(tmp_path / "after")
    back = kind.from_pretrained(tmp_path / "after").state_dict()
    for name, value in theirs.state_dict().items():
        # What changes no probability, as the bias of keys, has a gradient of rounding alone, which AdamW makes large.
        real = largest[name] > 1e-6 if name in largest else np.full(value.shape, True)
        np.testing.assert_allclose(back[name].numpy()[real], value.numpy()[real], atol=1e-4, err_msg=name)
    assert sum(int((gradient > 1e-6).sum()) for gradient in largest.values()) > 0.9 * theirs.num_parameters()
