"""A message with personal data of a known form, see ``personal``."""

from roadworthy.checks import Check, Inputs


def run(inputs: Inputs) -> Check:
    """Flag rows with a finding; the score is 1 / (1 + findings). Counts by kind in ``info``."""
    counts = inputs.personal["row"].value_counts().reindex(inputs.messages.index, fill_value=0)
    kinds = inputs.personal.drop_duplicates(["row", "kind"])["kind"].value_counts()
    info = {str(kind): int(number) for kind, number in kinds.sort_index().items()}
    return Check("personal_data", counts > 0, 1.0 / (1.0 + counts), info)
