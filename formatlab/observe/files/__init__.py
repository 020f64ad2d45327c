"""Anyone's rollout files: read, tagged and written, in memory that does not grow with them.

The data flow, in the order of the files:

    source                files are found and opened, and cut into chunks of rows
    json_rows, csv_rows   by the kind of file (parquet gives batches of rows by itself)
    chunk                 rows on their way to a worker, as they stand in the file
    layout                which columns hold the completion, the gold, the step, the prompt
    known_layouts         the layouts of public trainers; which of them a file has
    reader                files in turn, each with its layout
    completion            the completion alone, in text, a chat, a trace or tokens
    tagging               chunks to tagged chunks
    crew                  worker processes that do it side by side
    tagged_rows           the columns that tagging adds, behind those of the input
    tag_counts            what is counted of them for the tables and the figure
    tagged_file           the parquet file that they make
"""
