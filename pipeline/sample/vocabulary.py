"""Fetches a tokenizer for the sample: the WordPiece vocabulary of Google's Chinese BERT (Apache 2.0), 21,128 tokens,
as it stands in the package `cn-clip` (MIT), through pip.

    python3 pipeline/sample/vocabulary.py --out data/sample-corpora

Writes OUT/tokenizer/vocab.txt. A second run does nothing.
"""

import argparse
import sys
from pathlib import Path

from archive import DamagedArchive, read_archive
from client import Client, FetchError, say
from layout import write_whole

NAME, VERSION = "cn-clip", "1.6.0"
MEMBER = r"^/cn_clip/clip/vocab\.txt$"
TOKENS = 21_128


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetch a tokenizer for the sample")
    parser.add_argument("--out", type=Path, required=True, help="directory of the sample")
    out = parser.parse_args().out
    place = out / "tokenizer" / "vocab.txt"
    if place.is_file():
        return 0
    try:
        file = Client(out / ".packages").download("pip", NAME, VERSION)
        members = read_archive(file, MEMBER).members
    except FetchError as error:
        print(f"sample: no tokenizer; this command failed: {error.command}\n  its last line: {error.line}\n"
              "sample: with a tokenizer of your own, name it in [tokenizer] of a recipe.", file=sys.stderr)
        return 1
    except DamagedArchive as error:
        print(f"sample: no tokenizer: {error}", file=sys.stderr)
        return 1
    texts = list(members.values())
    if len(texts) != 1 or texts[0].count(b"\n") != TOKENS:
        print(f"sample: {file.name} does not hold the vocabulary of {TOKENS} tokens", file=sys.stderr)
        return 1
    write_whole(place, texts[0])
    say(f"vocabulary of {NAME} {VERSION} (Apache 2.0): {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
