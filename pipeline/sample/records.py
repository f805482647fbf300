"""Records: the question-answer and sentence packages as plain tuples, and the split of any record."""

import gzip
import hashlib
import json
from typing import Dict, List, NamedTuple

from prose import han, tidy


class Question(NamedTuple):
    """One link between a question and one of its answers."""

    number: int
    category: str
    title: str
    answer: str


class Sentence(NamedTuple):
    """One graded sentence."""

    topic: str
    chinese: str
    english: str


def held_out(text: str, one_in: int = 20) -> bool:
    """Whether a record belongs to the held-out part. The text alone decides, so that the same
    question or sentence never stands on both sides, whatever else changes."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") % one_in == 0


def questions(members: Dict[str, bytes]) -> List[Question]:
    """Insurance questions with their answers. The package's own validation and test questions are
    not used: they stay free for measuring."""
    parts = {name.rsplit("/", 1)[-1]: json.loads(gzip.decompress(data)) for name, data in members.items()}
    asked, answers = parts["train.json.gz"], parts["answers.json.gz"]
    result: List[Question] = []
    seen = set()
    for key in sorted(asked, key=int):
        title = tidy(asked[key]["zh"])
        for position, link in enumerate(asked[key]["answers"]):
            answer = tidy(answers[link]["zh"]) if link in answers else ""
            if han(title) < 4 or han(answer) < 10 or (title, answer) in seen:
                continue
            seen.add((title, answer))
            result.append(Question((int(key) + 1) * 100 + position, asked[key]["domain"], title, answer))
    return result


def sentences(members: Dict[str, bytes]) -> List[Sentence]:
    """Graded sentences with a topic and an English translation."""
    result: Dict[str, Sentence] = {}
    for data in members.values():
        for entry in json.loads(data):
            sentence = Sentence(entry["topic"], tidy(entry["chinese"]), tidy(entry["translation"]["en"]))
            if sentence.topic and han(sentence.chinese) >= 2 and sentence.english:
                result.setdefault(sentence.chinese, sentence)
    return list(result.values())
