"""Is a review good or bad? An everyday program for Keras: tokenizer, padding, Embedding, LSTM, Dense.

A first argument is a file of weights to begin with, a second one where the model shall be saved.
"""

import sys

import numpy as np
from keras.callbacks import EarlyStopping
from keras.layers import LSTM, Dense, Embedding
from keras.models import Sequential, load_model
from keras.optimizers import Adam
from keras.preprocessing.sequence import pad_sequences
from keras.preprocessing.text import Tokenizer

good = ["great", "lovely", "a delight", "wonderful", "funny and warm", "brilliant"]
bad = ["dull", "awful", "a mess", "boring", "slow and cold", "terrible"]
things = ["the film", "this story", "her acting", "the music", "every scene of the long second part"]
texts = [f"{thing.capitalize()} was {words[n]}!" for thing in things for n in range(6) for words in (good, bad)]
labels = np.array([1, 0] * (len(texts) // 2))

tokenizer = Tokenizer(num_words=100, oov_token="<OOV>")
tokenizer.fit_on_texts(texts)
x = pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=10)
x_train, y_train, x_val, y_val = x[:44], labels[:44], x[44:], labels[44:]

model = Sequential()
model.add(Embedding(input_dim=100, output_dim=16, input_length=10))
model.add(LSTM(16, return_sequences=True))
model.add(LSTM(8))
model.add(Dense(1, activation="sigmoid"))
model.build((None, 10))
if len(sys.argv) > 1:
    model.set_weights(list(np.load(sys.argv[1]).values()))
model.summary()

model.compile(optimizer=Adam(learning_rate=0.02), loss="binary_crossentropy", metrics=["accuracy"])
history = model.fit(
    x_train,
    y_train,
    epochs=30,
    batch_size=8,
    shuffle=False,
    verbose=2,
    validation_data=(x_val, y_val),
    callbacks=[EarlyStopping(monitor="val_loss", min_delta=0.01, patience=2, restore_best_weights=True)],
)
loss, accuracy = model.evaluate(x_val, y_val, verbose=0)
print(f"validation loss {loss:.4f}, accuracy {accuracy:.4f}")

reviews = ["The music was lovely", "A boring film"]
new = pad_sequences(tokenizer.texts_to_sequences(reviews), maxlen=10)
predictions = model.predict(new, verbose=0)
for n, review in enumerate(reviews):
    print(f"{review}: {predictions[n, 0]:.3f}")

weights = model.get_weights()
if len(sys.argv) > 2:
    model.save(sys.argv[2])
    reloaded = load_model(sys.argv[2]).predict(new, verbose=0)
