"""What training, capturing and storing cost, each as a ratio to its floor, measured side by side in one process.

Figures are CPU-seconds of one thread, which another program on the machine disturbs less than the clock, except where
the disk is the floor.  Alternating repetitions, the fastest of each.

``AKPSIM_BENCH_IMAGES=FOLDER`` adds the paper's whole grid on your images, with its CPU-seconds by stage.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from akpsim.families.capturing import hooked
from akpsim.families.datasets.images import Images
from akpsim.families.networks.head import Head
from akpsim.families.networks.trunks import build_trunk
from akpsim.families.training.features import cached_features, compute_features
from akpsim.families.training.loop import Training
from akpsim.families.training.optimizers import build_optimizer
from akpsim.families.training.prepared import Part
from akpsim.families.training.stack import run_stacked
from akpsim.study import Network

FEATURES, DENSE, CLASSES, IMAGES, BATCH = 2048, (256, 64), 2, 215, 32
LIMIT_LOOP, LIMIT_CAPTURE, LIMIT_DISK, LIMIT_MEMORY = 1.15, 1.10, 0.60, 50
LIMIT_STACK = {"cpu": 2.2, "cuda": 1.0}
"""Over heads alone; on a CPU, where nobody needs a stack, torch.func.vmap takes twice the time."""
LIMIT_TRUNK, LIMIT_HEADS, LIMIT_EXTRA = 35 * 8.9 / 300, 60, 0.25
"""Of the paper's grid: the trunk over the bare forward of the images (35 s for 300 where that makes 8.9 a second),
CPU-seconds of the heads, and capture and store on top of both."""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fastest(*bodies, repetitions=5, clock=time.process_time):
    """Run the bodies in turn; return the shortest time of each."""
    times = [[] for _ in bodies]
    for _ in range(repetitions):
        for kept, body in zip(times, bodies, strict=True):
            start = clock()
            body()
            kept.append(clock() - start)
    return [min(kept) for kept in times]


def noise_images(count, size):
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return Images(pixels, np.arange(count) % CLASSES, ("a", "b"), np.arange(count).astype(str))


@pytest.fixture(scope="module")
def inception():
    images = noise_images(64, 299)
    network = Network(backbone="inception_v3", weights="random")
    return build_trunk(network, images=images, generator=torch.Generator().manual_seed(0)), images


def bare_rate(trunk, images):
    """Return images a CPU-second of the network as torchvision makes it: channels last, 16 at once."""
    batch = trunk.prepare(images.images[:16])

    def bare():
        with torch.no_grad():
            trunk.module(batch)

    bare()
    return len(batch) / fastest(bare, repetitions=4)[0]


def test_cached_features_against_recomputed_ones(inception, tmp_path):
    trunk, images = inception
    (computed,) = fastest(lambda: compute_features(trunk, images.images), repetitions=2)
    cached_features(trunk, images, cache=tmp_path, threads=1)
    (read,) = fastest(lambda: cached_features(trunk, images, cache=tmp_path), repetitions=3)
    rate = len(images.images) / computed
    (epoch,) = fastest(*[member("rmsprop")[0]], repetitions=5)
    heads, once = 20 * 30 * epoch, IMAGES / rate
    recomputed = 20 * 30 * once + heads
    print(
        f"\nInception v3: {rate:.1f} images a CPU-second, {rate / bare_rate(trunk, images):.2f} of the bare forward; "
        f"reading the cache: {read:.2f} s"
    )
    print(
        f"20 heads x 30 epochs x {IMAGES} images, from these rates: cached {once:.0f} + {heads:.0f} s, "
        f"recomputed {recomputed:.0f} s, ratio {recomputed / (once + heads):.0f}"
    )
    assert read < computed


def training(optimizer, device="cpu", *, seed=0):
    """Return a head in training on features of noise."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(IMAGES, FEATURES, generator=generator).relu()
    labels = torch.arange(IMAGES) % CLASSES
    head = Head(FEATURES, CLASSES, dense=DENSE, activation="relu", initializer="glorot_uniform", generator=generator)
    head.to(device)
    return Training(
        head,
        Part(inputs, labels, np.arange(IMAGES).astype(str)),
        loss="cross_entropy",
        new_optimizer=lambda: build_optimizer(optimizer, head.parameters()),
        batch_size=BATCH,
        perturbations=(),
        batches=torch.Generator().manual_seed(1),
    )


