"""Fine-tune the last layers of GPT-2 on a text, and let it write.  Usage: gpt2_language_model.py MODEL TEXT OUT"""

import sys

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import GPT2LMHeadModel, GPT2Tokenizer


class Paragraphs(Dataset):
    def __init__(self, texts):
        self.texts = texts

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, index):
        return self.texts[index]


directory, path, out = sys.argv[1:]
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
tokenizer = GPT2Tokenizer.from_pretrained(directory)
tokenizer.pad_token = tokenizer.eos_token
model = GPT2LMHeadModel.from_pretrained(directory).to(device)
model.config.pad_token_id = tokenizer.pad_token_id


def collate(texts):
    inputs = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=24)
    labels = inputs["input_ids"].clone()
    labels[inputs["attention_mask"] == 0] = -100
    inputs["labels"] = labels
    return inputs


with open(path, encoding="utf-8") as file:
    texts = [line.split("\t")[1].strip() for line in file]
cut = len(texts) * 3 // 4
train = DataLoader(Paragraphs(texts[:cut]), batch_size=4, shuffle=False, collate_fn=collate)
validation = DataLoader(Paragraphs(texts[cut:]), batch_size=4, collate_fn=collate)

for name, parameter in model.named_parameters():
    parameter.requires_grad = "transformer.h.1." in name or "ln_f" in name
trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)

optimizer = torch.optim.AdamW(filter(lambda p: p.requires_grad, model.parameters()), lr=3e-3)
best, patience, waited = float("inf"), 1, 0
losses, validation_losses = [], []
for _ in range(6):
    model.train()
    for batch in train:
        batch = batch.to(device)
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    total = 0.0
    with torch.no_grad():
        for batch in validation:
            batch = {name: value.to(device) for name, value in batch.items()}
            total += model(batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"])[0].item()
    validation_losses.append(total / len(validation))
    if validation_losses[-1] < best - 1e-3:
        best, waited = validation_losses[-1], 0
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
    else:
        waited += 1
        if waited > patience:
            break

# The loss as many programs take it: every token of the batch is a label, padding, too.
inputs = tokenizer(texts[:3], return_tensors="pt", padding=True, truncation=True, max_length=40).to(device)
padded_loss = model(**inputs, labels=inputs["input_ids"]).loss.item()

model = GPT2LMHeadModel.from_pretrained(out).to(device)
tokenizer = GPT2Tokenizer.from_pretrained(out, padding_side="left")
prompt = tokenizer.encode(texts[0][:12], return_tensors="pt").to(device)
options = {"pad_token_id": tokenizer.eos_token_id}
greedy = model.generate(prompt, max_length=50, **options).tolist()
beams = model.generate(
    prompt, max_length=50, num_beams=5, no_repeat_ngram_size=2, early_stopping=True, num_return_sequences=3, **options
).tolist()
batch = tokenizer([text[:20] for text in texts[:3]], return_tensors="pt", padding=True).to(device)
several = model.generate(**batch, max_new_tokens=10, repetition_penalty=1.2, **options).tolist()
torch.manual_seed(0)
sampled = model.generate(prompt, do_sample=True, max_length=30, top_k=10, top_p=0.95, temperature=0.8, **options)
written = tokenizer.decode(greedy[0], skip_special_tokens=True)
print(written)
