"""Copies of one message carry different labels."""

from roadworthy.checks import Check, Inputs


def run(inputs: Inputs) -> Check:
    """Flag rows in a cluster of several labels; the score is the share of its rows that agree."""
    messages = inputs.messages
    together = messages.groupby("cluster")["label"]
    flag = together.transform("nunique") > 1
    same = messages.groupby(["cluster", "label"])["id"].transform("size")
    clusters = int(messages.loc[flag, "cluster"].nunique())
    return Check(
        "conflicting_label", flag, same / together.transform("size"), {"clusters": clusters}
    )
