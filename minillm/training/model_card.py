"""``model_card``: what a fine-tuned model is, was trained on, reaches, and how it is used, in Markdown.

Source: Mitchell et al., "Model Cards for Model Reporting" (2019). The lines between the dashes are those that
Hugging Face's hub reads.
"""

from __future__ import annotations

import json
from typing import Any

from minillm.training.task_plan import TaskPlan

_WHAT = {
    "classify": "gives a text one of {labels} labels",
    "tag": "gives each word of a sentence one of {labels} tags",
    "qa": "answers questions by a part of a given text",
    "lm": "goes on with texts",
    "instruct": "follows instructions",
    "translate": "turns a text into another",
}
_PIPELINES = {"classify": "text-classification", "tag": "token-classification", "qa": "question-answering",
              "lm": "text-generation", "instruct": "text-generation", "translate": "translation"}  # fmt: skip
_METRICS = {
    "accuracy": "share of right ones", "precision": "precision", "recall": "recall", "f1": "F1",
    "perplexity": "perplexity of a token (lower is better)", "val_loss": "loss of a token in nats (lower is better)",
    "exact_match": "exact match", "exact": "share of exact targets", "bleu": "BLEU, 0 to 100", "chrf": "chrF, 0 to 100",
}  # fmt: skip
_MACRO = {"classify": "mean over the labels", "tag": "of whole entities", "qa": "of the words of answers"}
_CALLS = {
    "classify": ('model.predict("A text.")', '"A text."', "`label`, `probability` and `probabilities`"),
    "tag": ('model.predict("The words of a sentence")', '"The words of a sentence"', "`tokens`, `tags` and `entities`"),
    "qa": ('model.predict("A question?", context="The text that holds the answer.")',
           '--context text.txt --question "A question?"', "`answer`"),
    "lm": ('model.predict("Once upon", max_new_tokens=50)', '"Once upon"', "`continuation`"),
    "instruct": ('model.predict("Write it in capitals.", input="a word")', '"Write it in capitals." --input "a word"',
                 "`response`"),
    "translate": ('model.predict("A text.")', '"A text."', "`translation`"),
}  # fmt: skip
_SHOWN_LABELS = 12


