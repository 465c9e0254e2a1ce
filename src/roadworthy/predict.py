"""Decide about the messages of a file: ``python -m roadworthy predict MESSAGES.csv DECIDED.csv``.

By the very model, guard and threshold that the verdict is about, or by its export.
"""

from __future__ import annotations

from pathlib import Path

from roadworthy import drafts, incoming, service, store
from roadworthy.config import recorded
from roadworthy.errors import UserError
from roadworthy.readiness import verdict_on

EMPTY = "to a person: empty"
NEVER = " (on validation rows no confidence surely keeps the accepted error rate)"


def run(file: str, out: str, engine: str = "torch", text: str | None = None) -> str:
    """Write ``row``, the id if there is one, ``label, confidence, decision`` of each message.

    Message text is not repeated, and an id that a spreadsheet might take for a formula is defused.

    Args:
        file: a CSV file.
        out: the file to write, another one.
        engine: ``torch``, or a precision of the export.
        text: the column that holds the messages; None: called as in the data the model is from.

    Raises:
        UserError: no such file, no column with messages, no trained model, ``out`` cannot be
            written.

    """
    settings = recorded()
    if Path(out).resolve() == Path(file).resolve():
        raise UserError(f"{out} holds the messages: name another file for the decisions")
    columns = {"text": text or settings.data.text, "id": settings.data.id}
    messages = incoming.read(Path(file), columns)
    served = service.load(engine)
    blank = messages["text"].str.strip() == ""
    found = served.decide(*served.judge(messages.loc[~blank, "text"].tolist()))
    found = found.set_index(messages.index[~blank])
    decided = messages.drop(columns="text").join(found.round(4))
    decided = decided.rename(columns={"id": settings.data.id})
    decided["decision"] = decided["decision"].fillna(EMPTY)
    try:
        drafts.write_text(Path(out), decided.map(store.defused).to_csv(index=False))
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error})") from error
    automated = int((decided["decision"] == service.AUTOMATED).sum())
    verdict, _ = verdict_on(settings.data.name, store.read_metrics("readiness"))
    why = "" if served.fitted["threshold"] is not None else NEVER
    return (
        f"{out}: {len(decided):,} messages, {automated:,} automated, the others to people{why}. "
        f"Readiness of this model{'' if engine == 'torch' else ' before its export'}: {verdict}"
    )
