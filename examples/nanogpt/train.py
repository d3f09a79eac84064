"""Train a small GPT on bytes for a fixed time; then, as a new process, answer what the evaluator asks.

The one editable file of this loop, on one device: CUDA, MPS or CPU, whichever is there first.

    train.py              learns from PAWL_SETUP/train.npy for PAWL_BUDGET seconds, writes model.pt
    train.py --predict    reads model.pt and PAWL_INPUTS/tokens.npy, writes logits.npy
"""

# ruff: noqa: D102, E402

from __future__ import annotations

import time

BORN = time.monotonic()  # the budget includes importing torch, so the clock is read before that

import os
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# ---------------------------------------------------------------------------------------------------
# Dials
# ---------------------------------------------------------------------------------------------------
CONTEXT = 24  # bytes that the model looks back; longer questions are answered in pieces
BATCH = 4  # rows of CONTEXT bytes per step: smooth gradients, but fewer steps in the time
STEPS = 200  # of training, unless the time is over before
LAYERS = 2
HEADS = 4
HEAD_SIZE = 8  # the width of the model is HEADS * HEAD_SIZE
INIT_STD = 0.01  # of every weight matrix at the start
LEARNING_RATE = 3e-4  # of Adam at its peak
WARMUP = 0.45  # share of the training in which the rate climbs to its peak,
COOLDOWN = 0.45  # and in which it falls to 0
FORGET = 0.01  # share of its two averages that Adam replaces in a step: 1 - beta
RESERVE = 0.5  # seconds kept for writing the model and leaving

BYTES = np.iinfo(np.uint8).max + 1  # the vocabulary


class Block(nn.Module):
    """Attention, then an MLP, each added to what it read."""

    def __init__(self) -> None:
        super().__init__()
        width = HEADS * HEAD_SIZE
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, width * 3, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm_mlp = nn.LayerNorm(width)
        self.up = nn.Linear(width, width * 4, bias=False)
        self.down = nn.Linear(width * 4, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        rows, time_, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(rows, time_, 3, HEADS, HEAD_SIZE)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(rows, time_, width))
        return x + self.down(F.gelu(self.up(self.norm_mlp(x))))


class GPT(nn.Module):
    """Bytes in, logits of the next byte out."""

    def __init__(self) -> None:
        super().__init__()
        width = HEADS * HEAD_SIZE
        self.byte = nn.Embedding(BYTES, width)
        self.place = nn.Embedding(CONTEXT, width)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, BYTES, bias=False)
        for weight in self.parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=INIT_STD)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.head(self.norm(self.blocks(self.byte(tokens) + self.place(places))))


def device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


class Adam:
    """The optimiser of Kingma and Ba, with one beta. Written out, since importing torch's takes 2 seconds."""

    def __init__(self, weights: list[Tensor]) -> None:
        self.state = [(weight, torch.zeros_like(weight), torch.zeros_like(weight)) for weight in weights]
        self.unseen = 1.0  # share of the averages that is still their zero start

    @torch.no_grad()
    def step(self, rate: float) -> None:
        self.unseen *= 1 - FORGET
        for weight, slope, square in self.state:
            slope.lerp_(weight.grad, FORGET)
            square.lerp_(weight.grad**2, FORGET)
            seen = 1 - self.unseen
            weight -= rate * (slope / seen) / ((square / seen).sqrt() + 1e-8)
            weight.grad = None


def learning_rate(done: float) -> float:
    """The rate when the share `done` of the training is over: a climb, a plateau, a fall."""
    return LEARNING_RATE * min(done / WARMUP, 1.0, (1 - done) / COOLDOWN)


def train() -> None:
    end = BORN + float(os.environ.get("PAWL_BUDGET", "10")) - RESERVE
    torch.manual_seed(int(os.environ.get("PAWL_SEED", "0")))
    text = torch.from_numpy(np.load(Path(os.environ["PAWL_SETUP"]) / "train.npy"))
    windows = text.unfold(0, CONTEXT + 1, 1)  # a view: every window of the text
    model = GPT().to(device())
    adam = Adam(list(model.parameters()))

    start, step, done = time.monotonic(), 0, 0.0
    while done < 1:
        batch = windows[torch.randint(len(windows), (BATCH,))].long().to(device())
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        adam.step(learning_rate(done))
        step += 1
        done = max(step / STEPS, (time.monotonic() - start) / max(end - start, RESERVE))

    torch.save(model.state_dict(), "model.pt")
    print(f"steps: {step}")
    print(f"seconds: {time.monotonic() - BORN:.2f}")
    print(f"train_bpb: {loss.item() / np.log(2):.4f}")
    print(f"parameters: {sum(weight.numel() for weight in model.parameters())}")


@torch.no_grad()
def predict() -> None:
    model = GPT()
    model.load_state_dict(torch.load("model.pt", weights_only=True))
    model.to(device()).eval()
    questions = torch.from_numpy(np.load(Path(os.environ["PAWL_INPUTS"]) / "tokens.npy")).long()
    answers = [
        torch.cat([model(piece) for piece in rows.to(device()).split(CONTEXT, dim=1)], dim=1).float().cpu()
        for rows in questions.split(BATCH)
    ]
    np.save("logits.npy", torch.cat(answers).numpy())


if __name__ == "__main__":
    predict() if sys.argv[1:] == ["--predict"] else train()
