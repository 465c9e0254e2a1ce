"""A message so long that an encoder may cut it off."""

from roadworthy.census import words
from roadworthy.checks import Check, Inputs


def run(inputs: Inputs) -> Check:
    """Flag texts of more words than the last of ``audit.length_edges``."""
    count, most = words(inputs.messages["text"]), inputs.audit.length_edges[-1]
    return Check("long_text", count > most, (most / count).clip(upper=1.0), {"words": most})
