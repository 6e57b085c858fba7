"""Fine-tuning for a task on disk: data, directory, card, going on, files that transformers and PEFT read."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

from minillm.interop.safetensors import read_arrays
from minillm.training import TaskPlan, load_task, read_log
from minillm.training.run_directory import RunError
from minillm.training.stopping import TrainingInterrupted
from minillm.training.task_data import load_data
from minillm.training.task_run import TaskRun
from minillm.training.tasks.examples import (
    SETS,
    augmented,
    labels_of,
    read_examples,
    set_aside,
)
from tests.training.task_examples import (
    make_bert,
    make_gpt,
    make_marian,
    texts,
    write_squad,
    write_tags,
    write_texts,
)

BASE = {"epochs": 2, "batch_size": 8, "lr": 0.02}
SMALL = {**BASE, "embedding_dim": 16, "hidden_size": 12}
FILES = {"task.json", "config.json", "model.safetensors", "tokenizer.json", "log.jsonl", "README.md", "loss.png"}


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch, request):
    """Drawing takes longer than training here."""
    if "drawn" not in request.keywords:
        monkeypatch.setattr(TaskRun, "draw", lambda self: None)


@pytest.fixture
def films(tmp_path):
    return str(write_texts(tmp_path / "films.tsv", 80))


def make_run(path, plan):
    run = TaskRun.create(path, plan)
    run.train()
    return run


def weights(path):
    return read_arrays(path / "model.safetensors")[0]


def assert_same_weights(one, other):
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array, err_msg=name)


# -- examples -----------------------------------------------------------------------------------------------


def test_tables_and_objects_give_the_same(tmp_path):
    rows = [{"text": 'so, "good"', "label": "yes"}, {"text": "no", "label": "no"}]
    tsv, csv, jsonl = (tmp_path / f"a.{ending}" for ending in ("tsv", "csv", "jsonl"))
    tsv.write_text("label\ttext\n" + "".join(f"{r['label']}\t{r['text']}\n" for r in rows))
    csv.write_text('text,label\n"so, ""good""",yes\nno,no\n')
    jsonl.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for path in (tsv, csv, jsonl):
        assert read_examples("classify", path)["train"].examples == rows
    jsonl.write_text('{"text": "a", "label": 1, "text_b": "b"}\n{"text": "c", "label": 0}\n')
    assert read_examples("classify", jsonl)["train"].examples == [
        {"text": "a", "label": "1", "text_b": "b"}, {"text": "c", "label": "0"},
    ]  # fmt: skip


def test_tags_texts_and_translations(tmp_path):
    columns = tmp_path / "a.conll"
    columns.write_text("-DOCSTART- -X- O O\n\nAda NNP B-NP B-PER\nwrites VBZ B-VP O\n\nYes UH O O\n")
    (first, second) = read_examples("tag", columns)["train"].examples
    assert first == {"tokens": ["Ada", "writes"], "tags": ["B-PER", "O"]}
    assert second["tokens"] == ["Yes"]
    objects = tmp_path / "a.jsonl"
    objects.write_text(json.dumps(first) + "\n")
    assert read_examples("tag", objects)["train"].examples == [first]
    text = tmp_path / "a.txt"
    text.write_text("One.\nTwo.\n\n \nThree.\n")
    assert [e["text"] for e in read_examples("lm", text)["train"].examples] == ["One.\nTwo.", "Three."]
    pairs = tmp_path / "b.tsv"
    pairs.write_text("source\ttarget\none\teins\n")
    assert read_examples("translate", pairs)["train"].examples == [{"source": "one", "target": "eins"}]


