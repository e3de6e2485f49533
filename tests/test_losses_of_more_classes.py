"""Losses of more than two classes. In the comments p is the student, q the supervisor."""

import math

import pytest
import torch

from losses import LOSSES, cace, harden, window, xent


@pytest.mark.parametrize("name", LOSSES)
def test_losses_do_not_care_how_classes_are_numbered(name):
    generator = torch.Generator().manual_seed(0)
    logits, weak = torch.randn(2, 24, 4, generator=generator)
    weak, order = weak.softmax(1), [2, 0, 3, 1]
    value, other = (LOSSES[name](logits[:, some], weak[:, some], 0.5)
                    for some in (list(range(4)), order))
    assert value.isfinite() and value.item() == pytest.approx(other.item(), rel=1e-5)


def test_of_more_classes_each_gets_the_share_that_the_supervisor_gives_it():
    generator = torch.Generator().manual_seed(0)
    for lean in (0.0, 5.0):  # all examples lean to class 0
        logits = torch.randn(32, 4, generator=generator) + torch.tensor([lean, 0, 0, 0])
        weak = torch.randn(32, 4, generator=generator).softmax(1)
        hard = harden(logits, weak)
        assert torch.allclose(hard.mean(0), weak.mean(0), atol=5e-3)
        assert torch.allclose(hard.sum(1), torch.ones(32)) and hard.amax(1).mean() > 0.9
        # who leans less to a class than another that is in it is in it no more than that one
        first = hard[:, 0] > 0.9
        others = hard[:, 0] < 0.1
        margin = logits[:, 0] - logits[:, 1:].amax(1)
        assert margin[first].mean() > margin[others].mean() + 1
    # examples that tie share the classes between them
    shares = torch.tensor([[0.5, 0.25, 0.25]]).repeat(8, 1)
    assert torch.allclose(harden(torch.zeros(8, 3), shares), shares, atol=1e-4)
    # where the shares are those of the likeliest classes it is these
    logits = 9 * torch.eye(3)
    assert torch.allclose(harden(logits, torch.full((3, 3), 1 / 3)), torch.eye(3), atol=1e-4)


def test_three_classes_worked_out_by_hand():
    logits = torch.tensor([[0.0, 0.0, math.log(2)], [math.log(2), 0.0, 0.0]])  # p 1/4 1/4 1/2
    weak = torch.tensor([[0.0, 0.5, 0.5], [0.4, 0.3, 0.3]])
    ln2 = math.log(2)
    assert xent(logits, weak, 1).item() == pytest.approx(
        (0.5 * 2 * ln2 + 0.5 * ln2 + 0.4 * ln2 + 0.6 * 2 * ln2) / 2)
    # sure is a max q of 1/3 + .1 or more: row 1 by CE(p, q); row 2 by CE(q, p)
    reverse = -(0.5 * math.log(0.4) + 0.5 * math.log(0.3))
    assert cace(logits, weak, 1).item() == pytest.approx((1.5 * ln2 + reverse) / 2)
    # unsure is a max p below 1/3 + r: none, and both
    assert window(logits, weak, 1, r=0.16).item() == 0
    assert window(logits, weak, 1, r=0.17).item() == pytest.approx(xent(logits, weak, 1).item())
