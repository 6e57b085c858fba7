"""Fine-tune BERT to tell sentences apart.  Usage: bert_classifier.py MODEL TOKENIZER SENTENCES pt|np"""

import sys

import torch
from torch.optim import Adam
from torch.utils.data import DataLoader, TensorDataset
from transformers import BertForSequenceClassification, BertTokenizer

model_directory, tokenizer_directory, path, kind = sys.argv[1:]
texts, labels = [], []
with open(path, encoding="utf-8") as file:
    for line in file:
        label, text = line.rstrip("\n").split("\t")
        texts.append(text)
        labels.append(int(label))

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
tokenizer = BertTokenizer.from_pretrained(tokenizer_directory)
model = BertForSequenceClassification.from_pretrained(model_directory, num_labels=2)
model.to(device)

encoded = tokenizer(texts, return_tensors=kind, padding=True, truncation=True, max_length=32)
input_ids = torch.tensor(encoded["input_ids"]) if kind == "np" else encoded["input_ids"]
attention_mask = torch.tensor(encoded["attention_mask"]) if kind == "np" else encoded["attention_mask"]
dataset = TensorDataset(input_ids, attention_mask, torch.tensor(labels))
loader = DataLoader(dataset, batch_size=8, shuffle=False)

optimizer = Adam(model.parameters(), lr=5e-5)
losses = []
model.train()
for epoch in range(5):
    total = 0.0
    for batch in loader:
        input_ids, attention_mask, target = (part.to(device) for part in batch)
        optimizer.zero_grad()
        outputs = model(input_ids, attention_mask=attention_mask, labels=target)
        loss = outputs[0]
        assert loss is outputs.loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        total += loss.item()
    print(f"epoch {epoch + 1}: loss {total / len(loader):.4f}")

model.eval()
with torch.no_grad():
    inputs = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=32).to(device)
    outputs = model(**inputs)
    logits = outputs.logits
    predictions = torch.argmax(logits, dim=1)
    (unpacked,) = {**outputs}.values()
    assert unpacked is logits
    scores = torch.softmax(logits, dim=-1).cpu().numpy()
accuracy = (predictions.cpu() == torch.tensor(labels)).float().mean().item()
print(f"accuracy {accuracy:.3f}")
predictions = predictions.tolist()
