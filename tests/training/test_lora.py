"""LoRA: nothing changes at first, the adapter alone learns, and PEFT's files."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.models import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel
from minillm.training.lora import LoraConfig, apply_lora, load_lora, lora_layers, merge_lora, save_lora

BERT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 16, "initializer_range": 0.3}  # fmt: skip
GPT2 = {"vocab_size": 50, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2, "initializer_range": 0.3}


def make_bert():
    minillm.manual_seed(0)
    return BertForSequenceClassification(BertConfig(**BERT)).eval()


def make_gpt2():
    minillm.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(**GPT2)).eval()


def make_ids():
    return minillm.tensor(np.random.default_rng(1).integers(0, 50, (3, 6)))


def shake(model):
    """Give the adapters numbers, as training would."""
    rng = np.random.default_rng(2)
    for _, layer in lora_layers(model):
        layer.lora_B.weight.array[...] = rng.standard_normal(layer.lora_B.weight.shape)


def logits_of(model):
    with minillm.no_grad():
        return model(make_ids()).logits.numpy()


@pytest.mark.parametrize("make", [make_bert, make_gpt2])
def test_it_begins_as_the_model_and_merges_into_it(make):
    model = make()
    before, names = logits_of(model), set(model.state_dict())
    apply_lora(model, LoraConfig(r=3, lora_alpha=6, use_rslora=make is make_gpt2))
    np.testing.assert_array_equal(logits_of(model), before)
    shake(model)
    adapted = logits_of(model)
    assert np.abs(adapted - before).max() > 0.1
    _, layer = next(lora_layers(model))
    scale = 6 / 3 if make is make_bert else 6 / 3**0.5
    wanted = scale * layer.lora_B.weight.detach().numpy() @ layer.lora_A.weight.detach().numpy()
    np.testing.assert_allclose(layer.change().detach().numpy(), wanted, rtol=1e-5)
    with pytest.raises(ValueError, match="has adapters already"):
        apply_lora(model)
    assert merge_lora(model) is model
    np.testing.assert_allclose(logits_of(model), adapted, atol=1e-4)
    assert set(model.state_dict()) == names
    with pytest.raises(ValueError, match="merge_lora: the model has no adapters"):
        merge_lora(model)


def test_the_adapter_and_the_head_alone_are_trained():
    model = make_bert().train()
    apply_lora(model, LoraConfig(modules_to_save=("classifier",), lora_dropout=0.1))
    frozen = {name: p.numpy().copy() for name, p in model.named_parameters() if not p.requires_grad}
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert all("lora_" in name or name.startswith("classifier.") for name in trained)
    assert len(trained) == 2 * 2 * 2 + 2
    optimizer = minillm.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    labels = minillm.tensor([0, 1, 0])
    losses = []
    for _ in range(40):
        loss = model(make_ids(), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    for name, p in model.named_parameters():
        if name in frozen:
            np.testing.assert_array_equal(p.numpy(), frozen[name], err_msg=name)


def test_saved_alone_and_loaded_into_a_fresh_model(tmp_path):
    model = make_bert()
    apply_lora(model, LoraConfig(r=2, target_modules="all-linear", modules_to_save=("classifier",)))
    shake(model)
    model.classifier.weight.array[...] += 1
    save_lora(model, tmp_path)
    assert (tmp_path / "adapter_model.safetensors").stat().st_size < 30_000
    fresh = make_bert()
    names = load_lora(fresh, tmp_path)
    assert "bert.encoder.layer.1.output.dense" in names
    np.testing.assert_array_equal(logits_of(fresh), logits_of(model))


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_files_go_both_ways_with_peft(kind, tmp_path):
    torch, peft, transformers = (pytest.importorskip(name) for name in ("torch", "peft", "transformers"))
    ours = make_bert() if kind == "bert" else make_gpt2()
    ours.save_pretrained(tmp_path / "base")
    if kind == "bert":
        theirs = transformers.BertForSequenceClassification.from_pretrained(tmp_path / "base")
        more = {"modules_to_save": ["classifier"], "task_type": "SEQ_CLS"}
    else:
        theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "base")
        more = {"fan_in_fan_out": True, "task_type": "CAUSAL_LM"}
    adapted = peft.get_peft_model(theirs, peft.LoraConfig(r=4, lora_alpha=10, **more)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, p in adapted.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                p.copy_(torch.randn(p.shape, generator=generator))
    adapted.save_pretrained(tmp_path / "theirs")
    load_lora(ours, tmp_path / "theirs")
    ids = torch.tensor(make_ids().numpy())
    wanted = adapted(ids).logits.detach().numpy()
    np.testing.assert_allclose(logits_of(ours), wanted, atol=1e-4)
    ours.lora_config.base_model_name_or_path = str(tmp_path / "base")
    save_lora(ours, tmp_path / "ours")
    base = type(theirs).from_pretrained(tmp_path / "base")
    back = peft.PeftModel.from_pretrained(base, tmp_path / "ours").eval()
    np.testing.assert_allclose(back(ids).logits.detach().numpy(), wanted, atol=1e-4)


def test_what_does_not_fit_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"no linear layer matches target_modules \('keys',\); there are .*query"):
        apply_lora(make_bert(), LoraConfig(target_modules=("keys",)))
    with pytest.raises(ValueError, match=r"no module is called as modules_to_save says, \('score',\)"):
        apply_lora(make_bert(), LoraConfig(modules_to_save=("score",)))
    with pytest.raises(ValueError, match="which layers to adapt in Sequential; give target_modules"):
        apply_lora(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(ValueError, match="save_lora: the model has no adapters"):
        save_lora(make_bert(), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"adapter_config\.json: there is no such file; an adapter has"):
        load_lora(make_bert(), tmp_path)
    for changes, message in (
        ({"r": 0}, "r is 0"),
        ({"lora_dropout": 1.0}, "lora_dropout is 1.0"),
        ({"lora_alpha": float("nan")}, "lora_alpha"),
    ):
        with pytest.raises(ValueError, match=message):
            LoraConfig(**changes)
    model = make_bert()
    apply_lora(model, LoraConfig(r=2))
    save_lora(model, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())

    def load_with(**changes):
        (tmp_path / "adapter_config.json").write_text(json.dumps({**config, **changes}))
        load_lora(make_bert(), tmp_path)

    load_with()
    with pytest.raises(ValueError, match="use_dora is True, which is not offered"):
        load_with(use_dora=True)
    with pytest.raises(ValueError, match=r"has shape \(2, 16\), and the model's has \(3, 16\)"):
        load_with(r=3)
    with pytest.raises(ValueError, match=r"it lacks bert\.encoder.layer.0.attention.self.key.lora_A.weight"):
        load_with(target_modules=["query", "key", "value"])
    with pytest.raises(ValueError, match=r"no place for bert\.encoder.layer.0.attention.self.value"):
        load_with(target_modules=["query"])
    (tmp_path / "adapter_config.json").write_text("[]")
    with pytest.raises(ValueError, match="it holds list; it needs an object"):
        load_lora(make_bert(), tmp_path)
