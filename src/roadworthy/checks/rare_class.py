"""A message of a class with few training rows: the long tail."""

from roadworthy.checks import Check, Inputs


def run(inputs: Inputs) -> Check:
    """Flag rows of long-tail classes; the score is training rows of the class / tail_rows."""
    messages, least = inputs.messages, inputs.audit.tail_rows
    learnt = messages[(messages["split"] == "train") & messages["in_scope"]]
    rows = messages["label"].map(learnt["label"].value_counts()).fillna(0)
    rows = rows.where(messages["in_scope"], least)
    flag = rows < least
    info = {"classes": sorted(messages.loc[flag, "label"].unique())}
    return Check("rare_class", flag, (rows / least).clip(upper=1.0), info)