def model_card(name: str, info: dict[str, Any], plan: TaskPlan, confusion_picture: bool = False) -> str:
    """Return the card of a finished run.

    Args:
        name: of the directory.
        info: what its ``task.json`` says.
        plan: of the run.
        confusion_picture: whether ``confusion.png`` lies beside the card.
    """
    parts = [
        _head(plan), f"# {name}", _intent(info, plan), _scores(info, plan),
        _confusion(info, confusion_picture), _data(info), _settings(info, plan), _use(name, plan), _limits(info, plan),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(plan: TaskPlan) -> str:
    base = "" if plan.model == "lstm" else f"base_model: {json.dumps(plan.model_name)}\n"
    lora = "- lora\n" if plan.lora_r else ""
    return f"---\nlibrary_name: minillm\npipeline_tag: {_PIPELINES[plan.task]}\n{base}tags:\n- minillm\n{lora}---"


def _intent(info: dict[str, Any], plan: TaskPlan) -> str:
    what = _WHAT[plan.task].format(labels=len(info["labels"]))
    kind = "An LSTM, trained from scratch," if plan.model == "lstm" else f"`{plan.model_name}`, fine-tuned,"
    text = f"{kind} that {what}. It has {info['parameters']:,} parameters and was made by minillm {info['version']}."
    if info["labels"]:
        shown = ", ".join(f"`{label}`" for label in info["labels"][:_SHOWN_LABELS])
        more = len(info["labels"]) - _SHOWN_LABELS
        noun = "Labels" if plan.task == "classify" else "Tags"
        text += f"\n\n{noun}: {shown}{f' and {more} more, listed in `task.json`' if more > 0 else ''}."
    if plan.model != "lstm":
        text += f"\n\nBase model: `{plan.model}`."
    for note in info["notes"]:
        text += f"\n\n{note[0].upper()}{note[1:]}."
    return text


def _scores(info: dict[str, Any], plan: TaskPlan) -> str:
    scores = info["scores"]
    if not scores:
        return "## Scores\n\nNothing was set aside to measure on, so nothing is known of how well it does."
    names = list(next(iter(scores.values())))
    lines = ["## Scores", "", f"| | {' | '.join(scores)} |", f"| --- |{' ---: |' * len(scores)}"]
    for name in names:
        what = _METRICS.get(name, name)
        if name in ("precision", "recall", "f1"):
            what += f", {_MACRO[plan.task]}"
        lines.append(f"| {what} | {' | '.join(_shown(part[name]) for part in scores.values())} |")
    lines.append(f"| examples | {' | '.join(str(info['data'][part]['examples']) for part in scores)} |")
    best = f"The weights are those after epoch {info['best_epoch']} of {info['epochs']}"
    chosen = ", the best on the validation examples: on these the scores are a little too good." * (
        "validation" in scores
    )
    return "\n".join([*lines, "", best + (chosen or ".")])


def _confusion(info: dict[str, Any], picture: bool) -> str:
    found = info.get("confusion")
    if not found:
        return ""
    text = f"## Confusion\n\nOf the {found['of']} examples; a row is a true label, a column what the model said.\n"
    labels = info["labels"]
    if len(labels) <= _SHOWN_LABELS:
        text += f"\n| | {' | '.join(map(_cell, labels))} |\n| --- |{' ---: |' * len(labels)}\n"
        for label, row in zip(labels, found["counts"], strict=True):
            text += f"| **{_cell(label)}** | {' | '.join(map(str, row))} |\n"
    return text + ("\n![confusion](confusion.png)" if picture else "")


def _data(info: dict[str, Any]) -> str:
    lines = ["## Data", "", "| part | source | examples | SHA-256 |", "| --- | --- | ---: | --- |"]
    for name, part in info["data"].items():
        if part is not None:
            lines.append(f"| {name} | `{_cell(part['source'])}` | {part['examples']:,} | `{part['sha256']}` |")
    return "\n".join(lines)


def _settings(info: dict[str, Any], plan: TaskPlan) -> str:
    rows: dict[str, Any] = {**plan.to_dict(), **info["options"]}
    rows = {**rows.pop("settings"), **rows}
    if plan.lora_r and plan.lora_alpha is None:
        rows["lora_alpha"] = 2 * plan.lora_r
    left_out = {"task", "model", "data", "validation", "test", "end"}
    if plan.model != "lstm":
        left_out |= {"tokenizer", "embedding_dim", "hidden_size", "layers", "vocab_size", "min_count"}
    if plan.task != "translate":
        left_out |= {"metric", "num_beams", "reverse"}
    if not plan.lora_r:
        left_out |= {"lora_alpha", "lora_target"}
    shown = {k: v for k, v in rows.items() if k not in left_out and v not in (None, [], ())}
    lines = ["## Training", "", f"{info['epochs']} epochs, {info['seconds']:.0f} seconds.", ""]
    lines += ["| setting | value |", "| --- | --- |", *(f"| {k} | {_cell(_plain(v))} |" for k, v in shown.items())]
    return "\n".join([*lines, "", "![loss and score](loss.png)"])


def _use(name: str, plan: TaskPlan) -> str:
    call, words, found = _CALLS[plan.task]
    text = (
        f"## Use\n\n```python\nfrom minillm.training import load_task\n\nmodel = load_task({json.dumps(name)})\n"
        f"print({call})\n```\n\nThis returns {found}. On the command line:\n\n"
        f"```\nminillm predict {name} {words}\n```"
    )
    if plan.model != "lstm" and plan.task != "instruct":  # whose prompts have a form that pipelines do not know
        text += (
            "\n\nAs programs for Transformers do, which also read this directory:\n\n```python\n"
            "from minillm.transformers import pipeline\n\n"
            f"answer = pipeline({json.dumps(_PIPELINES[plan.task])}, {json.dumps(name)})\n```"
        )
    if plan.lora_r:
        text += "\n\nThe adapters alone, in PEFT's format, lie in `adapter/`; `model.safetensors` has them merged."
    return text


def _limits(info: dict[str, Any], plan: TaskPlan) -> str:
    length = info["options"]["max_length"]
    lines = [
        "## Limits", "",
        "- It was measured on data like those that it was trained on; on others it may do worse, and it says nothing "
        "of how sure one can be there.",
    ]  # fmt: skip
    if plan.task in ("lm", "instruct"):
        lines.append(f"- It was trained on {length} tokens at a time. What it writes may be wrong or offensive.")
    elif plan.task == "qa":
        lines.append("- An answer is a part of the text; it answers even where the text holds none.")
    else:
        lines.append(f"- Texts are cut off after {length} tokens.")
    if plan.model == "lstm":
        vocabulary = "characters" if plan.tokenizer == "char" else "words"
        lines.append(f"- Its {vocabulary} are those of the training examples; others are unknown to it.")
    if plan.task == "classify":
        lines.append("- It gives every text one of its labels, even where none fits.")
    if "test" not in info["scores"]:
        lines.append("- It was not tested on examples that had no part in its making.")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) and abs(value) < 1e4 else str(value)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