def member(optimizer):
    """Return an epoch of our loop and of a plain one, on the same data with the same arithmetic."""
    ours = training(optimizer)
    inputs, labels = ours.data.inputs, ours.data.labels
    widths = (FEATURES, *DENSE)
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    plain = nn.Sequential(*layers, nn.Linear(DENSE[-1], CLASSES))
    theirs = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.01),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-3, alpha=0.9, eps=1e-7),
    }[optimizer](plain.parameters())
    shuffle = torch.Generator().manual_seed(1)

    def plain_epoch():
        order = torch.randperm(IMAGES, generator=shuffle)
        x, y = inputs[order], labels[order]
        total, hits = 0.0, 0
        for start in range(0, IMAGES, BATCH):
            a, b = x[start : start + BATCH], y[start : start + BATCH]
            theirs.zero_grad()
            logits = plain(a)
            loss = nn.functional.cross_entropy(logits, b)
            loss.backward()
            theirs.step()
            total += loss.item() * len(b)
            hits += (logits.argmax(1) == b).sum().item()
        return total / IMAGES, hits / IMAGES

    return lambda: ours.run_epoch(1), plain_epoch


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_head_training_against_a_plain_loop(optimizer):
    ours, plain = fastest(*member(optimizer), repetitions=40)
    ratio = ours / plain
    print(f"\n{optimizer}: {ours * 1e3:.2f} CPU-ms an epoch, plain torch {plain * 1e3:.2f}, ratio {ratio:.2f}")
    assert ratio <= LIMIT_LOOP


