"""The tokenizer of a world: small, byte-complete, every digit a token of its own."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

from formatlab.errors import InputError
from formatlab.world.prompt import plain_prompt
from formatlab.world.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VERSION = 1
"""Raised when the same documents give another tokenizer."""

PAD, EOS = "<pad>", "<eos>"
TRAINING_DOCUMENTS = 5_000
"""Documents the merges are learned from; the vocabulary of the world is closed long before."""


def train_tokenizer(world: World, vocabulary: int = 512) -> "PreTrainedTokenizerFast":
    """Learn byte-pair merges on documents of the world.

    Every byte is in the alphabet, so any text survives encoding and decoding, unless it spells one
    of the two marks. Merges never cross a digit or a word boundary, so a solution starts with a
    token of its own after any prompt.

    Args:
        world: where the documents come from.
        vocabulary: number of tokens, pad and end-of-sequence included; at least 258.

    Raises:
        InputError: a vocabulary that cannot hold all bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if vocabulary < 258:
        raise InputError(f"tokenizer: vocabulary is {vocabulary}; 256 bytes and 2 marks need 258")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue] - setter untyped upstream
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue] - setter untyped upstream
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = (
        text
        for _, problem, solution in islice(world.documents(), TRAINING_DOCUMENTS)
        for text in (plain_prompt(problem).text, solution)
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """Open a tokenizer saved with `save_pretrained`."""
    from transformers import PreTrainedTokenizerFast

    return cast(PreTrainedTokenizerFast, PreTrainedTokenizerFast.from_pretrained(folder))
