"""Tokenizer files on disk: plain text and JSON, in the layouts that Hugging Face's libraries use."""
