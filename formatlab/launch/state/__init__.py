"""How far a study is, read from its folders by anybody at any time.

task_state            a task, by its folder and the lock beside it
time_left             what is still to come
study_state           all tasks of the last command, and what else lies in the study's folder
state_line            a task, or an arm, in words
state_table           the screen of `formatlab status`
runs_inventory        a runs folder's runs and bases
leftovers             which of them nobody needs, and their removal by `formatlab clean`
"""