@pytest.mark.parametrize(
    ("task", "name", "text", "message"),
    [
        ("classify", "a.tsv", "text\tkind\na\tb\n", r"a.tsv, line 1: no column 'label'; there are text, kind"),
        ("classify", "a.tsv", "text\tlabel\na\n", r"a.tsv, line 2: 1 fields, the table has 2 columns"),
        ("classify", "a.tsv", "", "a.tsv is empty"),
        ("classify", "a.tsv", "text\tlabel\n", "a.tsv holds no rows"),
        ("classify", "a.tsv", "text\tlabel\na\tb\n \tc\n", r"a.tsv, row 2: 'text' is ' '; it needs a text"),
        ("classify", "a.jsonl", '{"text": "a"}\n', r"a.jsonl, line 1: no 'label'; there are text"),
        ("classify", "a.jsonl", '{"text": 1, "label": "a"}\n', r"a.jsonl, row 1: 'text' is 1"),
        ("classify", "a.xml", "<a/>", r"the ending '.xml' is not known for classify; known are .tsv, .csv, .jsonl"),
        ("tag", "a.conll", "\n\n", "a.conll holds no sentences"),
        ("tag", "a.conll", "Ada\n", "its lines have one column"),
        ("tag", "a.conll", "Ada B-PER\nwrites\n", r"a.conll, line 2: 1 columns, needs 2"),
        ("tag", "a.jsonl", '{"tokens": ["a"], "tags": ["O", "O"]}\n', "row 1: 1 tokens and 2 tags"),
        ("tag", "a.jsonl", '{"tokens": "a", "tags": ["O"]}\n', "row 1: 'tokens' needs a list of texts"),
        ("qa", "a.json", '{"data": [{"paragraphs": [{}]}]}', r"data\[0\].paragraphs\[0\]: no 'context'"),
        ("lm", "a.txt", "\n \n", "a.txt"),
        ("instruct", "a.json", '[{"instruction": "a"}]', "entry 1: no 'output'"),
        ("translate", "a.tsv", "source\tgoal\na\tb\n", "no column 'target'"),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path, task, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_examples(task, path)


def test_public_sets(tmp_path, monkeypatch):
    monkeypatch.setenv("MINILLM_DATA", str(tmp_path))
    folder = tmp_path / "sst2"
    folder.mkdir()
    for name, rows in (("train.tsv", 4), ("dev.tsv", 2), ("test.tsv", 2)):
        (folder / name).write_text("".join(f"film {i}\t{i % 2}\n" for i in range(rows)))
    parts = read_examples("classify", "SST-2")
    assert {name: part.source for name, part in parts.items()} == {
        "train": "sst2/train", "validation": "sst2/validation", "test": "sst2/test",
    }  # fmt: skip
    assert parts["train"].examples[1] == {"text": "film 1", "label": "positive"}
    assert len(parts["train"].sha256) == 64
    assert list(read_examples("classify", "sst2/test")) == ["train"]
    data = load_data(TaskPlan("classify", "lstm", "sst2"))
    assert [len(part.examples) for part in (data.train, data.validation, data.test)] == [4, 2, 2]
    with pytest.raises(ValueError, match="sst2 is for classify, not for tag; those for tag are snips, wnut17"):
        read_examples("tag", "sst2")
    with pytest.raises(ValueError, match="sst2 has no part 'dev'; it has train, validation, test"):
        read_examples("classify", "sst2/dev")
    with pytest.raises(FileNotFoundError, match=r"nothing.tsv: there is no such file, and no public set of that name"):
        read_examples("classify", "nothing.tsv")
    wikitext = tmp_path / "wikitext2"
    wikitext.mkdir()
    for name in ("valid.txt", "test.txt"):
        (wikitext / name).write_text("words\n")
    with pytest.raises(ValueError, match="give wikitext2/valid or wikitext2/test"):
        read_examples("lm", "wikitext2")
    with pytest.raises(ValueError, match="there is no task 'sum'"):
        read_examples("sum", "sst2")
    with pytest.raises(IsADirectoryError, match="is a directory"):
        read_examples("classify", folder)


def test_every_set_belongs_to_a_task():
    from minillm.data import dataset_names

    assert sorted({name for names in SETS.values() for name in names}) == dataset_names()


def test_a_share_is_set_aside():
    examples = [{"text": text, "label": label} for text, label in texts(60)]
    train, held = set_aside("classify", examples, 0.2)
    assert (train, held) == set_aside("classify", examples, 0.2)
    assert len(train) + len(held) == 60
    assert not {e["text"] for e in train} & {e["text"] for e in held}
    assert 4 <= sum(e["label"] == "pos" for e in held) <= 8
    with pytest.raises(ValueError, match=r"a share of 0.1 of 1 examples cannot be set aside"):
        set_aside("classify", examples[:1], 0.1)
    contexts = [{"context": f"c{i % 5}", "question": str(i)} for i in range(20)]
    train, held = set_aside("qa", contexts, 0.2)
    assert not {e["context"] for e in train} & {e["context"] for e in held}


def test_labels_and_augmentation():
    assert labels_of("tag", [{"tags": ["I-X", "O"]}, {"tags": ["B-X"]}]) == ["O", "B-X", "I-X"]
    assert labels_of("classify", [{"label": x} for x in ("b", "10", "9")]) == ["10", "9", "b"]
    examples = [{"tokens": ["new", "york", "is", "big"], "tags": ["B-L", "I-L", "O", "O"]}] * 10
    more = augmented("tag", examples, 0.5, seed=1)
    assert len(more) == 15
    assert more == augmented("tag", examples, 0.5, seed=1)
    assert all(len(e["tokens"]) == len(e["tags"]) for e in more)
    assert more[:10] == examples
    assert any(e != examples[0] for e in more[10:])


# -- plans --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"task": "sum"}, "task is 'sum'; known are classify"),
        ({"task": "qa"}, "an LSTM from scratch is for classify, tag, translate, not for qa"),
        ({"lora_r": 4}, "LoRA adapts a model that has learned something"),
        ({"task": "tag", "class_weights": "balanced"}, "class_weights are for classify, not for tag"),
        ({"task": "translate", "augment": 0.5}, "augment is for classify and tag, not for translate"),
        ({"num_beams": 4}, "num_beams is for translate, not for classify"),
        ({"model": "dir", "hidden_size": 64}, "hidden_size is for a model lstm; dir has its own"),
        ({"dropout": 1.0}, r"dropout is 1.0; it needs to lie in \[0, 1\)"),
        ({"max_length": 0}, "max_length is 0; it needs a whole number"),
        ({"augment": 1.5}, "augment is 1.5; it is a share"),
        ({"speed": 1}, "there is no setting 'speed'"),
        ({"lr": 0.0}, "lr is 0"),
    ],
)
def test_plans_that_make_no_sense(values, message):
    with pytest.raises(ValueError, match=message):
        TaskPlan("classify", "lstm", "a.tsv").with_values(values)


