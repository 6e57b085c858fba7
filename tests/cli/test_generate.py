from __future__ import annotations

import pytest

from minillm.inference import generate_text
from minillm.training.run_directory import RunDirectory
from tests.cli.conftest import TINY, assert_fails, call, succeed


def test_prompt_and_new_tokens(trained):
    out = succeed("generate", trained, "--prompt", "the c", "--max-new-tokens", 20, "--seed", 0)
    assert out.startswith("the c")
    assert len(out) == len("the c") + 20 + 1


def test_a_seed_repeats_the_text(trained):
    command = ("generate", trained, "--prompt", "a", "--max-new-tokens", 30)
    assert succeed(*command, "--seed", 5) == succeed(*command, "--seed", 5)
    assert len({succeed(*command) for _ in range(3)}) > 1


def test_greedy_is_the_likeliest_text(trained):
    run = RunDirectory.open(trained)
    expected = generate_text(run.load_model(), run.load_tokenizer(), "a", 15)
    assert succeed("generate", trained, "--prompt", "a", "--max-new-tokens", 15, "--greedy") == f"a{expected}\n"
    assert succeed("generate", trained, "--prompt", "a", "--max-new-tokens", 15, "--top-k", 1) == f"a{expected}\n"


def test_stop_strings_and_several_samples(trained):
    out = succeed("generate", trained, "--prompt", "a", "--stop", " ", "--stop", "\n", "--samples", 3, "--seed", 1)
    assert " " not in out.replace("\n-----\n", "")
    assert out.count("-----") == 2


def test_a_prompt_is_not_needed(trained, tmp_path):
    assert succeed("generate", trained, "--max-new-tokens", 4)[0] == "\n"
    text = tmp_path / "abc.txt"
    text.write_text("abcabcab" * 50)
    succeed("train", "--text", text, *TINY, "--out", tmp_path / "run", "--quiet")
    assert succeed("generate", tmp_path / "run", "--max-new-tokens", 4)[0] == "a"


def test_a_prompt_longer_than_the_model_can_read(trained):
    outcome = call("generate", trained, "--prompt", "the cat sat on the mat", "--max-new-tokens", 3)
    assert outcome.code == 0
    assert outcome.err == "minillm generate: the prompt has 22 tokens, and the model reads the last 16\n"
    assert outcome.out.startswith("the cat sat on the mat")


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["--prompt", ""], 2, "--prompt is empty; give the model at least a character"),
        (["--prompt", "Zoë"], 1, "the vocabulary lacks 'Z' (U+005A), character 0 of the text"),
        (["--max-new-tokens", -1], 2, "argument --max-new-tokens: got -1; it needs a whole number, 0 or more"),
        (["--temperature", 0], 2, "argument --temperature: got 0; it needs a number, more than 0"),
        (["--temperature", "hot"], 2, "argument --temperature: got hot"),
        (["--top-k", -1], 2, "argument --top-k: got -1"),
        (["--top-p", 1.1], 2, "argument --top-p: got 1.1; it needs a number, more than 0, and 1 or less"),
        (["--top-p", 0], 2, "argument --top-p: got 0"),
        (["--greedy", "--top-k", 3, "--temperature", 1], 2, "--temperature and --top-k would do nothing"),
        (["--stop", ""], 2, "--stop got an empty text"),
        (["--samples", 0], 2, "argument --samples: got 0"),
        (["--seed", -1], 2, "argument --seed: got -1"),
    ],
)
def test_bad_input(trained, argv, code, message):
    assert_fails(call("generate", trained, *argv), code, message)
