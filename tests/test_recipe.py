"""Hidden tokens are hidden, and weights can go back to where they started."""

from __future__ import annotations

import torch
from test_finetune import ENCODER

from roadworthy.models.lora import fresh_network, interpolate
from roadworthy.recipe import visible
from roadworthy.settings import Lora


def test_a_share_of_the_tokens_is_hidden_and_never_all_of_a_row():
    torch.manual_seed(0)
    mask = torch.ones((400, 20), dtype=torch.long)
    mask[:, 15:] = 0
    seen = visible(mask, 0.3)
    assert (seen[:, 0] == 1).all()
    assert (seen[:, 15:] == 0).all()
    assert abs(float(seen[:, 1:15].float().mean()) - 0.7) < 0.03
    assert (visible(mask, 0.9).sum(dim=1) >= 1).all()
    assert not torch.equal(seen, visible(mask, 0.3))


def test_without_a_share_nothing_is_drawn():
    mask = torch.ones((2, 3), dtype=torch.long)
    before = torch.get_rng_state()
    assert visible(mask, 0.0) is mask
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_hidden_changes_no_logit():
    network, _ = fresh_network(ENCODER, Lora(r=2), torch.eye(3, 384), 20.0, 0)
    network.eval()
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn((2, 6, 384), generator=generator)
    seen = torch.tensor([[1, 1, 0, 1, 0, 1], [1, 0, 1, 1, 1, 0]])
    other = torch.where(seen.bool()[:, :, None], hidden, torch.randn((2, 6, 384)))
    with torch.inference_mode():
        first, second = network.upper(hidden, seen), network.upper(other, seen)
        every = network.upper(hidden, torch.ones_like(seen))
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, every, atol=1e-3)


def test_weights_between_the_start_and_what_was_learnt():
    start = torch.nn.functional.normalize(torch.eye(3, 384) + 0.1, dim=-1)
    network, _ = fresh_network(ENCODER, Lora(r=2), start, 20.0, 0)
    ids, mask = torch.tensor([[101, 2073, 2003, 102]]), torch.ones((1, 4), dtype=torch.long)
    network.eval()
    with torch.no_grad():
        before = network(ids, mask)
        for name, weights in network.named_parameters():
            if weights.requires_grad and "lora_A" not in name:
                weights += 0.2
        learnt = network(ids, mask)
        updates = {n: p.clone() for n, p in network.named_parameters() if "lora_B" in n}
        interpolate(network, 1.0)
        torch.testing.assert_close(network(ids, mask), learnt)
        interpolate(network, 0.75)
        for name, weights in network.named_parameters():
            if name in updates:
                torch.testing.assert_close(weights, 0.75 * updates[name])
        assert not torch.allclose(network(ids, mask), learnt, atol=1e-3)
        interpolate(network, 0.0)
        torch.testing.assert_close(network(ids, mask), before)
