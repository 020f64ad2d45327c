"""The speed of tagging alone: `python -m benchmarks.tagging [FOLDER]`.

FOLDER holds JSONL files of real answers (rows with `text` or another usual column); without one,
answers are rendered by the controlled world. Prints answers a second of the tagger by itself, of
reading and writing around it in one process, and with a worker on each core.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from formatlab.errors import FormatlabError
from formatlab.observe.files.layouts import Columns
from formatlab.observe.files.rows import BadRow
from formatlab.observe.files.source import RolloutReader, find_sources
from formatlab.observe.files.tagged_file import TaggedFile
from formatlab.observe.files.tagging import TagJob, tag_chunks
from formatlab.observe.tagger import tag
from formatlab.world.cores import available_cores
from formatlab.world.formats import FORMATS, Format
from formatlab.world.mixture import Mixture
from formatlab.world.world import World


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", help="JSONL files of real answers")
    parser.add_argument("--answers", type=int, default=60_000, help="answers to tag")
    parser.add_argument("--jobs", type=int, default=available_cores(), help="worker processes")
    options = parser.parse_args()
    texts = _real(options.folder) if options.folder else _rendered()
    where = options.folder or "the controlled world"
    mean = sum(map(len, texts)) / len(texts)
    print(f"{len(texts):,} answers of {where}, {mean:,.0f} characters on average", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answers.jsonl"
        with file.open("w", encoding="utf-8") as lines:
            for number in range(options.answers):
                text = texts[number % len(texts)]
                lines.write(json.dumps({"step": number // 512, "completion": text}) + "\n")
        began = time.perf_counter()
        for number in range(min(options.answers, 20_000)):
            tag(texts[number % len(texts)])
        _print("the tagger by itself", min(options.answers, 20_000), began)
        for jobs in dict.fromkeys((1, options.jobs)):
            began = time.perf_counter()
            _tag_file(file, Path(folder) / "tagged.parquet", jobs)
            name = "one process" if jobs == 1 else f"{jobs} workers"
            _print(f"file to file, {name}", options.answers, began)


def _tag_file(file: Path, output: Path, jobs: int) -> None:
    reader = RolloutReader(sources=find_sources([str(file)]), columns=Columns())
    with TaggedFile(output) as tagged:
        for chunk in tag_chunks(reader.chunks(), TagJob(grading=False), workers=jobs):
            batch = chunk.batch()
            if batch is not None:
                tagged.append(batch)
        tagged.finish()


def _print(what: str, answers: int, began: float) -> None:
    seconds = time.perf_counter() - began
    print(f"{what:<28}{answers / seconds:>10,.0f} answers a second", flush=True)


def _real(folder: str) -> list[str]:
    texts: list[str] = []
    for source in find_sources([folder]):
        reader = RolloutReader(sources=[source], columns=Columns())
        for chunk, layout in reader.chunks():
            rows = [row for _, row in chunk.rows() if not isinstance(row, BadRow)]
            found = (row.get(layout.text) for row in rows)
            texts += [text for text in found if isinstance(text, str)]
    if not texts:
        sys.exit(f"no answers are found in {folder}")
    random.Random(0).shuffle(texts)
    return texts


def _rendered() -> list[str]:
    renders = [name for name, form in FORMATS.items() if type(form).render is not Format.render]
    shares = dict.fromkeys(renders, 1 / len(renders))
    world = World(mixture=Mixture(name="all", shares=shares))
    return [document.solution for document in islice(world.documents(), 4_000)]


if __name__ == "__main__":
    try:
        main()
    except FormatlabError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