def test_plans_come_back_from_json():
    plan = TaskPlan("classify", "models/bert", "a.tsv", lora_r=4).with_values({"freeze": ("a", "b"), "lr": 1e-3})
    assert TaskPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert plan.command("out") == (
        "minillm finetune --task classify --model models/bert --data a.tsv --lora 4 --lr 0.001 --freeze a b --out out"
    )
    with pytest.raises(ValueError, match="a plan that is not understood"):
        TaskPlan.from_dict({"task": "tag"})


# -- runs ---------------------------------------------------------------------------------------------------


@pytest.mark.drawn
def test_a_run_has_all_its_files(tmp_path, films):
    pytest.importorskip("matplotlib")
    test = str(write_texts(tmp_path / "test.tsv", 30, seed=5))
    plan = TaskPlan("classify", "lstm", films, test=test).with_values({**SMALL, "epochs": 5})
    run = make_run(tmp_path / "run", plan)
    assert {path.name for path in run.path.iterdir()} >= {*FILES, "confusion.png"}
    assert not (run.path / "checkpoints").exists()
    assert not (run.path / "best.safetensors").exists()
    info = json.loads((run.path / "task.json").read_text())
    assert info["finished"] is True
    assert info["labels"] == ["neg", "pos"]
    assert info["data"]["train"]["examples"] + info["data"]["validation"]["examples"] == 80
    assert info["scores"]["test"]["accuracy"] > 0.8
    counts = np.array(info["confusion"]["counts"])
    assert counts.sum() == 30
    assert np.trace(counts) / 30 == pytest.approx(info["scores"]["test"]["accuracy"], abs=1e-5)
    log = read_log(run.path / "log.jsonl")
    assert sum("accuracy" in record for record in log) == 5
    assert sum("batch_loss" in record for record in log) == 5 * 9
    card = (run.path / "README.md").read_text()
    for part in ("gives a text one of 2 labels", info["data"]["test"]["sha256"], "| lr | 0.02 |", "load_task(",
                 f"{info['scores']['test']['accuracy']:.4f}", "confusion.png", "minillm predict run"):  # fmt: skip
        assert part in card
    task = load_task(run.path)
    assert task.predict("a good film")["label"] == "pos"
    found = task.predict(["the dull plot", "a great story"])
    assert [answer["label"] for answer in found] == ["neg", "pos"]
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    for arguments, message in (
        ({"texts": [""]}, "text 1 of 1 is empty"),
        ({"texts": "a", "context": "b"}, "a context is for qa, not for classify"),
        ({"texts": "a", "input": "b"}, "an input is for instruct"),
        ({"texts": "a", "temperature": 1.0}, "temperature: of no use for classify"),
    ):
        with pytest.raises(ValueError, match=message):
            task.predict(**arguments)
    with pytest.raises(RunError, match="training has ended; there is nothing to go on with"):
        TaskRun.open(run.path).train()


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path, films):
    plan = TaskPlan("classify", "lstm", films, class_weights="balanced", augment=0.5)
    plan = plan.with_values({**SMALL, "dropout": 0.2})
    make_run(tmp_path / "whole", plan)
    run = TaskRun.create(tmp_path / "stopped", plan)
    with pytest.raises(TrainingInterrupted, match="everything is saved in"):
        run.train(progress=lambda step, steps, loss: signal.raise_signal(signal.SIGINT) if step == 13 else None)
    with pytest.raises(RunError, match="training has not ended; `minillm finetune --task classify --resume"):
        load_task(run.path)
    with pytest.raises(RunError, match="holds a task already: go on with it"):
        TaskRun.create(run.path, plan)
    TaskRun.open(run.path).train()
    assert_same_weights(tmp_path / "whole", run.path)
    steps = [[r["step"] for r in read_log(tmp_path / name / "log.jsonl")] for name in ("whole", "stopped")]
    assert steps[0] == steps[1]


