"""Loads exported models with sentence-transformers and with transformers alone, and compares.

    EXPORT_OUT=DIR cargo test --release --lib export_for_the_check     (MODELS=DIR: published ones too)
    python export_check.py DIR/*/

A folder NAME is compared with NAME.json beside it (texts and our vectors), or, with `--juzi PROGRAM`,
with what `PROGRAM embed` makes of a few texts. Fails where a vector differs by more than 1e-5.
Needs torch, transformers, sentence-transformers, safetensors, numpy.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import safetensors.torch
import torch
import transformers
from sentence_transformers import SentenceTransformer

TOLERANCE = 1e-5
TEXTS = ["今天天气很好。", "How do I train a sentence encoder?", "unknown 龘 token", "大" * 600]


def ours(folder, juzi):
    """Texts and the vectors that juzi makes of them."""
    beside = folder.parent / f"{folder.name}.json"
    if juzi is None:
        value = json.loads(beside.read_text())
        return value["texts"], numpy.array(value["vectors"], dtype=numpy.float32)
    with tempfile.TemporaryDirectory() as place:
        texts, out = pathlib.Path(place) / "texts.txt", pathlib.Path(place) / "out.npy"
        texts.write_text("".join(f"{text}\n" for text in TEXTS))
        subprocess.run([juzi, "embed", folder, texts, "-o", out], check=True)
        return TEXTS, numpy.load(out)


def pooled(folder, module, states, hidden):
    """What a module of sentence-transformers does, by hand: on the states of one text."""
    kind = module["type"].rsplit(".", 1)[-1]
    own = folder / module["path"]
    config = json.loads((own / "config.json").read_text())
    if kind == "WeightedLayerPooling":
        weights = safetensors.torch.load_file(own / "model.safetensors")["layer_weights"]
        return sum(w * layer for w, layer in zip(weights, hidden)) / weights.sum()
    if kind == "Pooling":
        n = states.shape[0]
        places = torch.arange(1, n + 1)[:, None]
        ways = [
            ("pooling_mode_cls_token", lambda: states[0]),
            ("pooling_mode_max_tokens", lambda: states.max(0).values),
            ("pooling_mode_mean_tokens", lambda: states.mean(0)),
            ("pooling_mode_mean_sqrt_len_tokens", lambda: states.sum(0) / n**0.5),
            ("pooling_mode_weightedmean_tokens", lambda: (states * places).sum(0) / places.sum()),
            ("pooling_mode_lasttoken", lambda: states[-1]),
        ]
        return torch.cat([way() for switch, way in ways if config.get(switch)])
    if kind == "Dense":
        tensors = safetensors.torch.load_file(own / "model.safetensors")
        out = tensors["linear.weight"] @ states
        out = out + tensors["linear.bias"] if config["bias"] else out
        return torch.tanh(out) if config["activation_function"].endswith("Tanh") else out
    assert kind == "Normalize", kind
    return states / states.norm()


def by_transformers(folder, texts):
    """The vectors by transformers alone, each text for itself."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    modules = json.loads((folder / "modules.json").read_text())
    limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    vectors = []
    for text in texts:
        inputs = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
        with torch.no_grad():
            done = model(**inputs, output_hidden_states=True)
            hidden = [layer[0] for layer in done.hidden_states]
            vector = hidden[-1]
            for module in modules[1:]:
                vector = pooled(folder, module, vector, hidden)
        vectors.append(vector.numpy())
    return numpy.stack(vectors)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--juzi", help="the program, to embed with it")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    worst = 0.0
    for folder in arguments.folders:
        texts, expected = ours(folder, arguments.juzi)
        model = SentenceTransformer(str(folder), device="cpu")
        found = model.encode(texts, batch_size=2)
        scale = max(1.0, abs(expected).max())
        one = abs(found - expected).max() / scale
        other = abs(by_transformers(folder, texts) - expected).max() / scale
        worst = max(worst, one, other)
        print(f"{folder.name:40} sentence-transformers {one:.1e}  transformers {other:.1e}")
    print(f"largest {worst:.1e}, accepted {TOLERANCE:.0e}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
