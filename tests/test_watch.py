"""The watch rings for what has changed, each rule for its own, and rarely for nothing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from roadworthy import alarms, incoming, rates, store, watch, watch_page
from roadworthy.data import id_hash
from roadworthy.drafts import DRAFT
from roadworthy.errors import UserError
from roadworthy.plots import watch as plots
from roadworthy.service import Service
from roadworthy.settings import Audit, Data, Evaluate

CLASSES = ["card", "parcel", "refund"]
WORDS = [f"w{number:02d}" for number in range(60)]


def judged(rng, rows, **change):
    """Messages as the model judged them: nine of ten right, six of a hundred of no known class."""
    usual = {"accuracy": 0.9, "beyond": 0.06, "recall": 0.8, "held": 0.05, "sure": 0.6}
    rate = usual | {"sure_right": None, "confidence": 5.0} | change
    beyond = rng.random(rows) < rate["beyond"]
    held = rng.random(rows) < np.where(beyond, rate["recall"], rate["held"])
    automated = ~held & (rng.random(rows) < rate["sure"])
    right = rng.random(rows) < rate["accuracy"]
    if rate["sure_right"] is not None:
        right = np.where(automated, rng.random(rows) < rate["sure_right"], right)
    truth = rng.choice(CLASSES, rows).astype(object)
    following = {"card": "parcel", "parcel": "refund", "refund": "card"}
    label = np.where(right, truth, [following[one] for one in truth])
    return pd.DataFrame(
        {
            "label": label,
            "truth": np.where(beyond, "none", truth),
            "confidence": rng.beta(rate["confidence"], 2, rows),
            "automated": automated,
            "held": held,
            "cluster": rng.permutation(10**6)[:rows],
        }
    )


def rung(weeks, test, accepted=0.15):
    """Rules that ring, by period."""
    lines = alarms.adjusted([*alarms.of_shares(weeks, test, CLASSES, accepted, 0.95)])
    return {(line["period"], line["rule"]) for line in lines if line["alarm"]}


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({}, set()),
        ({"accuracy": 0.75}, {"accuracy", "fall"}),
        ({"sure_right": 0.7}, {"risk"}),
        ({"beyond": 0.25}, {"beyond"}),
        ({"beyond": 0.25, "recall": 0.1}, {"beyond", "recall"}),
        ({"held": 0.2}, {"held"}),
        ({"sure": 0.3}, {"unsure"}),
        ({"confidence": 2.5}, {"confidence"}),
    ],
)
def test_each_rule_rings_for_what_it_is_about_in_that_week(change, rules):
    rng = np.random.default_rng(1)
    test = judged(rng, 800)
    weeks = {f"week {n}": judged(rng, 300, **(change if n == 3 else {})) for n in (1, 2, 3)}
    found = rung(weeks, test)
    assert {rule for _, rule in found} >= rules
    assert {week for week, _ in found} <= {"week 3"}
    assert bool(found) == bool(rules)


def test_a_better_week_does_not_ring_but_rings_where_it_is_the_mirror():
    rng = np.random.default_rng(2)
    test = judged(rng, 800, accuracy=0.8)
    good, usual = judged(rng, 300, accuracy=0.97), judged(rng, 300, accuracy=0.8)
    assert rung({"one": good}, test) == set()
    assert ("two", "fall") in rung({"one": good, "two": usual}, test)


def test_where_nothing_changes_an_alarm_is_rare():
    """A/A: one set of messages divided at random into test rows and four weeks."""
    rng, names = np.random.default_rng(3), ["a", "b", "c", "d"]
    every = judged(rng, 1200)
    sure = every[every["automated"]]
    accepted, runs = float((sure["label"] != sure["truth"]).mean()), 0
    for _ in range(150):
        mixed = every.iloc[rng.permutation(len(every))]
        weeks = {name: mixed[800 + 100 * n :][:100] for n, name in enumerate(names)}
        runs += bool(rung(weeks, mixed[:800], accepted))
    # Of 150 one in twenty is 7.5; more than 13 have a chance of two in a hundred.
    assert runs <= 13


def test_drift_p_values_are_even_where_nothing_changes_and_small_where_words_do(monkeypatch):
    monkeypatch.setattr(alarms, "DRAWS", (99, 99))
    rng, names = np.random.default_rng(4), ["a", "b"]
    groups = np.repeat([alarms.TRAIN, alarms.TEST, *names], [150, 60, 60, 60])
    rows = pd.DataFrame({"text": texts(rng, 330), "cluster": np.arange(330)})
    rows["label"], rows["group"] = rng.choice(CLASSES, 330), groups
    vectors = rng.normal(size=(330, 4)).astype(np.float32)
    small = []
    for _ in range(20):
        mixed = rows.assign(group=rng.permutation(groups))
        small += [line["p_value"] <= 0.05 for line in alarms.of_drift(mixed, vectors, names)]
    assert len(small) == 20 * 2 * 4
    assert np.mean(small) <= 0.1
    new = rows["group"] == "b"
    moved = rows.assign(text=rows["text"].where(~new, rows["text"].str.replace("w0", "v0")))
    moved["label"] = moved["label"].where(~new, "card")
    vectors[new] += 1
    lines = {(one["period"], one["rule"]): one for one in alarms.of_drift(moved, vectors, names)}
    assert {rule for (week, rule), one in lines.items() if one["p_value"] <= 0.01} == {
        "vocabulary",
        "meaning",
        "mix",
    }
    assert lines["b", "mix"]["found"]["n"] == 60


def test_so_many_draws_that_one_signal_alone_can_ring():
    for periods in (1, 4, 8):
        tests = periods * len(alarms.RULES)
        fewest = 1 / (1 + alarms._draws(periods))
        assert fewest * tests < alarms.LEVEL
    assert alarms._draws(1) == 999
    assert alarms._draws(500) == 4999


def test_the_tests_are_exact_and_one_sided():
    table = [[8, 2], [10, 30]]
    expected = fisher_exact(table, alternative="greater").pvalue
    assert alarms.above((8, 10), (10, 40)) == pytest.approx(expected)
    assert alarms.above((0, 10), (40, 40)) == pytest.approx(1)


def test_shares_are_counted_among_the_rows_they_are_about_and_copies_count_once():
    rows = pd.DataFrame(
        [
            ("card", "card", 0.9, True, False, 1),
            ("card", "refund", 0.9, True, False, 2),
            ("card", "none", 0.9, True, False, 3),
            ("card", "none", 0.5, False, True, 4),
            ("card", np.nan, 0.5, False, False, 5),
        ],
        columns=["label", "truth", "confidence", "automated", "held", "cluster"],
    )
    found = rates.summary(rows, CLASSES, 0.95, 15, 0)
    values = {name: (share["value"], share["n"]) for name, share in found["shares"].items()}
    assert values == {
        "automated": (pytest.approx(0.6), 5),
        "unsure": (pytest.approx(0.2), 5),
        "held": (pytest.approx(0.2), 5),
        "accuracy": (pytest.approx(0.5), 2),
        "risk": (pytest.approx(2 / 3), 3),
        "recall": (pytest.approx(0.5), 2),
        "beyond": (pytest.approx(0.5), 4),
    }
    assert (found["messages"], found["labelled"], found["ece"]) == (5, 4, None)
    assert rates.counts(rows, CLASSES)["automated"] == (3, 5)
    copies = rates.counts(rows.assign(cluster=1), CLASSES)
    assert (copies["automated"], copies["accuracy"]) == ((1, 1), (0, 1))


def test_calibration_is_measured_where_enough_is_labelled():
    rng = np.random.default_rng(5)
    rows = judged(rng, 300, beyond=0.0).assign(confidence=0.9)
    right = (rows["label"] == rows["truth"]).mean()
    ece = rates.summary(rows, CLASSES, 0.95, 15, 0)["ece"]
    assert ece["value"] == pytest.approx(abs(right - 0.9))
    assert ece["n"] == 300
    assert rates.summary(rows[:99], CLASSES, 0.95, 15, 0)["ece"] is None


# The command, with a service that reads its decision in the text: "card 87 w01 w02 …".


class Readable(Service):
    """A message's first word is its class (``odd``: held back), its second the confidence."""

    def judge(self, texts):
        names = [text.split()[0] for text in texts]
        p = np.full((len(texts), 3), 0.0)
        for row, text in enumerate(texts):
            sure = int(text.split()[1]) / 100
            p[row] = (1 - sure) / 2
            p[row, CLASSES.index(names[row]) if names[row] in CLASSES else 0] = sure
        return p, np.array([name == "odd" for name in names])


