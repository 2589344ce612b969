"""How good a model is: tasks and methods as in the paper (sections 4 and 5), and what users of an editor would ask.

case.py       a hole, its answer, what a model said, how well: the words that all rooms here share
methods.py    the ways to ask a model, and the floor without one
metrics.py    a sample and the answer become a number
tasks/        one file for each task, and their table
sources.py    the held-out files that come along; selection.py chose them
sandbox.py    where generated programs run
run.py        one task by one method: batches, progress; journal.py, files that a run goes on from
groups.py     several runs by one command, and the table that they fill
report.py     tables beside the paper's numbers (published.py); picture.py, its Figure 4
"""
