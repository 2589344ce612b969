"""The one error that a person is meant to read. Every room of the training side raises it with a sentence that says
what is wrong and what to do; the command line prints that sentence and nothing else. Any other exception is our bug."""


class UserError(Exception):
    """What is wrong with the input and what to do about it, in one sentence."""
