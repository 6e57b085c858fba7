"""``minillm demo``: the whole way at once, for a newcomer."""

from __future__ import annotations

import argparse
from typing import Any


def add_command(commands: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser("demo", help="see it all at work, in about three minutes")
    return parser


def run(args: argparse.Namespace) -> None:
    raise NotImplementedError
