"""Fine-tune BERT on dictionaries, and measure it.  Usage: bert_dictionaries.py MODEL TOKENIZER SENTENCES 0|1"""

import sys

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset, Subset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup


class SentenceDataset(Dataset):
    def __init__(self, path, tokenizer, max_length=32):
        with open(path, encoding="utf-8") as file:
            rows = [line.rstrip("\n").split("\t") for line in file]
        self.examples = [(int(label), text) for label, text in rows]
        self.tokenizer = tokenizer
        self.max_length = max_length

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        label, text = self.examples[index]
        encoded = self.tokenizer(
            text, max_length=self.max_length, padding="max_length", truncation=True, return_tensors="pt"
        )
        return {"input": {name: value.squeeze(0) for name, value in encoded.items()}, "label": torch.tensor(label)}


model_directory, tokenizer_directory, path, shuffle = sys.argv[1:]
device = "cuda" if torch.cuda.is_available() else "cpu"
tokenizer = AutoTokenizer.from_pretrained(tokenizer_directory)
model = AutoModelForSequenceClassification.from_pretrained(model_directory).to(device)
dataset = SentenceDataset(path, tokenizer)
cut = len(dataset) * 3 // 4
train = DataLoader(Subset(dataset, range(cut)), batch_size=16, shuffle=shuffle == "1")
test = DataLoader(Subset(dataset, range(cut, len(dataset))), batch_size=16)

no_decay = ["bias", "LayerNorm.weight"]
groups = [
    {"params": [p for n, p in model.named_parameters() if not any(s in n for s in no_decay)], "weight_decay": 0.01},
    {"params": [p for n, p in model.named_parameters() if any(s in n for s in no_decay)], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=5e-4)
epochs = 4
scheduler = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=2, num_training_steps=epochs * len(train))
criterion = nn.CrossEntropyLoss()

losses = []
for _ in range(epochs):
    model.train()
    for batch in train:
        inputs = {name: value.to(device) for name, value in batch["input"].items()}
        labels = batch["label"].to(device)
        logits = model(**inputs).logits
        loss = criterion(logits.view(-1, model.config.num_labels), labels.view(-1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())

model.eval()
predictions, truth, scores = [], [], []
for batch in test:
    with torch.no_grad():
        outputs = model(**{name: value.to(device) for name, value in batch["input"].items()})
    scores.append(outputs[0].detach().cpu().numpy())
    predictions.extend(outputs.logits.argmax(-1).cpu().tolist())
    truth.extend(batch["label"].tolist())
scores = np.concatenate(scores)

positive = sum(p == t == 1 for p, t in zip(predictions, truth, strict=True))
precision = positive / max(sum(predictions), 1)
recall = positive / max(sum(truth), 1)
f1 = 2 * precision * recall / max(precision + recall, 1e-12)
accuracy = sum(p == t for p, t in zip(predictions, truth, strict=True)) / len(truth)
print(f"accuracy {accuracy:.3f}, precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}")
