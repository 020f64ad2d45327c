"""Anyone's rollout files: read, tagged and written, in memory that does not grow with them.

The files of this folder, in the order in which the data flows through them:

    source          finds and opens files; a reader gives their chunks, each with its layout
    rows            chunks of rows as they stand in a file; cutting CSV, JSONL and JSON into chunks
    nesting         rows that hold several rollouts in lists, taken apart
    layout          the columns of a file, and how a row's values are read from them
    layouts         which columns hold the completion, the gold, the step, the prompt
    completion      the completion alone, in text, a chat, a trace or tokens
    tagging         chunks to tagged chunks, in this process or by a pool of workers
    tag_counts      counts of the tagged rows, for the tables and the figure
    verdict_counts  the files' own verdicts, rewards and truncations, counted beside ours
    tagged_file     the columns that tagging adds, and the parquet file that is written
    tagging_run     all files to one tagged file, with progress
"""
