"""A model adapted to a repository: its files are read (`repository`, without `secret_files`), some held out; the training
loop learns from the others (`adapting`); the lines of the held-out ones decide whether the model is offered (`judging`)."""
