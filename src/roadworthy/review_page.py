"""The demo's second tab: a person looks at doubted labels, one message at a time, and decides.

Whatever comes from the data is shown in text boxes, which interpret nothing: a message or a label
may be hostile, and Markdown would load the picture that it names.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, replace
from typing import Any

from roadworthy import review, store
from roadworthy.errors import UserError
from roadworthy.settings import Data

SPLITS = {"Training": "train", "Validation": "validation", "Test": "test"}


@dataclass(frozen=True)
class Session:
    """Which messages one browser session looks at, and what it did, latest last."""

    split: str = "train"
    skipped: tuple[str, ...] = ()
    """Ids."""
    decided: tuple[tuple[str, str], ...] = ()
    """Split and id."""


View = tuple[str, str, str, str, str, str, None, Session]
"""Progress, id, text, filed label, suggestion, its confidence, no chosen label, the session."""


class Handlers:
    """What the buttons do. Each gives what to show next; a user error is shown, not raised."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def show(self, session: Session, problem: str = "") -> View:
        """The first row that waits; those skipped come after all others."""
        try:
            rows = review.queue(self.data, session.split)
            done = len(review.decided(self.data, store.read_messages()))
        except UserError as error:
            return str(error), "", "", "", "", "", None, session
        if rows.empty:
            said = f"{problem}\nNothing waits, {done} decided. {honoured(self.data)}."
            return said.strip(), "", "", "", "", "", None, session
        turn = rows["id"].map({id: place for place, id in enumerate(session.skipped)}).fillna(-1)
        row = rows.iloc[int(turn.argmin())]
        doubted = int((rows["part"] == "doubted").sum())
        wait = f"{doubted} doubted labels wait, then a sample of {len(rows) - doubted}"
        said = f"{problem}\n{wait}; {done} decided.".strip()
        sure = f"{row['confidence']:.2f}"
        shown = (row["id"], row["text"], row["label"], row["suggested"], sure)
        return said, *shown, None, session

    def decide(self, id: str, label: str | None, session: Session) -> View:
        """Write down a label for the message shown, and go on."""
        if not id:
            return self.show(session)
        try:
            review.decide(self.data, id, label or "")
        except UserError as error:
            return self.show(session, str(error))
        return self.show(replace(session, decided=(*session.decided, (session.split, id))))

    def turn(self, split: str, session: Session) -> View:
        """Go on to the messages of another split."""
        return self.show(replace(session, split=split))

    def next(self, id: str, session: Session) -> View:
        """Leave the message for later."""
        others = tuple(other for other in session.skipped if other != id)
        return self.show(replace(session, skipped=(*others, id)))

    def undo(self, session: Session) -> View:
        """Take back this session's last decision in this split, and show its message again."""
        here = [id for split, id in session.decided if split == session.split]
        if not here:
            return self.show(session, "This session has decided nothing yet about these messages.")
        last = here[-1]
        try:
            review.undo(self.data, last)
        except UserError as error:
            return self.show(session, str(error))
        skipped = tuple(id for id in session.skipped if id != last)
        before = tuple(one for one in session.decided if one[1] != last)
        return self.show(Session(session.split, skipped, before))


def honoured(data: Data) -> str:
    """What makes the pipeline go by the decisions."""
    line = f", once conf/data/{data.name}.yaml has the line `decisions: {review.file_name(data)}`"
    return (
        f"`dvc repro`, or `dvc exp run -S data={data.name}` if that is how this was run, goes "
        f"by what was decided{'' if data.decisions else line}"
    )


def where(data: Data) -> str:
    """What to decide, where decisions go and what makes the pipeline honour them, as Markdown."""
    path, said = html.escape(review.file_name(data)), html.escape(honoured(data), quote=False)
    return (
        "First come the messages whose label is most likely wrong, behind them a **sample** of the "
        "others. Decide the sample, too: what is found there tells the next run how many labels "
        "are wrong.\n\n**Training** labels are what is learnt, **validation** labels set the "
        "temperature and the threshold, by **test** labels the scores are counted. Whoever "
        "corrects the last two only where a model objects flatters the models: go by the message, "
        "not by the suggestion; the sample shows what no model sees.\n\n"
        f"Decisions go to `{path}`; {said}."
    )


def add(page: Any, data: Data, labels: list[str]) -> None:  # noqa: ANN401 - gradio's Blocks
    """Put the tab's parts into the open ``page``."""
    import gradio as gr

    handlers, session = Handlers(data), gr.State(Session())
    gr.Markdown(where(data))
    turn = gr.Radio([*SPLITS.items()], value="train", label="Messages")
    progress = gr.Textbox(label="Progress", interactive=False)
    text = gr.Textbox(label="Message", lines=5, max_lines=20, interactive=False)
    with gr.Row():
        id, filed, suggested, sure = (
            gr.Textbox(label=label, interactive=False)
            for label in ("Id", "Filed label", "Suggested label", "The models' confidence in it")
        )
    with gr.Row():
        keep = gr.Button("Keep the filed label", variant="primary")
        accept = gr.Button("Take the suggestion", variant="primary")
        skip, undo = gr.Button("Skip"), gr.Button("Undo")
    with gr.Row():
        none = data.out_of_scope
        known = [(f"{name} (fits no intent)" if name == none else name, name) for name in labels]
        chosen = gr.Dropdown(known, value=None, label="Another label")
        take = gr.Button("Take this label")
    view = [progress, id, text, filed, suggested, sure, chosen, session]
    for button, label, seen in (
        (keep, filed, "public"),
        (accept, suggested, "private"),
        (take, chosen, "private"),
    ):
        button.click(
            handlers.decide, [id, label, session], view, api_name="decide", api_visibility=seen
        )
    turn.input(handlers.turn, [turn, session], view, api_name="turn")
    skip.click(handlers.next, [id, session], view, api_name="next")
    undo.click(handlers.undo, session, view, api_name="undo")
    page.load(handlers.show, session, view, api_visibility="private")