def test_a_run_does_not_go_on_with_other_data(tmp_path, films):
    run = TaskRun.create(tmp_path / "run", TaskPlan("classify", "lstm", films).with_values(SMALL))
    write_texts(tmp_path / "films.tsv", 81)
    with pytest.raises(RunError, match=r"the train data \(.*films.tsv\) are not those that the run began with"):
        TaskRun.open(run.path).train()


def test_directories_that_cannot_be_used(tmp_path, films):
    plan = TaskPlan("classify", "lstm", films)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    with pytest.raises(RunError, match="full is not empty and holds no task"):
        TaskRun.create(tmp_path / "full", plan)
    with pytest.raises(RunError, match=r"films.tsv is a file"):
        TaskRun.create(tmp_path / "films.tsv", plan)
    with pytest.raises(OSError, match=r"films.tsv"):
        TaskRun.create(tmp_path / "films.tsv" / "run", plan)
    with pytest.raises(RunError, match="nowhere: there is no such directory"):
        load_task(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"full holds no task: it has no task.json"):
        load_task(tmp_path / "full")
    (tmp_path / "full" / "task.json").write_text('{"format": "minillm task 1"}')
    with pytest.raises(RunError, match=r"task.json is damaged: 'labels'"):
        TaskRun.open(tmp_path / "full")
    (tmp_path / "full" / "task.json").write_text('{"format": "other"}')
    with pytest.raises(RunError, match="the format is 'other'"):
        TaskRun.open(tmp_path / "full")


