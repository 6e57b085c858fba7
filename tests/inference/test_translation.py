"""``generate`` of encoder-decoders: the targets of transformers, the start token included."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.transformers import AutoModelForSeq2SeqLM, MarianConfig, MarianMTModel

SIZES = {
    "vocab_size": 40, "d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 24,
    "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 20, "max_position_embeddings": 32,
    "pad_token_id": 39, "decoder_start_token_id": 39, "eos_token_id": 0, "init_std": 0.3,
}  # fmt: skip
SOURCE = np.array([[3, 9, 4, 17, 5], [8, 2, 39, 39, 39], [30, 31, 32, 1, 39]])


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same random model in both libraries, by way of the other's file."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    theirs = transformers.MarianMTModel(transformers.MarianConfig(**SIZES)).eval()
    theirs.final_logits_bias.normal_()
    folder = tmp_path_factory.mktemp("marian")
    theirs.save_pretrained(folder)
    return AutoModelForSeq2SeqLM.from_pretrained(folder), theirs


@pytest.mark.parametrize(
    "options",
    [
        {"max_length": 9},
        {"max_new_tokens": 7, "num_beams": 3},
        {"max_length": 12, "num_beams": 4, "num_return_sequences": 2, "length_penalty": 0.5, "early_stopping": True},
        {"max_length": 10, "forced_eos_token_id": None},
        {"max_length": 8, "forced_eos_token_id": [4, 5], "repetition_penalty": 1.5},
        {"max_length": 12, "no_repeat_ngram_size": 2, "bad_words_ids": [[39], [7]]},
        {"max_length": 6, "num_beams": 2, "eos_token_id": None, "forced_eos_token_id": None},
    ],
    ids=str,
)
def test_targets_of_transformers(pair, options):
    import torch

    ours, theirs = pair
    mask = (SOURCE != 39).astype(np.int64)
    wanted = theirs.generate(torch.tensor(SOURCE), attention_mask=torch.tensor(mask), do_sample=False, **options)
    source = minillm.tensor(SOURCE)
    assert ours.generate(source, attention_mask=minillm.tensor(mask), **options).tolist() == wanted.tolist()
    assert ours.generate(input_ids=source, **options).tolist() == wanted.tolist()  # the padding is told by its token


def test_transformers_writes_the_same_with_what_we_save(tmp_path, pair):
    import torch
    import transformers

    ours, _ = pair
    ours.save_pretrained(tmp_path)
    theirs = transformers.MarianMTModel.from_pretrained(tmp_path)
    assert theirs.generation_config.decoder_start_token_id == 39
    given = {"attention_mask": torch.tensor((SOURCE != 39).astype(np.int64)), "max_length": 9, "do_sample": False}
    wanted = theirs.generate(torch.tensor(SOURCE), **given)
    assert ours.generate(minillm.tensor(SOURCE), max_length=9).tolist() == wanted.tolist()
    other = theirs.generate(torch.tensor(SOURCE), decoder_start_token_id=5, **given)
    assert ours.generate(minillm.tensor(SOURCE), max_length=9, decoder_start_token_id=5).tolist() == other.tolist()


def test_a_target_that_has_begun(pair):
    import torch

    ours, theirs = pair
    begin = [[39, 5], [39, 6], [39, 7]]
    wanted = theirs.generate(
        torch.tensor(SOURCE), attention_mask=torch.tensor(SOURCE != 39), decoder_input_ids=torch.tensor(begin),
        max_length=7,
    )  # fmt: skip
    got = ours.generate(minillm.tensor(SOURCE), decoder_input_ids=minillm.tensor(begin), max_length=7)
    assert got.tolist() == wanted.tolist()


def test_settings_of_the_model_and_of_its_files(tmp_path):
    model = MarianMTModel(MarianConfig(**SIZES))
    assert model.generation_config.forced_eos_token_id == 0
    model.generation_config.update(num_beams=2, max_length=5)
    model.save_pretrained(tmp_path)
    back = MarianMTModel.from_pretrained(tmp_path)
    assert back.generation_config == model.generation_config
    source = minillm.tensor(SOURCE)
    output = back.generate(source, eos_token_id=None, return_dict_in_generate=True, output_scores=True)
    assert output.sequences.tolist() == model.generate(source, eos_token_id=None).tolist()
    assert output.sequences.shape == (3, 5)
    assert output.sequences_scores.shape == (3,)
    assert output.sequences[:, 0].tolist() == [39, 39, 39]


def test_refusals():
    model = MarianMTModel(MarianConfig(**SIZES))
    with pytest.raises(TypeError, match="there is no source; give input_ids"):
        model.generate(max_length=5)
    with pytest.raises(TypeError, match="beams is not offered"):
        model.generate(minillm.tensor(SOURCE), beams=5)
