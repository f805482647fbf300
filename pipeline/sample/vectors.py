"""Fetches the word vectors of the sample's synonyms: the package `synonyms` (MIT), through pip.

    python3 pipeline/sample/vectors.py --out data/sample-corpora

The package stays as it came in OUT/.packages; juzi reads the vectors inside it. A second run does nothing.
"""

import argparse
import sys
from pathlib import Path

from client import Client, FetchError, say

NAME, VERSION = "synonyms", "3.8.0"


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetch the word vectors of the sample")
    parser.add_argument("--out", type=Path, required=True, help="directory of the sample")
    client = Client(parser.parse_args().out / ".packages")
    try:
        file = client.download("pip", NAME, VERSION)
    except FetchError as error:
        print(f"sample: no vectors; this command failed: {error.command}\n  its last line: {error.line}\n"
              "sample: with vectors of your own, name them in [synonyms] of a plan.", file=sys.stderr)
        return 1
    say(f"vectors of {NAME} {VERSION} (MIT licence): {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
