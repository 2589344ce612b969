"""How good a model is: tasks and methods as in the paper (sections 4 and 5), and what users of an editor would ask.

case.py       a hole, its answer, what a model said, how well: the words that all rooms here share
methods.py    the ways to ask a model, and the floor without one
tasks/        one file for each task, and their table
sandbox.py    where generated programs run
run.py        one task by one method: batches, progress, a file that can be gone on with
report.py     tables beside the paper's numbers; picture.py the same as a figure
"""
