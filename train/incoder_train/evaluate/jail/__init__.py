"""What locks a generated program in, in processes of its own. Nothing here imports anything beyond the standard library.

kernel.py      the kernel's calls that Python has no function for
seccomp.py     which calls a program may make: enough to compute, too few to change anything
namespaces.py  one way to hide files, processes and the network from it
landlock.py    the other way to hide files, where namespaces are forbidden
zygote.py      the process that starts one such program after another
"""

WAYS = ("namespaces", "landlock")  # the better one first
