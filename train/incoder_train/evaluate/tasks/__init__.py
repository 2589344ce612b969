"""The table of tasks. A task is a module with `TASK`; to add one is to add a file and its name here."""
