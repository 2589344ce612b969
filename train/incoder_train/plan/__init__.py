"""What a run will take, before it is paid for: a recipe and the machines go in, a plan comes out. No GPU is needed.

arithmetic.py     parameters and FLOPs, exact
network.py        seconds that weights and gradients take from GPU to GPU
memory.py         GiB on one GPU, by formula
trace.py          the same by running one update on tensors that have shapes and no contents
plan.py           all of it together, with warnings and error bars
"""