def test_what_does_not_fit_leaves_no_directory(tmp_path, films):
    other = tmp_path / "test.tsv"
    other.write_text("text\tlabel\na film\tso-so\n")
    gpt, bert = str(make_gpt(tmp_path / "gpt")), str(make_bert(tmp_path / "bert"))
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text('{"model_type": "bert"}')
    one = tmp_path / "one.tsv"
    one.write_text("text\tlabel\n" + "".join(f"film {i}\tgood\n" for i in range(20)))
    nouns = tmp_path / "nouns.conll"
    nouns.write_text("".join(f"dog{i} NOUN\nbark VERB\n\n" for i in range(20)))
    small = str(make_bert(tmp_path / "small", vocab_size=20))
    for plan, error, message in (
        (TaskPlan("classify", "lstm", films, test=str(other)), ValueError,
         r"test.tsv, example 1: the label 'so-so' is not among those of the training examples: neg, pos"),
        (TaskPlan("classify", gpt, films), ValueError, "holds a model of the kind 'gpt2'; classify needs one of bert"),
        (TaskPlan("lm", bert, films), ValueError, "the ending '.tsv' is not known for lm"),
        (TaskPlan("classify", str(bare), films), FileNotFoundError, "holds no tokenizer"),
        (TaskPlan("classify", str(tmp_path / "no"), films), FileNotFoundError, "there is no such directory; --model"),
        (TaskPlan("classify", "lstm", str(one)), ValueError, "all examples have the label 'good'"),
        (TaskPlan("tag", "lstm", str(nouns)), ValueError, "tags need to be O, or a kind and a type such as B-PER"),
        (TaskPlan("classify", small, films), ValueError, "the model knows 20 tokens and the tokenizer"),
        (TaskPlan("classify", bert, films, max_length=41), ValueError, "max_length is 41, and .* at most 40 tokens"),
        (TaskPlan("classify", "lstm", films, min_count=1000), ValueError, "no word occurs 1000 times"),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            TaskRun.create(tmp_path / "run", plan)
        assert not (tmp_path / "run").exists()


def test_a_head_is_made_new_unless_its_labels_are_the_same(tmp_path, films):
    bert = make_bert(tmp_path / "bert")
    run = TaskRun.create(tmp_path / "one", TaskPlan("classify", str(bert), films).with_values(BASE))
    assert "new weights, which training has to find: bert.pooler.dense.bias" in run.info["notes"][0]
    assert "classifier.weight" in run.info["notes"][0]
    run.train()
    again = TaskRun.create(tmp_path / "two", TaskPlan("classify", str(run.path), films))
    assert again.info["notes"] == []
    assert_same_weights(run.path, again.path)
    other = tmp_path / "spam.tsv"
    other.write_text((tmp_path / "films.tsv").read_text().replace("pos\n", "spam\n"))
    new = TaskRun.create(tmp_path / "three", TaskPlan("classify", str(run.path), str(other)))
    assert new.info["notes"] == ["new weights, which training has to find: classifier.bias, classifier.weight"]
    assert not np.array_equal(weights(new.path)["classifier.weight"], weights(run.path)["classifier.weight"])
    name = "bert.embeddings.word_embeddings.weight"
    np.testing.assert_array_equal(weights(new.path)[name], weights(run.path)[name])


def test_adapters_alone_and_merged(tmp_path, films):
    bert = make_bert(tmp_path / "bert")
    plan = TaskPlan("classify", str(bert), films, lora_r=2, lora_target=("query", "dense")).with_values(BASE)
    run = make_run(tmp_path / "run", plan)
    assert {p.name for p in (run.path / "adapter").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    config = json.loads((run.path / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["task_type"]) == (2, 4, "SEQ_CLS")
    assert not [name for name in weights(run.path) if "lora" in name]
    before, after = weights(bert), weights(run.path)
    changed = {name for name in before if name in after and not np.array_equal(before[name], after[name])}
    assert "bert.encoder.layer.0.attention.self.query.weight" in changed
    assert "bert.encoder.layer.0.attention.self.value.weight" not in changed
    assert "LoRA" not in (run.path / "README.md").read_text().split("## Use")[0]
    assert "`adapter/`" in (run.path / "README.md").read_text()
    assert "| lora_alpha | 4 |" in (run.path / "README.md").read_text()  # by default 2 r


def test_the_card_says_how_pipelines_read_the_directory(tmp_path, films, monkeypatch):
    from minillm.transformers import pipeline

    bert = make_bert(tmp_path / "films-bert" / "model")
    run = make_run(tmp_path / "run", TaskPlan("classify", str(bert), films).with_values({**BASE, "epochs": 1}))
    card = (run.path / "README.md").read_text()
    assert 'base_model: "films-bert"' in card  # and not "model"
    line = next(line for line in card.split("\n") if line.startswith("answer = "))
    monkeypatch.chdir(tmp_path)
    answer = eval(line.removeprefix("answer = "), {"pipeline": pipeline})("a good film")[0]
    told = load_task(run.path).predict("a good film")
    assert answer == {"label": told["label"], "score": pytest.approx(told["probability"], abs=1e-6)}


def test_peft_reads_the_adapters(tmp_path, films):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    peft = pytest.importorskip("peft")
    bert = make_bert(tmp_path / "bert")  # without a pooler: it is new, as the head is
    plan = TaskPlan("classify", str(bert), films, lora_r=2).with_values(BASE)
    run = make_run(tmp_path / "run", plan)
    base = transformers.AutoModelForSequenceClassification.from_pretrained(bert, num_labels=2)
    model = peft.PeftModel.from_pretrained(base, run.path / "adapter").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.path)
    with torch.no_grad():
        theirs = model(**tokenizer("a good film", return_tensors="pt")).logits.softmax(-1)[0].tolist()
    ours = load_task(run.path).predict("a good film")["probabilities"]
    np.testing.assert_allclose(list(ours.values()), theirs, atol=1e-5)


def test_settings_reach_the_model(tmp_path, films):
    bert = make_bert(tmp_path / "bert")
    plan = TaskPlan("classify", str(bert), films, dropout=0.3, class_weights="balanced", augment=0.5).with_values(
        {**BASE, "train_last": 1, "epochs": 1}
    )
    run = TaskRun.create(tmp_path / "run", plan)
    assert run.model.config.hidden_dropout_prob == run.model.config.attention_probs_dropout_prob == 0.3
    state = run.train()
    assert state.step == -(-(72 * 3 // 2) // 8)
    before, after = weights(bert), weights(run.path)
    frozen = "bert.encoder.layer.0.attention.self.query.weight"
    np.testing.assert_array_equal(before[frozen], after[frozen])
    assert not np.array_equal(before[frozen.replace("layer.0", "layer.1")], after[frozen.replace("layer.0", "layer.1")])


def test_tags(tmp_path):
    data = str(write_tags(tmp_path / "a.conll", 80))
    run = make_run(tmp_path / "lstm", TaskPlan("tag", "lstm", data).with_values({**SMALL, "epochs": 6}))
    assert run.info["scores"]["validation"]["f1"] > 0.9
    found = load_task(run.path).predict("fly to paris")
    assert found["tags"] == ["O", "O", "B-GOAL"]
    assert found["entities"] == [{"type": "GOAL", "start": 2, "end": 3, "text": "paris"}]
    bert = str(make_bert(tmp_path / "bert"))
    make_run(tmp_path / "run", TaskPlan("tag", bert, data).with_values({**BASE, "epochs": 1}))
    assert len(load_task(tmp_path / "run").predict([["fly", "to", "london"]])[0]["tags"]) == 3


def test_answers(tmp_path):
    data, bert = str(write_squad(tmp_path / "a.json", 24)), str(make_bert(tmp_path / "bert"))
    plan = TaskPlan("qa", bert, data, validation_fraction=0.3).with_values({**BASE, "epochs": 1})
    run = make_run(tmp_path / "run", plan)
    assert set(run.info["scores"]["validation"]) == {"f1", "exact_match"}
    task, context = load_task(run.path), "bob lives in london"
    assert task.predict("where ?", context=context)["answer"] in context
    with pytest.raises(ValueError, match="qa needs the context"):
        task.predict("where ?")


def test_texts_and_instructions(tmp_path):
    gpt = str(make_gpt(tmp_path / "gpt"))
    text = tmp_path / "a.txt"
    text.write_text("\n\n".join("abc" * i for i in range(2, 14)))
    plan = TaskPlan("lm", gpt, str(text), max_length=16).with_values({**BASE, "epochs": 4})
    run = make_run(tmp_path / "lm", plan)
    log = [r["perplexity"] for r in read_log(run.path / "log.jsonl") if "perplexity" in r]
    assert log[-1] < log[0]
    continuation = load_task(run.path).predict("ab", max_new_tokens=4)["continuation"]
    assert len(continuation) <= 4
    data = tmp_path / "a.json"
    data.write_text(json.dumps([{"instruction": f"Say {i}.", "output": str(i)} for i in range(8)]))
    plan = TaskPlan("instruct", gpt, str(data), max_length=256, validation_fraction=0.25)
    run = make_run(tmp_path / "instruct", plan.with_values({**BASE, "epochs": 1}))
    assert "response" in load_task(run.path).predict("Say 3.", input="3", max_new_tokens=2)


@pytest.mark.parametrize("model", ["char", "word", "marian"])
def test_translations(tmp_path, model):
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 2)) for _ in range(60)]
    data = tmp_path / "a.tsv"
    data.write_text("source\ttarget\n" + "".join(f"{w} {w}\t{w[::-1]}\n" for w in words))
    if model == "marian":
        plan = TaskPlan("translate", str(make_marian(tmp_path / "marian")), str(data), metric="exact")
        plan = plan.with_values({"epochs": 1, "batch_size": 16, "max_length": 8})
    else:
        plan = TaskPlan("translate", "lstm", str(data), tokenizer=model, metric="exact", max_length=8, reverse=True)
        plan = plan.with_values({**SMALL, "batch_size": 16})
    run = make_run(tmp_path / "run", plan)
    assert set(run.info["scores"]["validation"]) == {"exact", "bleu", "chrf"}
    assert isinstance(load_task(run.path).predict("ab ab")["translation"], str)


def test_transformers_reads_what_is_saved(tmp_path, films):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    bert = make_bert(tmp_path / "bert")
    run = make_run(tmp_path / "run", TaskPlan("classify", str(bert), films).with_values(BASE))
    model = transformers.AutoModelForSequenceClassification.from_pretrained(run.path).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.path)
    with torch.no_grad():
        theirs = model(**tokenizer("a good film", return_tensors="pt")).logits.softmax(-1)[0].tolist()
    ours = load_task(run.path).predict("a good film")["probabilities"]
    assert model.config.id2label == {0: "neg", 1: "pos"}
    np.testing.assert_allclose(list(ours.values()), theirs, atol=1e-5)
