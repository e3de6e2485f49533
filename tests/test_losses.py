"""Losses against numbers worked out by hand. In the comments p is the student, q the supervisor."""

import ast
import math
import sys

import pytest
import torch
from conftest import ROOT

from losses import (
    LOSSES,
    adaptconf,
    bootstrap,
    cace,
    conf,
    entropy,
    harden,
    product,
    reverse_ce,
    reverse_kl,
    symmetric,
    window,
    xent,
)

LN3 = math.log(3)  # logits (0, ln 3) give p = (1/4, 3/4)
LOGITS = torch.tensor([[0.0, 0.0], [0.0, LN3]])
WEAK = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
# entropies of (1/2, 1/2) and (1/4, 3/4)
H_HALF = math.log(2)
H_QUARTER = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))


def random_batch(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, generator=generator), torch.randn(n, 2, generator=generator).softmax(1)


def test_xent():
    # row 1: p = q = (1/2, 1/2) -> ln 2 = 0.693147
    # row 2: p = q = (1/4, 3/4) -> 0.562335; mean 0.627741
    assert xent(LOGITS, WEAK, 0.5).item() == pytest.approx(0.627741, abs=1e-6)
    # a sure and wrong label: -ln 1/4
    assert xent(LOGITS[1:], torch.tensor([[1.0, 0.0]]), 0).item() == pytest.approx(math.log(4))


def test_hardened_share_is_the_prior():
    logits = torch.tensor([[0.0, 5.0], [0.0, 4.0], [0.0, 3.0], [0.0, 1.0]])  # all lean to class 1
    half, quarter = torch.full((4, 2), 0.5), torch.tensor([[0.75, 0.25]]).repeat(4, 1)
    assert harden(logits, half)[:, 1].tolist() == [1, 1, 0, 0]
    assert harden(logits, quarter)[:, 1].tolist() == [1, 0, 0, 0]
    assert harden(logits, torch.tensor([[1.0, 0.0]]).repeat(4, 1))[:, 1].tolist() == [0, 0, 0, 0]
    assert harden(logits, torch.tensor([[0.0, 1.0]]).repeat(4, 1))[:, 1].tolist() == [1, 1, 1, 1]
    for seed in range(20):
        logits, weak = random_batch(32, seed)
        assert harden(logits, weak)[:, 1].sum() == round(32 * weak[:, 1].mean().item())
        assert set(harden(logits, weak).flatten().tolist()) == {0.0, 1.0}


