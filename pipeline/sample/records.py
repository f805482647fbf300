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


class Search(NamedTuple):
    """Questions to search with, texts to search in, and which of these answer which of those."""

    queries: Dict[str, str]
    documents: Dict[str, str]
    answers: Dict[str, List[str]]


class Sentence(NamedTuple):
    """One graded sentence."""

    topic: str
    chinese: str
    english: str


def held_out(text: str, one_in: int = 20) -> bool:
    """Whether a record belongs to the held-out part. The text alone decides, so that the same
    question or sentence never stands on both sides, whatever else changes."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") % one_in == 0


def drawn(text: str) -> bytes:
    """The place of a text in a random order, which is the same everywhere and at any time."""
    return hashlib.sha256(b"drawn" + text.encode("utf-8")).digest()


def _parts(members: Dict[str, bytes]) -> Dict[str, Dict]:
    return {name.rsplit("/", 1)[-1]: json.loads(gzip.decompress(data)) for name, data in members.items()}


def questions(members: Dict[str, bytes]) -> List[Question]:
    """Insurance questions with their answers. The package's own validation and test questions are
    not used: they stay free for measuring."""
    parts = _parts(members)
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


def search(members: Dict[str, bytes], queries_max: int, documents_max: int) -> Search:
    """A search among the package's validation questions and its answers. Questions that training has
    word for word are left out; equal texts share one id. Documents are all answers to the questions
    and others, drawn, which may answer one too: nobody judged them."""
    parts = _parts(members)
    trained = {_letters(question["zh"]) for question in parts["train.json.gz"].values()}
    answers = {link: tidy(answer["zh"]) for link, answer in sorted(parts["answers.json.gz"].items())}
    own: Dict[str, str] = {}
    for link, text in answers.items():
        if han(text) >= 10:
            own.setdefault(text, f"a{link}")
    linked: Dict[str, List[str]] = {}
    names: Dict[str, str] = {}
    for key, question in sorted(parts["valid.json.gz"].items(), key=lambda item: int(item[0])):
        title = tidy(question["zh"])
        texts = [answers[link] for link in question["answers"] if answers.get(link) in own]
        if han(title) < 4 or not texts or _letters(title) in trained:
            continue
        names.setdefault(title, f"q{key}")
        found = linked.setdefault(title, [])
        found.extend(text for text in texts if text not in found)
    asked = sorted(linked, key=drawn)[:queries_max]
    gold = {text for title in asked for text in linked[title]}
    others = sorted((text for text in own if text not in gold), key=drawn)
    documents = gold.union(others[: max(0, documents_max - len(gold))])
    return Search(
        {names[title]: title for title in sorted(asked, key=lambda title: int(names[title][1:]))},
        {own[text]: text for text in sorted(documents, key=lambda text: int(own[text][1:]))},
        {names[title]: [own[text] for text in linked[title]] for title in asked},
    )


def _letters(text: str) -> str:
    """Letters and digits alone: what two texts are compared by."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


def sentences(members: Dict[str, bytes]) -> List[Sentence]:
    """Graded sentences with a topic and an English translation."""
    result: Dict[str, Sentence] = {}
    for data in members.values():
        for entry in json.loads(data):
            sentence = Sentence(entry["topic"], tidy(entry["chinese"]), tidy(entry["translation"]["en"]))
            if sentence.topic and han(sentence.chinese) >= 2 and sentence.english:
                result.setdefault(sentence.chinese, sentence)
    return list(result.values())
