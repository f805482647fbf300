"""RetroMAE as a whole in PyTorch: `whole.py whole.safetensors` writes a case for the test beside it.

A BERT of transformers with its own head, without dropout; the decoder is written from the paper (Xiao et al. 2022,
section 3.3) with the library's parts of a layer. In the file: parameters by their names here, `ids` and `length` [B, L],
`hidden` and `input` of the encoder, `visible` [B, L, L] of the decoder, the three losses, and gradients of their sum with
0.1 of the bag-of-words loss, with `gradient.` before the parameter's name.
"""
import math, sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM

B, L, V, H, HEADS = 3, 9, 37, 16, 4
torch.manual_seed(4)
config = BertConfig(vocab_size=V, hidden_size=H, num_hidden_layers=2, num_attention_heads=HEADS, intermediate_size=24,
                    max_position_embeddings=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                    attn_implementation="eager")
model = BertForMaskedLM(config).double()
decoder = torch.nn.ModuleDict({
    "query": torch.nn.Linear(H, H), "key": torch.nn.Linear(H, H), "value": torch.nn.Linear(H, H),
    "attention": torch.nn.Linear(H, H), "attention_norm": torch.nn.LayerNorm(H, eps=config.layer_norm_eps),
    "intermediate": torch.nn.Linear(H, 24), "output": torch.nn.Linear(24, H),
    "norm": torch.nn.LayerNorm(H, eps=config.layer_norm_eps)}).double()
names = {"query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
         "attention": "attention.output.dense", "attention_norm": "attention.output.LayerNorm",
         "intermediate": "intermediate.dense", "output": "output.dense", "norm": "output.LayerNorm"}
parameters = {k.removeprefix("bert."): v for k, v in model.named_parameters()}
parameters |= {f"decoder.{names[k.rsplit('.', 1)[0]]}.{k.rsplit('.', 1)[1]}": v for k, v in decoder.named_parameters()}
for p in parameters.values():  # far from 0 and 1, and the same in f32
    p.data = (p.data + 0.3 * torch.randn(p.shape, dtype=p.dtype)).float().double()

length = torch.tensor([L, L - 2, 4])
inside = torch.arange(L)[None] < length[:, None]
ids = torch.randint(5, V, (B, L))
ids[:, 0] = 2
ids[torch.arange(B), length - 1] = 3
ids = ids.masked_fill(~inside, 0)
words = inside & (torch.arange(L)[None] > 0) & (torch.arange(L)[None] < length[:, None] - 1)
hidden = words & (torch.rand(B, L) < 0.5)
hidden[:, 1] = True
given = ids.masked_fill(hidden, 4)
visible = (torch.rand(B, L, L) < 0.5) | ~words[:, None]
visible = visible & ~torch.eye(L, dtype=torch.bool)[None] & inside[:, None] & inside[:, :, None]

out = model(input_ids=given, attention_mask=inside.long(), output_hidden_states=True)
vector = out.hidden_states[-1][:, :1]
encoder_loss = F.cross_entropy(out.logits[hidden], ids[hidden])

queries = model.bert.embeddings.position_embeddings.weight[:L][None] + vector
seen = torch.cat([vector, model.bert.embeddings(input_ids=ids)[:, 1:]], 1)
split = lambda x: x.view(B, L, HEADS, H // HEADS).transpose(1, 2)
q, k, v = split(decoder["query"](queries)), split(decoder["key"](seen)), split(decoder["value"](seen))
scores = q @ k.transpose(2, 3) / math.sqrt(H // HEADS) + (~visible[:, None]).double() * torch.finfo(torch.float64).min
context = (torch.softmax(scores, -1) @ v).transpose(1, 2).reshape(B, L, H)
x = decoder["attention_norm"](decoder["attention"](context) + queries)
x = decoder["norm"](decoder["output"](F.gelu(decoder["intermediate"](x))) + x)
decoder_loss = F.cross_entropy(model.cls(x)[words], ids[words])

bags = []
for row in range(B):
    own = ids[row, 1:length[row] - 1]
    weight = torch.zeros(V, dtype=torch.float64)
    weight[own] = 1 / len(own)
    bags.append(-(weight * F.log_softmax(out.logits[row, 1:length[row]].max(0).values, -1)).sum())
bag_loss = torch.stack(bags).mean()
(encoder_loss + decoder_loss + 0.1 * bag_loss).backward()

case = {k: p.detach().float() for k, p in parameters.items()}
case |= {f"gradient.{k}": p.grad.float() for k, p in parameters.items()}
case |= {"ids": ids, "length": length, "hidden": hidden.long(), "input": given, "visible": visible.long()}
case["losses"] = torch.stack([encoder_loss, decoder_loss, bag_loss]).detach().float()
save_file({k: t.contiguous().clone() for k, t in case.items()}, sys.argv[1])
print(case["losses"], hidden.sum(), words.sum())
