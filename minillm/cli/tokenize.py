"""``minillm tokenize``: write the tokens of a text, of any size, to a file that is mapped into memory."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minillm.cli.arguments import UsageError, whole

if TYPE_CHECKING:
    from minillm.tokenizers import Tokenizer

DESCRIPTION = """\
Turn texts into a file of tokens. The text is read in pieces, so it may be larger than memory; the file is
mapped into memory when it is used, so it may be too.
"""

EXAMPLES = """\
examples:
  minillm tokenize --text book.txt --out book.tokens                  learns a vocabulary of 8,192 tokens
  minillm tokenize --text a.txt b.txt --tokenizer char --out ab.tokens
  minillm tokenize --text huge.txt --tokenizer gpt2-files/ --workers 8 --out huge.tokens

The tokenizer is saved beside the file (book.tokenizer/). In Python:
  tokens = minillm.data.TokenFile("book.tokens").tokens      an array that lies on the disk
  tokenizer = minillm.tokenizers.from_pretrained("book.tokenizer")
"""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "tokenize",
        usage="%(prog)s --text FILE ... --out FILE [options]",
        help="write the tokens of a text to a file",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--text", metavar="FILE", nargs="+", required=True, help="files to tokenize, in order")
    parser.add_argument("--encoding", default="utf-8", metavar="NAME", help="of the files (default: utf-8)")
    parser.add_argument("--out", metavar="FILE", required=True, help="where the tokens go")
    parser.add_argument(
        "--tokenizer",
        default="bpe",
        metavar="WHICH",
        help="bpe or char: learned from the text; or a directory with a tokenizer's files (default: bpe)",
    )
    parser.add_argument(
        "--vocab-size", type=whole(256), metavar="N", help="of a bpe that is learned (default: 8192)"
    )
    parser.add_argument(
        "--between", metavar="TOKEN", help="a special token to put between files, such as '<|endoftext|>'"
    )
    parser.add_argument(
        "--workers", type=whole(0), default=0, metavar="N", help="processes that encode (default: 0, this one alone)"
    )
    return parser


def run(args: argparse.Namespace) -> None:
    """Tokenize and say what came of it."""
    from minillm.data import write_tokens
    from minillm.data.text_files import check_readable

    for file in args.text:
        check_readable(file)
    out = Path(args.out)
    tokenizer = _tokenizer(args)
    counts = {"characters": 0}
    number = write_tokens(
        out,
        _rows(tokenizer, args, counts),
        tokenizer.vocab_size,
        metadata={"tokenizer": type(tokenizer).__name__, "files": [Path(file).name for file in args.text][:50]},
    )
    beside = out.with_suffix(".tokenizer")
    tokenizer.save_pretrained(beside)
    print(
        f"{out}: {number:,} tokens of {counts['characters']:,} characters "
        f"({counts['characters'] / max(number, 1):.2f} a token), {out.stat().st_size / 1e6:,.1f} MB"
    )
    print(f"{beside}: the {type(tokenizer).__name__} with {tokenizer.vocab_size:,} tokens")


def _tokenizer(args: argparse.Namespace) -> Tokenizer:
    from minillm.data import text_blocks
    from minillm.tokenizers import BPETokenizer, CharTokenizer, from_pretrained

    special = [] if args.between is None else [args.between]
    if args.tokenizer not in ("bpe", "char"):
        if args.vocab_size is not None:
            raise UsageError("--vocab-size is for a bpe that is learned; this tokenizer has its own")
        loaded = from_pretrained(args.tokenizer)
        if args.between is not None and loaded.token_to_id(args.between) is None:
            raise ValueError(f"{args.tokenizer}: the vocabulary lacks {args.between!r} (--between)")
        return loaded
    blocks = text_blocks(args.text, args.encoding)
    if args.tokenizer == "char":
        if args.vocab_size is not None:
            raise UsageError("--vocab-size is for bpe; char has as many tokens as the text has characters")
        return CharTokenizer.train_from_iterator(blocks, special_tokens=special)
    size = args.vocab_size or 8192
    return BPETokenizer.train_from_iterator(blocks, vocab_size=size, special_tokens=special)


def _rows(tokenizer: Tokenizer, args: argparse.Namespace, counts: dict[str, int]) -> Iterator[list[int]]:
    """The tokens of all files, a block at a time, with a bar that shows how far it is."""
    from tqdm import tqdm

    from minillm.data import text_blocks

    size = sum(Path(file).stat().st_size for file in args.text)

    def counted(blocks: Iterable[str]) -> Iterator[str]:
        for block in blocks:
            counts["characters"] += len(block)
            bar.update(min(len(block.encode("utf-8")), size - bar.n))
            yield block

    options: dict[str, Any] = {"add_special_tokens": False, "disallowed_special": ()}
    with tqdm(total=size, desc="Tokenizing", unit="B", unit_scale=True, disable=None) as bar:
        for place, file in enumerate(args.text if args.between is not None else [args.text]):
            if place > 0:
                yield [tokenizer.convert_tokens_to_ids(args.between)]
            blocks = counted(text_blocks(file, args.encoding))
            yield from tokenizer.encode_iter(blocks, num_workers=args.workers, **options)
