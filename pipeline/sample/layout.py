"""Layout: writes the sample under the file names and schemas of the public collections."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple

from prose import Document, han
from records import Question, Search, Sentence, drawn, held_out

WIKI_FILE_BYTES = 1_000_000
# Pairs of the evaluation set of translations; shorter ones say too little to be found again.
BITEXT_PAIRS = 1_000
BITEXT_HAN = 12


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
        # Held-out translations with their package; which are taken is known when all are there.
        self._held_out: List[Tuple[str, str, str]] = []

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
            if part == "valid" and han(chinese) >= BITEXT_HAN:
                self._held_out.append((package, english, chinese))

    def sentences(self, package: str, sentences: List[Sentence]) -> None:
        """Labelled sentences, a fifth of them for tests since they are few, and the training part as pairs."""
        for sentence in sentences:
            part = "test" if held_out(sentence.chinese, 5) else "train"
            self._add(package, f"hsk_topics/{part}.tsv", f"{sentence.topic}\t{sentence.chinese}")
            # Evaluation sets have a folder of their own, whoever else reads the same sentences.
            self._add(package, f"eval/hsk_topics/{part}.tsv", f"{sentence.topic}\t{sentence.chinese}", counted=False)
            if part == "train":
                self._add(package, "hsk/hsk.tsv", f"{sentence.chinese}\t{sentence.english}", counted=False)

    def search(self, package: str, search: Search) -> None:
        """A search in BEIR's layout: documents, queries, and which documents answer a query."""
        folder = "eval/insuranceqa"

        def add(file: str, record: Dict[str, str]) -> None:
            self._add(package, f"{folder}/{file}", json.dumps(record, ensure_ascii=False), counted=False)

        for key, text in search.documents.items():
            add("corpus.jsonl", {"_id": key, "title": "", "text": text})
        self._add(package, f"{folder}/qrels/valid.tsv", "query-id\tcorpus-id\tscore", counted=False)
        for key, text in search.queries.items():
            add("queries.jsonl", {"_id": key, "text": text})
            for answer in search.answers[key]:
                self._add(package, f"{folder}/qrels/valid.tsv", f"{key}\t{answer}\t1", counted=False)

    def bitext(self) -> None:
        """Held-out translations to be found again; no text twice, so that one translation is right."""
        seen: Set[str] = set()
        taken = 0
        for package, english, chinese in sorted(self._held_out, key=lambda pair: drawn(pair[2])):
            if taken == BITEXT_PAIRS:
                break
            if english not in seen and chinese not in seen:
                seen.update((english, chinese))
                self._add(package, "eval/bitext/en_zh.tsv", f"{english}\t{chinese}", counted=False)
                taken += 1

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
