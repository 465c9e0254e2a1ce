"""Another row has the same text but for case, punctuation and white space."""

from roadworthy.checks import Check, Inputs


def run(inputs: Inputs) -> Check:
    """Flag every copy; the score is 0 for them."""
    exact = inputs.repeats["exact"]
    return Check("exact_duplicate", exact, 1.0 - exact, {})
