"""A message of too few words to say what it wants."""

from roadworthy.census import words
from roadworthy.checks import Check, Inputs

FEWEST = 2
"""Words of a message that is not flagged, at least."""


def run(inputs: Inputs) -> Check:
    """Flag texts of fewer than ``FEWEST`` words."""
    count = words(inputs.messages["text"])
    score = (count / FEWEST).clip(upper=1.0)
    return Check("short_text", count < FEWEST, score, {"words": FEWEST})
