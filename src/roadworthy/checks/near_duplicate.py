"""Another row has nearly the same text (Jaccard similarity of character shingles)."""

from roadworthy.checks import Check, Inputs


def run(inputs: Inputs) -> Check:
    """Flag rows with a similar, not the same, text; the score falls with the similarity."""
    near, similarity = inputs.repeats["near"], inputs.repeats["similarity"]
    groups = inputs.repeats["cluster"].value_counts()
    info = {"clusters": int((groups > 1).sum()), "largest": int(groups.max())}
    return Check("near_duplicate", near, (1.0 - similarity).where(near, 1.0), info)
