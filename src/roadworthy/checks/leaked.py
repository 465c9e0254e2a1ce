"""A held-out message whose copy is among the training rows."""

from roadworthy.checks import Check, Inputs
from roadworthy.data import SPLITS


def run(inputs: Inputs) -> Check:
    """Flag held-out rows with a training twin; the score is the held-out share of the cluster.

    Rows out of scope are left aside, see ``audit.annotate``.
    """
    messages, leaked = inputs.messages, inputs.messages["leaked"]
    scope = messages[messages["in_scope"]]
    shares = (scope["split"] != "train").groupby(scope["cluster"]).mean()
    held_out = messages["cluster"].map(shares)
    info = {name: int((leaked & (messages["split"] == name)).sum()) for name in SPLITS[1:]}
    return Check("leaked", leaked, held_out.where(leaked, 1.0), info)