def test_ties_share_what_is_left():
    half = torch.full((4, 2), 0.5)
    # all tie: nobody is flipped, the share holds
    assert harden(torch.zeros(4, 2), half).tolist() == half.tolist()
    # one place left for the two in the middle
    tied = torch.tensor([[0.0, 2.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    assert harden(tied, half)[:, 1].tolist() == [1, 0.5, 0.5, 0]
    # all p1 are 1.0 in float32
    saturated = torch.tensor([[0.0, 90.0], [0.0, 80.0], [0.0, 70.0], [0.0, 60.0]])
    assert harden(saturated, half)[:, 1].tolist() == [1, 1, 0, 0]


def test_conf():
    # B = 2, mean q1 = 5/8, so round(1.25) = 1 goes to class 1: h = ((1, 0), (0, 1))
    # alpha 0.5 in full:
    # targets ((3/4, 1/4), (1/8, 7/8)); row 1: ln 2; row 2: -(1/8 ln 1/4 + 7/8 ln 3/4) = 0.425009
    assert conf(LOGITS, WEAK, 1.0).item() == pytest.approx((H_HALF + 0.425009) / 2, abs=1e-6)
    # halfway through the warm-up a = 0.25: row 2 has target (3/16, 13/16),
    # -(3/16 ln 1/4 + 13/16 ln 3/4) = 0.493672
    assert conf(LOGITS, WEAK, 0.1).item() == pytest.approx((H_HALF + 0.493672) / 2, abs=1e-6)
    assert conf(LOGITS, WEAK, 0.0).item() == xent(LOGITS, WEAK, 0.0).item()


# one example, p = (1/4, 3/4)
P14 = LOGITS[1:]
HALF = torch.tensor([[0.5, 0.5]])
SURE = torch.tensor([[1.0, 0.0]])
LN4, LN43 = math.log(4), math.log(4 / 3)  # -ln 1/4, -ln 3/4


def test_product():
    # p q = (1/8, 3/8), to sum 1 (1/4, 3/4): the supervisor that says nothing changes nothing
    assert product(P14, HALF, 0).item() == pytest.approx(H_QUARTER, abs=1e-6)
    # q = (3/4, 1/4): p q = (3/16, 3/16), target (1/2, 1/2): (ln 4 + ln 4/3) / 2
    assert product(P14, torch.tensor([[0.75, 0.25]]), 0).item() == pytest.approx(
        (LN4 + LN43) / 2, abs=1e-6
    )
    # alpha 2: p q^2 = (9/64, 3/64), target (3/4, 1/4)
    assert product(P14, torch.tensor([[0.75, 0.25]]), 0, alpha=2).item() == pytest.approx(
        0.75 * LN4 + 0.25 * LN43, abs=1e-6
    )


def test_reverse():
    # -(1/4 ln 1/2 + 3/4 ln 1/2) = ln 2; less the student's entropy
    assert reverse_ce(P14, HALF, 0).item() == pytest.approx(H_HALF)
    assert reverse_kl(P14, HALF, 0).item() == pytest.approx(H_HALF - H_QUARTER, abs=1e-6)
    assert reverse_kl(LOGITS, WEAK, 0).item() == pytest.approx(0, abs=1e-6)  # p = q
    # q1 = 0 counts as 1e-8
    assert reverse_ce(P14, SURE, 0).item() == pytest.approx(0.75 * 8 * math.log(10), rel=1e-5)


def test_adaptconf():
    # q = (1, 0): own class 1, CE ln 4/3; supervisor's class 0, CE ln 4
    # T 0.5: u = (4/3)^2, v = 16, b = u / (u + v) = 1/10
    # KL(q, p) = ln 4: 9/10 ln 4 + 1/10 ln 4/3
    assert adaptconf(P14, SURE, 0).item() == pytest.approx(0.9 * LN4 + 0.1 * LN43, abs=1e-6)
    # T 1: u = 4/3, v = 4, b = 1/4
    assert adaptconf(P14, SURE, 0, T=1).item() == pytest.approx(0.75 * LN4 + 0.25 * LN43, abs=1e-6)
    # of one mind, b = 1/2: half of KL(q, p) = 0 and half of ln 4/3
    assert adaptconf(P14, WEAK[1:], 0).item() == pytest.approx(LN43 / 2, abs=1e-6)


def test_entropy():
    # a = 0.5: target 1/2 (1, 0) + 1/2 (1/4, 3/4) = (5/8, 3/8)
    # halfway through the warm-up a = 0.25: (13/16, 3/16)
    assert entropy(P14, SURE, 1.0).item() == pytest.approx(5 / 8 * LN4 + 3 / 8 * LN43, abs=1e-6)
    assert entropy(P14, SURE, 0.1).item() == pytest.approx(13 / 16 * LN4 + 3 / 16 * LN43, abs=1e-6)
    leaf = P14.clone().requires_grad_()
    entropy(leaf, SURE, 1.0).backward()
    # p - target
    assert leaf.grad.flatten().tolist() == pytest.approx([1 / 4 - 5 / 8, 3 / 4 - 3 / 8])


def test_window():
    # of p = (1/2, 1/2) and (1/4, 3/4) only the first is unsure; its CE of ln 2 by two examples
    assert window(LOGITS, WEAK, 0, r=0.15).item() == pytest.approx(H_HALF / 2)
    assert window(LOGITS, WEAK, 0, r=0.3).item() == pytest.approx((H_HALF + H_QUARTER) / 2)
    # without r, max q of 0.5, 0.7 and 0.9 have the median 0.7: p of 3/4 is too sure
    logits = torch.tensor([[0.0, 0.0], [0.0, LN3], [0.0, LN3]])
    weak = torch.tensor([[0.5, 0.5], [0.3, 0.7], [0.9, 0.1]])
    assert window(logits, weak, 0).item() == pytest.approx(H_HALF / 3)


def test_cace():
    # q = (1, 0), sure: CE(p, q) = ln 4; q = (1/2, 1/2), unsure: CE(q, p) = ln 2
    both = torch.cat([SURE, HALF])
    assert cace(P14.repeat(2, 1), both, 0).item() == pytest.approx((LN4 + H_HALF) / 2)
    # q = (1/5, 4/5) is sure by .3: 1/5 ln 4 + 4/5 ln 4/3 = 0.507404
    # with c .4 it is not: -(1/4 ln 1/5 + 3/4 ln 4/5) = 0.569717
    weak = torch.tensor([[0.2, 0.8]])
    assert cace(P14, weak, 0).item() == pytest.approx(0.507404, abs=1e-6)
    assert cace(P14, weak, 0, c=0.4).item() == pytest.approx(0.569717, abs=1e-6)
    # q1 = 0 counts as 1e-8 here too
    assert cace(P14, SURE, 0, c=1).item() == pytest.approx(0.75 * 8 * math.log(10), rel=1e-5)


def test_cace_is_as_sure_of_either_class():
    # at .1 from 1/2 it is sure, whichever the class, and just below it is not
    for q in (0.4, 0.6):
        weak = torch.tensor([[1 - q, q]])
        assert cace(P14, weak, 0).item() == pytest.approx(xent(P14, weak, 0).item())
    for q in (0.401, 0.599):
        weak = torch.tensor([[1 - q, q]])
        assert cace(P14, weak, 0).item() == pytest.approx(reverse_ce(P14, weak, 0).item())


def test_symmetric():
    # q = (1/2, 1/2): (ln 4 + ln 4/3) / 2 = 0.836988, and ln 2 = 0.693147 reversed
    assert symmetric(P14, HALF, 0).item() == pytest.approx(0.836988 + 0.0693147, abs=1e-6)
    assert symmetric(P14, HALF, 0, weight=2).item() == pytest.approx(0.836988 + 1.386294, abs=1e-6)
    # q1 = 0 counts as 1e-8: ln 4 + .1 (3/4 ln 1e8)
    expected = LN4 + 0.1 * 0.75 * 8 * math.log(10)
    assert symmetric(P14, SURE, 0).item() == pytest.approx(expected, rel=1e-5)


def test_conf_gives_its_own_predictions_no_gradient():
    logits, weak = random_batch(16)
    leaf = logits.clone().requires_grad_()
    conf(leaf, weak, 1.0, alpha=1.0).backward()
    # (p - target) / B
    assert torch.allclose(leaf.grad, (logits.softmax(1) - harden(logits, weak)) / 16, atol=1e-7)


def test_order_of_the_batch_plays_no_part():
    logits, weak = random_batch(32)
    logits[:8] = 0  # ties too
    order = torch.randperm(32, generator=torch.Generator().manual_seed(1))
    for loss in LOSSES.values():
        assert loss(logits[order], weak[order], 0.5).item() == pytest.approx(
            loss(logits, weak, 0.5).item(), rel=1e-6
        )


def test_bootstrap():
    # soft, beta 1/2, p = (1/4, 3/4), q = (1, 0): target (5/8, 3/8):
    # -(5/8 ln 1/4 + 3/8 ln 3/4) = 0.974315
    assert bootstrap(P14, SURE, 0, beta=0.5).item() == pytest.approx(0.974315, abs=1e-6)
    # hard, beta 1/2: onehot(argmax p) = (0, 1), target (1/2, 1/2):
    # -(1/2 ln 1/4 + 1/2 ln 3/4) = 0.836988
    assert bootstrap(P14, SURE, 0, beta=0.5, hard=True).item() == pytest.approx(0.836988, abs=1e-6)
    # defaults: 0.95 q + 0.05 p = (0.9625, 0.0375); 0.8 q + 0.2 onehot = (0.8, 0.2)
    assert bootstrap(P14, SURE, 0).item() == pytest.approx(0.9625 * LN4 + 0.0375 * LN43, rel=1e-6)
    assert bootstrap(P14, SURE, 0, hard=True).item() == pytest.approx(
        0.8 * LN4 + 0.2 * LN43, rel=1e-6
    )


def test_soft_bootstrap_has_gradient_through_both():
    # d/dz1 of b CE(p, q) + (1-b) H(p): b (p1 - q1) - (1-b) p1 p0 (z1 - z0)
    leaf = P14.clone().requires_grad_()
    bootstrap(leaf, SURE, 0, beta=0.5).backward()
    assert leaf.grad[0, 1].item() == pytest.approx(0.5 * 0.75 - 0.5 * 0.75 * 0.25 * LN3, rel=1e-5)


OF_TWO = {  # loss and sum of its squared gradient, of code that knew two classes only
    "xent": (0.941297293, 0.0100676743),
    "conf": (0.676753581, 0.00287504276),
    "bootstrap": (0.923257947, 0.00880240891),
    "product": (0.705928922, 0.00425865258),
    "reverse_ce": (1.02195287, 0.00568485702),
    "reverse_kl": (0.441441685, 0.00860681827),
    "adaptconf": (0.502821207, 0.00843733198),
    "entropy": (0.760904253, 0.00251691852),
    "window": (0.381076634, 0.00242863887),
    "cace": (0.927930593, 0.00970653356),
    "symmetric": (1.04349256, 0.011223354),
}


@pytest.mark.parametrize("name", LOSSES)
def test_of_two_classes_they_are_what_they_were(name):
    logits, weak = random_batch(32)
    logits[3] = logits[5]
    logits.requires_grad_()
    value = LOSSES[name](logits, weak, 0.5)
    slopes, = torch.autograd.grad(value, logits)
    found = value.item(), slopes.square().sum().item()
    assert found == pytest.approx(OF_TWO[name], rel=1e-5)


@pytest.mark.parametrize("file, needs", [
    ("losses", {"torch"}),
    ("w2s/metrics", {"numpy"}),
    ("w2s/state", {"torch", "tqdm"}),
    ("w2s/training", {"torch", "tqdm", "w2s.state"}),
    ("w2s/head", {"torch"}),
    ("w2s/precision", {"torch", "w2s.training"}),
    ("w2s/checkpoint", {"torch", "transformers", "w2s.head", "w2s.precision", "w2s.state",
                        "w2s.training"}),
    ("w2s/forward", {"torch", "w2s.head", "w2s.precision", "w2s.training"}),
    ("w2s/classifier", {"torch", "transformers", "w2s.checkpoint", "w2s.forward", "w2s.head",
                        "w2s.lora", "w2s.names", "w2s.state", "w2s.training"}),
])
def test_files_to_copy_need_no_more_than_they_say(file, needs):
    found = set()
    for node in ast.walk(ast.parse((ROOT / f"{file}.py").read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module if node.module.startswith("w2s") else node.module.split(".")[0])
    assert found - sys.stdlib_module_names == needs