def texts(rng, rows, words=WORDS):
    return [" ".join(rng.choice(words, rng.integers(8, 14))) for _ in range(rows)]


def messages(rng, rows, odd=0.05, words=WORDS, low=60):
    names = np.where(rng.random(rows) < odd, "odd", rng.choice(CLASSES, rows))
    sure = rng.integers(low, 100, rows)
    parts = zip(names, sure, texts(rng, rows, words), strict=True)
    return [f"{name} {number} {text}" for name, number, text in parts]


def truth(rng, said, accuracy=0.9):
    """Labels: the model is right that often; what it holds back is of no known class."""
    names = pd.Series([text.split()[0] for text in said], dtype=object)
    wrong = rng.random(len(names)) >= accuracy
    shifted = names.replace({"card": "parcel", "parcel": "refund", "refund": "card"})
    return names.where(~wrong, shifted).replace({"odd": "none"})


@pytest.fixture
def served(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with audited messages and a model; a file of four weeks comes beside them."""
    monkeypatch.setenv(DRAFT, str(project))
    rng = np.random.default_rng(6)
    said = messages(rng, 700)
    rows = pd.DataFrame({"id": [f"m{n}" for n in range(700)], "text": said})
    rows["label"], rows["split"] = truth(rng, said), ["train"] * 300 + ["test"] * 400
    store.write_frame("audit", "messages", rows)
    store.write_frame("audit", "gold", rows[["id"]].assign(gold=np.nan))
    frozen = {"test_id_sha256": id_hash(rows.loc[300:, "id"])}
    store.write_json("artifacts/audit/split.json", frozen)
    data = Data(name="shop", files=[], text="said", id="key", created_at="at", out_of_scope="none")
    settings = SimpleNamespace(
        data=data,
        audit=Audit(as_of="2026-01-01"),
        evaluate=Evaluate(target_risk=0.2),
        encoder=None,
        seed=0,
    )
    fit = {"threshold": 0.8, "predictions_sha256": "f00d"}
    model = Readable(SimpleNamespace(labels=CLASSES), None, fit, None)
    monkeypatch.setattr(watch, "recorded", lambda: settings)
    monkeypatch.setattr(watch.service, "load", lambda: model)
    monkeypatch.setattr(watch, "vectors", lambda new, encoder: None)
    return project


def arrive(folder: Path, weeks, accuracy=(0.9,) * 4, seed=7, labelled=1.0):
    """Write in.csv, messages of weeks one after the other, and told.csv with their labels."""
    rng = np.random.default_rng(seed)
    said = [text for week in weeks for text in week]
    day = np.concatenate(
        [7 * n + np.arange(len(week)) * 7 // len(week) for n, week in enumerate(weeks)]
    )
    frame = pd.DataFrame({"key": [f"k{n}" for n in range(len(said))], "said": said})
    frame["at"] = (pd.Timestamp("2026-03-01") + pd.to_timedelta(day, "D")).strftime("%Y-%m-%d")
    frame.to_csv(folder / "in.csv", index=False)
    told = pd.concat([truth(rng, week, a) for week, a in zip(weeks, accuracy, strict=True)])
    given = frame[["key"]].assign(label=told.to_numpy())
    given[rng.random(len(given)) < labelled].to_csv(folder / "told.csv", index=False)


def quiet(weeks=4, seed=8):
    rng = np.random.default_rng(seed)
    return [messages(rng, 100) for _ in range(weeks)]


def report(folder: Path):
    return json.loads((folder / "reports" / "watch" / "in.json").read_text())


def test_quiet_weeks_are_reported_without_an_alarm(served: Path):
    arrive(served, quiet())
    said, code = watch.run("in.csv", "told.csv")
    assert code == 0
    assert "no alarm" in said
    assert said.endswith("more: reports/watch/in.md")
    found = report(served)
    names = ["2026-03-01 to 2026-03-07", "2026-03-08 to 2026-03-14"]
    assert [*found["periods"]][:2] == names
    first = found["periods"][names[0]]
    week = [text.split() for text in quiet()[0]]
    automated = np.mean([name != "odd" and int(sure) >= 80 for name, sure, *_ in week])
    assert first["shares"]["automated"]["value"] == pytest.approx(automated)
    assert first["messages"] == first["labelled"] == 100
    assert found["test"]["messages"] == 400
    assert (found["labelled"], found["unknown_labels"], found["threshold"]) == (400, {}, 0.8)
    assert found["predictions_sha256"] == "f00d"
    assert {path.name for path in (served / "reports" / "watch").iterdir()} == {
        "in.md",
        "in.json",
        "in.png",
    }


def test_a_second_run_writes_the_same_bytes(served: Path):
    arrive(served, quiet())
    folder = served / "reports" / "watch"
    watch.run("in.csv", "told.csv")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    watch.run("in.csv", "told.csv")
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("last", "accuracy", "rules"),
    [
        ({}, 0.5, {"accuracy", "fall", "risk"}),
        ({"odd": 0.4}, 0.9, {"held", "beyond"}),
        ({"low": 30}, 0.9, {"unsure", "confidence"}),
        ({"words": [f"new{n:02d}" for n in range(60)]}, 0.9, {"vocabulary"}),
    ],
)
def test_a_changed_week_rings_and_the_page_says_what_to_do(served: Path, last, accuracy, rules):
    weeks = [*quiet(3), messages(np.random.default_rng(9), 120, **last)]
    arrive(served, weeks, (0.9, 0.9, 0.9, accuracy))
    said, code = watch.run("in.csv", "told.csv")
    assert code == 1
    found = report(served)["alarms"]
    assert {rule for one in found for rule in one["rules"]} >= rules
    assert {one["period"] for one in found} == {"2026-03-22 to 2026-03-28"}
    page = (served / "reports" / "watch" / "in.md").read_text()
    for one in found:
        assert one["todo"] in page
        assert f"ALARM {one['period']}: {one['says']}" in said
    assert not any(word in page for word in (*WORDS, "new0"))


def test_labels_of_a_part_and_none_at_all(served: Path):
    arrive(served, quiet(), labelled=0.3)
    assert watch.run("in.csv", "told.csv")[1] == 0
    part = report(served)
    assert 80 < part["labelled"] < 160
    assert watch.run("in.csv")[1] == 0
    none = report(served)
    assert none["labelled"] == 0
    rules = {line["rule"] for line in none["tests"]}
    assert rules == {"held", "unsure", "confidence", "length", "vocabulary", "mix"}
    page = (served / "reports" / "watch" / "in.md").read_text()
    assert "no labels" in page
    assert "By the labels" not in page


def test_without_a_threshold_nothing_is_automated_and_the_page_says_so(served: Path):
    watch.service.load().fitted["threshold"] = None
    arrive(served, quiet())
    assert watch.run("in.csv", "told.csv")[1] == 0
    found = report(served)
    assert not {"risk", "unsure"} & {line["rule"] for line in found["tests"]}
    assert found["test"]["shares"]["risk"]["value"] is None
    page = (served / "reports" / "watch" / "in.md").read_text()
    assert "nothing is automated" in page


def test_without_dates_blocks_are_compared_and_labels_go_by_row(served: Path):
    said = [text for week in quiet(5) for text in week]
    said[3] = " "
    pd.DataFrame({"said": said}).to_csv("in.csv", index=False)
    pd.DataFrame({"row": [1, 500], "label": ["card", "a new one"]}).to_csv("told.csv", index=False)
    watch.run("in.csv", "told.csv")
    found = report(served)
    assert [*found["periods"]] == ["rows 1 to 250", "rows 251 to 500"]
    assert (found["messages"], found["empty"], found["labelled"]) == (499, 1, 2)
    assert found["unknown_labels"] == {"a new one": 1}


GOOD = "key,said,at\nk1,card 90 hello,2026-03-01\nk2,card 90 you,2026-03-02T10:00:00\n"
TOLD = "key,label\nk1,card\n"


@pytest.mark.parametrize(
    ("file", "labels", "match"),
    [
        (None, TOLD, "in.csv is missing"),
        ("", TOLD, "in.csv is empty"),
        ("key,said,at\n", TOLD, "no message below"),
        ("key,words,at\nk1,card 90 x,2026-03-01\n", TOLD, "no column 'said'"),
        (GOOD.replace("2026-03-02T10:00:00", "soon"), TOLD, "row 2: 'soon' is not an ISO 8601"),
        ('key,said,at\nk1," ",2026-03-01\n', TOLD, "no message with text"),
        (GOOD, None, "told.csv is missing"),
        (GOOD, "key,team\nk1,card\n", "no column 'label'"),
        (GOOD, "label\ncard\n", "no column 'key'"),
        (GOOD, TOLD + "k9,card\n", "row 2: 'k9' is the id of no message"),
        (GOOD, TOLD + "k1,refund\n", "row 2: 'k1' is an id with two labels"),
        (GOOD, "key,label\nk1,\n", "no label in its column"),
        (GOOD.replace("k2", "k1"), TOLD, "row 2: 'k1' is the id of two messages"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(served: Path, file, labels, match):
    for name, content in (("in.csv", file), ("told.csv", labels)):
        if content is not None:
            (served / name).write_text(content)
    with pytest.raises(UserError, match=match):
        watch.run("in.csv", "told.csv")
    assert not (served / "reports").exists()


def test_a_report_that_cannot_be_written_is_said(served: Path):
    (served / "in.csv").write_text(GOOD)
    (served / "reports").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot be written"):
        watch.run("in.csv")


def test_verified_labels_of_the_test_rows_come_first(served: Path):
    rows = store.read_messages()
    assert watch.known_rows()[0]["truth"].tolist() == rows["label"].tolist()
    store.write_frame("audit", "gold", rows[["id"]].assign(gold="card"))
    known, verified = watch.known_rows()
    assert verified
    assert set(known["truth"]) == {"card"}


def test_vectors_are_left_out_where_the_audit_has_none(project: Path, monkeypatch):
    (project / "artifacts" / "audit").mkdir(parents=True)
    assert watch.vectors(["x"], None) is None
    (project / watch.embeddings.AUDIT).write_bytes(b"")
    with pytest.raises(UserError, match="cannot be read"):  # damaged is not absent
        watch.vectors(["x"], None)
    monkeypatch.setattr(watch.embeddings, "read", lambda: np.zeros((2, 3), dtype=np.float32))
    monkeypatch.setattr(watch, "SentenceEncoder", lambda _: lambda new: np.ones((len(new), 3)))
    assert watch.vectors(["x"], None).tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]


def test_weeks_begin_with_the_first_message_and_empty_ones_are_left_out():
    at = ["2026-03-04T23:00:00-02:00", "2026-03-12", "2026-03-05", "2026-03-26"]
    frame = pd.DataFrame({"row": [1, 2, 3, 4], "created_at": at})
    codes, names = incoming.periods(Path("in.csv"), frame)
    assert codes.tolist() == [0, 1, 0, 2]
    assert names == [
        "2026-03-05 to 2026-03-11",
        "2026-03-12 to 2026-03-18",
        "2026-03-26",
    ]


def test_names_from_files_are_no_markup(served: Path):
    arrive(served, quiet(1), (0.9,))
    told = pd.read_csv("told.csv")
    told.loc[0, "label"] = "[x](y) <b> | `z`"
    told.to_csv("told.csv", index=False)
    (served / "in.csv").rename(served / "a`b|c.csv")
    watch.run("a`b|c.csv", "told.csv")
    page = (served / "reports" / "watch" / "a_b_c.md").read_text()
    assert "<b>" not in page
    assert "[x]" not in page
    assert "a`b" not in page


def test_the_figure_has_each_period_with_its_intervals(served: Path):
    arrive(served, quiet(6), (0.9,) * 6)
    watch.run("in.csv", "told.csv")
    left, right = plots.periods(report(served)).axes
    assert len(left.get_xticklabels()) == 6
    assert left.lines[0].get_label() == "accuracy"
    assert len(right.get_legend().get_texts()) == 4
    watch.run("in.csv")
    left, _ = plots.periods(report(served)).axes
    assert left.texts[0].get_text() == "no labels given"


def test_percentages_without_a_row_are_a_dash():
    assert watch_page.percent({"value": None, "n": 0}) == "–"
    score = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9}
    assert watch_page.percent(score, count=True) == "50.0 (40.0 to 60.0, n = 9)"


def test_the_command_line_takes_labels_or_none():
    from roadworthy.__main__ import parser

    options = parser().parse_args(["watch", "in.csv"])
    assert (options.file, options.labels) == ("in.csv", None)
    assert parser().parse_args(["watch", "in.csv", "--labels", "t.csv"]).labels == "t.csv"
