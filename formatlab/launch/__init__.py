"""Running the tasks of a study, side by side, wherever there are machines.

What is to be done, in the order of the files:

    experiment, study     an experiment file, and the grid of runs in it
    sweep, selection      what it varies beside scales and seeds; what of it is asked for
    idle_options          what was asked for and nothing would heed
    task                  a node of the study's graph: a folder to be made, and what it needs
    base_task, make_base  a base
    ladder_run, model_run a run of the lab's own models; of a real one
    training, start       what both do, and the weights that they start from
    plan                  the tasks of the last command, for those who look at them
    sound_runs            the run folders of a study that can be shown, for reports and exports

and doing it:

    schedule              which task may begin
    pool, together        on this machine; in all processes of `accelerate launch`
    attempt, perform      a task in this process: alone, once, and from a sound folder
    lock, damage          who is at a folder; what keeps a folder from being gone on with
    worker                a process that Ctrl-C does not reach
    devices, cores        which GPU, how many threads
    disk, out_of_memory   what a full machine's errors mean
    progress              what a person sees meanwhile

`cluster/` does the same on many machines, `estimates/` foretells what it takes, `state/` tells how
far it is. `tagging_run` and `tagging_report` are the tagging of somebody's files.
"""
