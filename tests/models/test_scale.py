import itertools

import pytest
from transformers import LlamaForCausalLM

from formatlab.models.model import count_parameters
from formatlab.models.scale import LADDER, Scale


@pytest.mark.parametrize("scale", list(LADDER.values())[:6], ids=lambda s: s.name)
def test_counts_are_those_of_the_model(scale: Scale):
    model = LlamaForCausalLM(scale.architecture(vocabulary=321, context=64, pad=0, eos=1))
    counted = count_parameters(model)
    assert counted.total == scale.parameters(321)
    assert counted.non_embedding == scale.non_embedding_parameters(321)


def test_the_ladder_goes_from_about_50_thousand_to_about_110_million_parameters():
    counts = [scale.parameters(512) for scale in LADDER.values()]
    assert counts == sorted(counts)
    assert 30_000 < counts[0] < 60_000
    assert 100e6 < counts[-1] < 120e6


@pytest.mark.parametrize("scale", LADDER.values(), ids=lambda s: s.name)
def test_names_say_the_number_of_parameters(scale: Scale):
    millions = float(scale.name.removesuffix("M"))
    assert scale.parameters(512) / 1e6 == pytest.approx(millions, rel=0.08)


@pytest.mark.parametrize("scale", LADDER.values(), ids=lambda s: s.name)
def test_every_scale_has_a_shape_that_fits(scale: Scale):
    assert scale.width % scale.heads == 0
    assert (scale.width // scale.heads) % 2 == 0  # rotary embeddings turn pairs
    assert scale.heads >= 2
    assert scale.depth >= 2


def test_everything_follows_the_dial_in_one_direction():
    for small, large in itertools.pairwise(LADDER.values()):
        assert large.depth >= small.depth
        assert large.learning_rate < small.learning_rate
        assert large.batch_documents >= small.batch_documents


def test_there_is_no_dropout():
    config = LADDER["0.04M"].architecture(vocabulary=300, context=64, pad=0, eos=1)
    assert config.attention_dropout == 0
