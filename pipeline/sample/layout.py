"""Layout: writes the sample under the file names and schemas of the public collections."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Dict, List

from prose import Document
from records import Question, Sentence, held_out

WIKI_FILE_BYTES = 1_000_000


class Layout:
    """Gathers lines per file and per package; nothing is on disk before `write`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lines: Dict[str, List[bytes]] = {}
        # Per package: its files, records and bytes.
        self.shares: Dict[str, Dict[str, Any]] = {}
        self._wiki_bytes = 0
        self._wiki_number = 0
        self._documents = 0

    def _add(self, package: str, file: str, line: str, counted: bool = True) -> int:
        data = line.encode("utf-8") + b"\n"
        self._lines.setdefault(file, []).append(data)
        share = self.shares.setdefault(package, {"files": set(), "records": 0, "text_bytes": 0})
        share["files"].add(file)
        if counted:
            share["records"] += 1
            share["text_bytes"] += len(data)
        return len(data)

    def _add_json(self, package: str, file: str, record: Dict[str, str]) -> int:
        return self._add(package, file, json.dumps(record, ensure_ascii=False))

    def documents(self, package: str, version: str, documents: List[Document]) -> None:
        """Running text, in files of about a megabyte."""
        for number, document in enumerate(documents, 1):
            self._documents += 1
            if self._wiki_bytes >= WIKI_FILE_BYTES:
                self._wiki_number, self._wiki_bytes = self._wiki_number + 1, 0
            self._wiki_bytes += self._add_json(package, f"wiki_zh/AA/wiki_{self._wiki_number:02}", {
                "id": str(self._documents),
                # The originals have an address here; a package has none, so this is only a source key.
                "url": f"{package}/{version}#{number}",
                "title": document.title,
                "text": "\n\n".join([document.title, *document.paragraphs]),
            })

    def questions(self, package: str, questions: List[Question]) -> None:
        """Question-answer pairs; all answers to a question are on the same side."""
        for question in questions:
            part = "valid" if held_out(question.title) else "train"
            self._add_json(package, f"baike2018qa/baike_qa_{part}.json", {
                "qid": f"qid_{question.number}", "category": question.category, "title": question.title,
                "desc": "", "answer": question.answer,
            })

    def translations(self, package: str, pairs: List[Any]) -> None:
        """Sentence pairs."""
        for english, chinese in pairs:
            part = "valid" if held_out(chinese) else "train"
            self._add_json(package, f"translation2019zh/translation2019zh_{part}.json",
                           {"english": english, "chinese": chinese})

    def sentences(self, package: str, sentences: List[Sentence]) -> None:
        """Labelled sentences, a fifth of them for tests since they are few, and the training part as pairs."""
        for sentence in sentences:
            part = "test" if held_out(sentence.chinese, 5) else "train"
            self._add(package, f"hsk_topics/{part}.tsv", f"{sentence.topic}\t{sentence.chinese}")
            if part == "train":
                self._add(package, "hsk/hsk.tsv", f"{sentence.chinese}\t{sentence.english}", counted=False)

    def total_bytes(self) -> int:
        """The size of all files together."""
        return sum(len(line) for lines in self._lines.values() for line in lines)

    def write(self) -> List[Dict[str, Any]]:
        """Writes every file whole or not at all; returns what SOURCES.json records of them."""
        written = []
        for file in sorted(self._lines):
            data = b"".join(self._lines[file])
            write_whole(self.root / file, data)
            written.append({"path": file, "bytes": len(data), "records": len(self._lines[file]),
                            "sha256": hashlib.sha256(data).hexdigest()})
        # An earlier run may have had more text.
        for stale in (self.root / "wiki_zh" / "AA").glob("wiki_*"):
            if f"wiki_zh/AA/{stale.name}" not in self._lines:
                stale.unlink()
        return written


def write_whole(path: Path, data: bytes) -> None:
    """Writes under a temporary name and renames, so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(data)
    os.replace(temporary, path)
