"""Measures of anyone's rollouts, tagged by the lab where they have no tags.

Rollouts are a data frame of pandas, an Arrow table or rows, with the columns of
`formatlab.measure.frames.FRAME_COLUMNS`. Where `tag` is missing, `completion` (or `text`) is
tagged; where `correct` is missing and there is a `gold`, the right answer, it is graded as well.
"""

import pyarrow as pa

from formatlab.errors import InputError
from formatlab.measure.comparison import Comparison
from formatlab.measure.comparison import compare as compare_tables
from formatlab.measure.comparison import measures as measures_of_table
from formatlab.measure.frames import FRAME_COLUMNS, Frame, rollouts_of, table_of
from formatlab.measure.gain import Gain
from formatlab.measure.gain import gain as gain_of_tables
from formatlab.measure.measures import Embed
from formatlab.observe.files.completion import NoCompletionError, completion
from formatlab.observe.files.tagged_file import as_text
from formatlab.observe.grader import grade
from formatlab.observe.tagger import tag

_TEXTS = (*FRAME_COLUMNS["completion"][0], "prompt", "prompt_id")


def gain(base: Frame, trained: Frame) -> Gain:
    """Split the change in accuracy from a base to a trained policy into format, routing and skill.

    Args:
        base: rollouts of the base.
        trained: rollouts of the policy, on the same prompts.

    Raises:
        InputError: a column is missing, or no prompt was graded on both sides.
    """
    found = gain_of_tables(
        tagged(base, "base", graded=True), tagged(trained, "trained", graded=True)
    )
    if found is None:
        raise InputError(
            "gain: no prompt has graded rollouts on both sides; are the prompts the same texts?"
        )
    return found


def compare(
    a: Frame,
    b: Frame,
    *,
    k: int | None = None,
    texts: bool = True,
    embed: Embed | None = None,
) -> Comparison:
    """Compare two sets of rollouts: shares, accuracy, gain, and diversity at equal samples.

    Args:
        a: the rollouts that differences start from.
        b: those that they lead to.
        k: rollouts of a prompt at which diversity is compared; by default as many as nine in ten
            prompts of both have, at most 8.
        texts: whether to compare texts, which takes the longest.
        embed: embeds texts, for the semantic distance, as `TextEmbedder(path).embed` does; without
            it there is none.

    Raises:
        InputError: a column is missing, or one has no rollouts.
    """
    return compare_tables(tagged(a, "a"), tagged(b, "b"), k=k, texts=texts, embed=embed)


def measures(
    rollouts: Frame, *, k: int | None = None, texts: bool = True, embed: Embed | None = None
) -> pa.Table:
    """Measure a set of rollouts; see `compare` for the arguments.

    Returns:
        One row a measure, with `formatlab.measure.comparison.MEASURE_SCHEMA`.
    """
    return measures_of_table(tagged(rollouts, "rollouts"), k=k, texts=texts, embed=embed)


def tagged(frame: Frame, name: str, *, graded: bool = False) -> pa.Table:
    """Rollouts with the columns of measures; texts without a tag are tagged, and graded by `gold`.

    Args:
        frame: the rollouts.
        name: what messages call them.
        graded: whether they must be graded.

    Raises:
        InputError: a column is missing.
    """
    table = _without_chats(table_of(frame, name), name)
    names = set(table.column_names)
    written = not names.isdisjoint(FRAME_COLUMNS["completion"][0])
    tagging = "tag" not in names
    grading = "correct" not in names and "gold" in names and written
    if tagging and names and not written:
        raise InputError(
            f"{name}: no column `tag`, nor a `completion` or `text` to be tagged; it has "
            f"{', '.join(table.column_names)}"
        )
    texts = []
    if tagging or grading:
        needed = ["prompt_id", "completion"]
        texts = rollouts_of(table, name, needed=needed)["completion"].to_pylist()
    if tagging:
        if None in texts:
            raise InputError(f"{name}: {texts.count(None)} rows have neither a tag nor a text")
        tags = {text: tag(text).format for text in set(texts)}
        table = table.append_column("tag", pa.array([tags[text] for text in texts], pa.string()))
    if grading:
        pairs = [
            None if text is None or gold is None else (text, str(gold))
            for text, gold in zip(texts, table["gold"].to_pylist(), strict=True)
        ]
        grades = {pair: grade(*pair) for pair in set(pairs) if pair is not None}
        found = [None if pair is None else grades[pair] for pair in pairs]
        table = table.append_column("correct", pa.array([of and of.correct for of in found]))
        if "answer" not in table.column_names:
            said = pa.array([of and of.answer for of in found], pa.string())
            table = table.append_column("answer", said)
    return rollouts_of(table, name, needed=["prompt_id", "tag", *(["correct"] if graded else [])])


def _without_chats(table: pa.Table, name: str) -> pa.Table:
    """Prompts and completions that are chats, as lists of messages, as texts."""
    for column in table.column_names:
        kind = table[column].type
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        # Chats beside texts have become texts themselves.
        read = completion if column in FRAME_COLUMNS["completion"][0] else None if text else as_text
        if column in _TEXTS and read is not None:
            values = table[column].to_pylist()
            try:
                texts = [None if value is None else read(value) for value in values]
            except NoCompletionError as error:
                raise InputError(f"{name}: `{column}`: {error}") from None
            place = table.column_names.index(column)
            table = table.set_column(place, column, pa.array(texts, pa.string()))
    return table
