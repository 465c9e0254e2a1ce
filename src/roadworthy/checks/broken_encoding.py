"""Characters that came through a wrong decoding: "â€™" for an apostrophe, or lost for good.

Found by ftfy, which also says what the text was meant to be.
"""

import ftfy

from roadworthy.checks import Check, Inputs

LOST = "\ufffd"
"""The character that stands for one that could not be decoded."""


def run(inputs: Inputs) -> Check:
    """Flag texts that ftfy would decode anew, or with lost characters; the score is 0 for them."""
    texts = inputs.messages["text"]
    lost = texts.str.contains(LOST, regex=False)
    flag = lost | texts.map(lambda text: not text.isascii() and ftfy.fix_encoding(text) != text)
    info = {"repairable": int((flag & ~lost).sum())}
    return Check("broken_encoding", flag, 1.0 - flag, info)