def vmapped_epoch(members):
    """Return an epoch of all members by torch.func.vmap: the same arithmetic to rounding, without perturbations."""
    networks = [training.network for training in members]
    parameters, _ = torch.func.stack_module_state(networks)
    velocity = {name: torch.zeros_like(weight) for name, weight in parameters.items()}
    inputs, labels = members[0].data.inputs, members[0].data.labels

    def loss(weights, x, y):
        return nn.functional.cross_entropy(torch.func.functional_call(networks[0], weights, (x,)), y)

    gradients = torch.func.vmap(torch.func.grad(loss))

    def epoch():
        orders = torch.stack([torch.randperm(IMAGES) for _ in members])
        for start in range(0, IMAGES, BATCH):
            chosen = orders[:, start : start + BATCH].to(inputs.device)
            found = gradients(parameters, inputs[chosen], labels[chosen])
            with torch.no_grad():
                for name, gradient in found.items():
                    velocity[name].mul_(0.9).addcmul_(gradient, gradient, value=0.1)
                    parameters[name].addcdiv_(gradient, (velocity[name] + 1e-7).sqrt(), value=-1e-3)

    return epoch


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_stack_of_heads_against_heads_alone(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    count = 20

    def settled(body):
        def until_done():
            body()
            if device == "cuda":
                torch.cuda.synchronize()

        return until_done

    groups = [[training("rmsprop", device, seed=seed) for seed in range(count)] for _ in range(3)]
    alone, together, by_vmap = fastest(
        settled(lambda: [one.run_epoch(1) for one in groups[0]]),
        settled(lambda: run_stacked(groups[1], [1] * count)),
        settled(vmapped_epoch(groups[2])),
        repetitions=5,
        clock=time.process_time if device == "cpu" else time.perf_counter,
    )
    print(
        f"\n{device}: {count} heads alone {1e3 * alone:.0f} ms an epoch; as one {together / alone:.2f} of that, "
        f"by torch.func.vmap {by_vmap / alone:.2f}"
    )
    assert together / alone <= LIMIT_STACK[device]


def test_capture_against_the_bare_forward(inception):
    trunk, images = inception
    batch = trunk.prepare(images.images[:16])
    nodes = [name for name, _ in trunk.module.named_children() if name.startswith("Mixed")]
    layers = {name: trunk.module.get_submodule(name) for name in nodes}
    held = 0

    def bare():
        with torch.no_grad():
            trunk.module(batch)

    def captured():
        nonlocal held
        with hooked(layers) as recorder, torch.no_grad():
            recorder.new_pass()
            trunk.module(batch)
        held = sum(values.nbytes for values in recorder.arrays().values())

    without, with_hooks = fastest(bare, captured, repetitions=4)
    ratio = with_hooks / without
    print(f"\n{len(nodes)} nodes of Inception v3, {len(batch)} images: ratio {ratio:.3f}, {held / 1e6:.1f} MB held")
    assert ratio <= LIMIT_CAPTURE


STORE = """
import os, sys, time
from pathlib import Path
import numpy as np
from akpsim.store.run import StoredActivations, open_member
from akpsim.store.writer import MemberWriter

folder, compression = Path(sys.argv[1]), sys.argv[2]
epochs, samples, neurons = 20, 512, 2048
ids = np.array([f"s{i}" for i in range(samples)])
batch = np.random.default_rng(0).standard_normal((samples, neurons), dtype=np.float32)
np.maximum(batch, 0, out=batch)

def peak():
    '''MB at most held by this process so far; getrusage would give those of the one that started it.'''
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

def ours():
    writer = MemberWriter(folder / "m.nc", {}, compression=compression)
    for epoch in range(epochs):
        writer.activation("layer", epoch, batch, epochs=range(epochs), samples=ids)
    writer.finish({})
    writer.close()
    with open(folder / "m.nc", "rb+") as file:
        os.fsync(file.fileno())

def raw():
    with open(folder / "raw", "wb") as file:
        for _ in range(epochs):
            batch.tofile(file)
        file.flush()
        os.fsync(file.fileno())

def read():
    for epoch in range(epochs):
        StoredActivations([folder / "m.nc"], "layer", [epoch], batch.shape)[0, :, :]

def read_once_opened():
    with open_member(folder / "m.nc") as file:
        variable = file["activations/layer/activation"]
        variable.set_auto_maskandscale(False)
        for epoch in range(epochs):
            variable[epoch]

def raw_read():
    with open(folder / "raw", "rb") as file:
        for _ in range(epochs):
            np.fromfile(file, np.float32, batch.size)

times = {body: [] for body in (ours, raw, read, read_once_opened, raw_read)}
before = peak()
ours()
grown = peak() - before
for _ in range(6):
    for body, kept in times.items():
        start = time.perf_counter()
        body()
        kept.append(time.perf_counter() - start)
size = (folder / "m.nc").stat().st_size / 2**20
print(*map(min, times.values()), grown, batch.nbytes / 2**20, size)
"""


@pytest.mark.parametrize("compression", ["none", "lossless", "zstd", "rounded"])
def test_store_against_the_raw_disk(compression, tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", STORE, str(tmp_path), compression], capture_output=True, text=True, check=True
    )
    spent, raw, read, once, raw_read, grown, batch, size = map(float, found.stdout.split())
    total = 20 * batch
    print(
        f"\n{compression}: write {total / spent:.0f} MB/s = {raw / spent:.2f} of the raw disk, "
        f"read {total / read:.0f} MB/s = {raw_read / read:.2f} of it (opened once {raw_read / once:.2f}), "
        f"{size:.0f} of {total:.0f} MB on disk, memory {grown:.0f} MB over what held a batch of {batch:.0f} MB"
    )
    assert grown <= LIMIT_MEMORY
    if compression == "none":
        assert raw / spent >= LIMIT_DISK


@pytest.mark.skipif("AKPSIM_BENCH_IMAGES" not in os.environ, reason="AKPSIM_BENCH_IMAGES names no folder")
def test_the_papers_grid_by_stage(tmp_path, monkeypatch):
    from akpsim import load_study
    from akpsim.families.training import family, features, loop, member, prepared, summaries, work

    spent: Counter[str] = Counter()
    stack: list[float] = []

    def timed(owner, name, stage):
        """Count a function's own CPU-seconds, without those of other stages inside it."""
        inner = getattr(owner, name)

        def measured(*args, **kwargs):
            start = time.process_time()
            stack.append(0.0)
            try:
                return inner(*args, **kwargs)
            finally:
                whole = time.process_time() - start
                spent[stage] += whole - stack.pop()
                if stack:
                    stack[-1] += whole

        monkeypatch.setattr(owner, name, measured)

    timed(prepared, "build_trunk", "trunk: built, calibrated")
    timed(features, "compute_features", "trunk: features")
    timed(family, "prepare", "images")
    prepare, made = family.prepare, []
    monkeypatch.setattr(family, "prepare", lambda *args, **kwargs: made.append(prepare(*args, **kwargs)) or made[-1])
    timed(family, "rehearse", "rehearsal")
    timed(work.Work, "__init__", "heads: built")
    timed(loop.Training, "run_epoch", "heads: trained")
    timed(work, "loss_and_accuracy", "heads: validated")
    timed(work.Work, "events", "audit of swaps")
    timed(summaries.Summaries, "point", "capture: populations")
    timed(work.Work, "after_epoch", "capture: representations")
    timed(work.Work, "finish", "store")
    timed(work.Work, "write_captured", "store")
    timed(member.MemberWriter, "close", "store")
    timed(family, "train_family", "rest")
    folder = os.environ["AKPSIM_BENCH_IMAGES"]
    monkeypatch.setenv("AKPSIM_CACHE", str(tmp_path / "cache"))
    study = load_study("paper", data__name="folder", data__path=folder, network__weights="random")
    family.train_family(study, tmp_path / "run")
    print("\nCPU-seconds of the paper's grid, 56 members, 2,800 epochs:")
    for stage, seconds in sorted(spent.items()):
        print(f"  {stage:26} {seconds:6.1f}")
    parts = ("trunk", "heads", "capture")
    trunk, heads, capture = (sum(s for stage, s in spent.items() if stage.startswith(part)) for part in parts)
    extra = spent["store"] + capture
    count = sum(len(part.ids) for part in made[0].parts.values())
    bare = count / bare_rate(made[0].trunk, noise_images(16, 299))
    print(
        f"  trunk {trunk:.1f}, {trunk / bare:.2f} of the bare forward of {count} images ({bare:.1f}); "
        f"heads {heads:.1f}; capture and store {extra:.1f}, {extra / (trunk + heads):.0%} on top of both and "
        f"{extra / heads:.0%} of the heads alone"
    )
    assert trunk / bare <= LIMIT_TRUNK
    assert heads <= LIMIT_HEADS
    assert extra / (trunk + heads) <= LIMIT_EXTRA
