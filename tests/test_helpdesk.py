"""The embedded data set: what its card promises, held against the files.

Every recorded defect is there and of its kind; nothing real is in it; outside the recorded pairs
no two messages are alike.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from roadworthy import contract
from roadworthy.duplicates import find, jaccard, normalise, shingles

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "data" / "helpdesk"
AGREEMENT = contract.read(HOME / "contract.odcs.yaml")
TABLES = {str(part.physicalName): part for part in AGREEMENT.schema_ or []}
FRAMES = {name: pd.read_csv(HOME / name, dtype=str, keep_default_na=False) for name in TABLES}
MESSAGES = FRAMES["messages.csv"].set_index("id")
MESSAGES["created_at"] = pd.to_datetime(MESSAGES["created_at"])
PLANTED, TRAFFIC = FRAMES["planted.csv"], FRAMES["traffic.csv"]
KINDS = dict(list(PLANTED.groupby("kind")))
PRIVATE = PLANTED[PLANTED["kind"].str.startswith("pii_")].groupby("id")["detail"].agg(list)
INTENTS = set(
    contract.allowed(
        next(part for part in TABLES["messages.csv"].properties or [] if part.name == "label")
    )
)
SHIFT = pd.Timestamp("2026-09-01")
EMAIL = re.compile(r"[\w.+-]+@(?:[\w-]+\.)+\w+")
NUMBER = re.compile(r"(?<![\w-])\+?\(?\d[\d ()-]{8,}\d(?![\w-])")
FICTIONAL = re.compile(
    r"(?:\+44|0)7700900\d{3}|02079460\d{3}|1?\d{3}55501\d\d|(?:\+61|0)491570\d{3}"
)
"""Phone numbers that regulators set aside for fiction (UK, US, Australia), digits only."""
MOJIBAKE = re.compile("[âÃÂ][\u0080-\u00ff€™\u0153\u201a-\u2122]|\ufffd")


def digits(text: str) -> str:
    return re.sub(r"[^\d+]", "", text)


def luhn(number: str) -> bool:
    places = [int(digit) for digit in reversed(digits(number))]
    return (sum(places[::2]) + sum(sum(divmod(2 * n, 10)) for n in places[1::2])) % 10 == 0


def iban(number: str) -> bool:
    plain = number.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def similarity(one: str, other: str) -> float:
    texts = [normalise(MESSAGES.loc[name, "text"]) for name in (one, other)]
    return jaccard(shingles(texts[0], 5), shingles(texts[1], 5))


def same(one: str, other: str) -> bool:
    return normalise(MESSAGES.loc[one, "text"]) == normalise(MESSAGES.loc[other, "text"])


def says(pattern: str) -> Callable[[str, str], bool]:
    return lambda name, _: re.search(pattern, MESSAGES.loc[name, "text"], re.I) is not None


def mislabelled(name: str, detail: str) -> bool:
    return MESSAGES.loc[name, "gold_label"] == detail != MESSAGES.loc[name, "label"]


def contains(name: str, detail: str) -> bool:
    return detail in MESSAGES.loc[name, "text"]


def is_new(name: str) -> bool:
    return bool(MESSAGES.loc[name, "created_at"] >= SHIFT)


# What makes a row of planted.csv true: id and detail in, whether the defect is there out.
TRUE: dict[str, Callable[[str, str], bool]] = {
    "broken_encoding": lambda name, _: MOJIBAKE.search(MESSAGES.loc[name, "text"]) is not None,
    "changed_wording": lambda name, _: (
        is_new(name) and MESSAGES.loc[name, "gold_label"] == "return_label"
    ),
    "conflicting_label": lambda one, other: (
        MESSAGES.loc[one, "label"] != MESSAGES.loc[other, "label"] and similarity(one, other) >= 0.8
    ),
    "exact_duplicate": same,
    "hard_slice": lambda name, _: MESSAGES.loc[name, "language_variety"] == "en-SG",
    "injection": lambda name, detail: bool(detail) and len(MESSAGES.loc[name, "text"]) > 20,
    "label_habit": mislabelled,
    "label_neighbour": mislabelled,
    "label_tired": lambda name, detail: (
        mislabelled(name, detail) and MESSAGES.loc[name, "annotator"] == "agent-3"
    ),
    "label_typo": lambda name, detail: (
        mislabelled(name, detail)
        and difflib.get_close_matches(MESSAGES.loc[name, "label"], INTENTS, n=1) == [detail]
    ),
    "near_duplicate": lambda one, other: similarity(one, other) >= 0.8 and not same(one, other),
    "new_carrier": lambda name, _: is_new(name) and says("swiftlark")(name, _),
    "new_intent": lambda name, _: (
        is_new(name) and MESSAGES.loc[name, "gold_label"] == "pod_subscription"
    ),
    "new_product": lambda name, _: is_new(name) and says(r"\bgrow\b|\bpods?\b")(name, _),
    "pii_address": contains,
    "pii_card_invalid": lambda name, detail: contains(name, detail) and not luhn(detail),
    "pii_card_valid": lambda name, detail: contains(name, detail) and luhn(detail),
    "pii_email": contains,
    "pii_iban": lambda name, detail: contains(name, detail) and iban(detail),
    "pii_name": contains,
    "pii_phone": contains,
    "straddling_duplicate": lambda one, other: (
        similarity(one, other) >= 0.8
        and abs(MESSAGES.loc[one, "created_at"] - MESSAGES.loc[other, "created_at"]).days >= 60
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_file_keeps_the_contract_but_for_the_planted_typos(name: str):
    broken = contract.failures(FRAMES[name], TABLES[name])
    expected = sorted(KINDS["label_typo"]["id"]) if name == "messages.csv" else []
    assert sorted(FRAMES[name].loc[broken["index"].astype(int), "id"]) == expected
    assert set(broken["column"]) <= {"label"}


def test_size_intents_months_and_slices():
    assert len(MESSAGES) >= 3000
    assert len(INTENTS - {"out_of_scope"}) >= 24
    assert MESSAGES["gold_label"].value_counts().reindex(sorted(INTENTS)).min() >= 50
    assert MESSAGES["created_at"].dt.to_period("M").nunique() == 12
    assert MESSAGES["created_at"].is_monotonic_increasing
    for column, most in (("channel", 5), ("language_variety", 8), ("customer_tier", 3)):
        assert MESSAGES[column].value_counts().gt(30).sum() == most


@pytest.mark.parametrize("kind", TRUE)
def test_planted_rows_are_there_and_of_their_kind(kind: str):
    rows = KINDS[kind]
    assert len(rows) >= 8
    assert rows["id"].isin(MESSAGES.index).all()
    wrong = [
        (n, d) for n, d in zip(rows["id"], rows["detail"], strict=True) if not TRUE[kind](n, d)
    ]
    assert wrong == []


def test_every_kind_is_checked():
    assert set(KINDS) == set(TRUE)


def test_wrong_labels_are_eight_in_a_hundred_and_all_recorded():
    wrong = set(MESSAGES.index[MESSAGES["label"] != MESSAGES["gold_label"]])
    recorded = set(PLANTED.loc[PLANTED["kind"].str.startswith("label_"), "id"])
    assert wrong == recorded
    assert 0.075 <= len(wrong) / len(MESSAGES) <= 0.085


def test_outside_the_recorded_pairs_no_two_messages_are_alike():
    texts = pd.concat([MESSAGES["text"], TRAFFIC.set_index("id")["text"]])
    rows = find(texts, threshold=0.6).rows
    recorded = set(PLANTED.loc[PLANTED["kind"].str.endswith("_duplicate"), "id"])
    alike = set(texts.index[rows["exact"] | rows["near"]])
    assert len(alike - recorded) / len(texts) <= 0.02
    assert recorded <= alike


def shared_openings(texts: pd.Series) -> float:
    """Share of messages whose first four words open another message, too."""
    starts = texts.map(lambda text: tuple(re.findall(r"\w+", text.lower())[:4]))
    return float(starts[starts.map(len) == 4].duplicated(keep=False).mean())


def test_no_template_shows():
    recorded = set(PLANTED.loc[PLANTED["kind"].str.endswith("_duplicate"), "id"])
    for texts in (MESSAGES.loc[~MESSAGES.index.isin(recorded), "text"], TRAFFIC["text"]):
        assert shared_openings(texts) <= 0.06
    template = pd.Series([f"hello where is my {thing} please" for thing in ("lamp", "rug", "bin")])
    assert shared_openings(template) == 1


def every_text() -> pd.Series:
    articles = {path.name: path.read_text() for path in (HOME / "articles").glob("*.md")}
    replies = FRAMES["answers.csv"].set_index("id")["reply"]
    traffic = TRAFFIC.set_index("id")["text"]
    return pd.concat([MESSAGES["text"], traffic, replies, pd.Series(articles)])


def unrecorded(name: str, text: str) -> list[str]:
    """Addresses and long numbers in a text that planted.csv does not have; no dates, no orders."""
    for value in [*PRIVATE.get(name, []), *re.findall(r"20\d\d-[\d-]+", text)]:
        text = text.replace(value, "")
    numbers = [number for number in NUMBER.findall(text) if len(digits(number).strip("+")) >= 10]
    return [*EMAIL.findall(text), *numbers]


def test_addresses_and_numbers_cannot_be_anybodys():
    for name, text in every_text().items():
        for address in EMAIL.findall(text):
            assert re.search(r"@(?:[\w-]+\.)*example\.(?:com|org|net)$", address), (name, address)
        for number in set(unrecorded(name, text)) - set(EMAIL.findall(text)):
            assert FICTIONAL.fullmatch(digits(number)), (name, number)
    for number in KINDS["pii_phone"]["detail"]:
        assert FICTIONAL.fullmatch(digits(number)), number


def test_all_structured_personal_data_is_recorded():
    found = {name: unrecorded(name, text) for name, text in MESSAGES["text"].items()}
    injected = set(KINDS["injection"]["id"])
    assert {name: values for name, values in found.items() if values and name not in injected} == {}
    assert unrecorded("hd-0001", "call +44 7700 900123 or a@b.example.org, order QH-123456") == [
        "a@b.example.org",
        "+44 7700 900123",
    ]


def test_three_readers_labelled_the_same_messages():
    votes = FRAMES["annotations.csv"].pivot(index="id", columns="annotator", values="label")
    assert votes.shape == (300, 3)
    assert votes.notna().all(axis=None)
    gold = MESSAGES["gold_label"].reindex(votes.index)
    right = votes.eq(gold, axis=0).mean()
    assert right.between(0.7, 0.99).all()
    assert 0.55 <= (votes.nunique(axis=1) == 1).mean() <= 0.9


def test_the_articles_cover_every_intent():
    heads = [
        yaml.safe_load(path.read_text(encoding="utf-8").split("---\n")[1])
        for path in sorted((HOME / "articles").glob("*.md"))
    ]
    assert len(heads) >= 40
    assert [head["id"] for head in heads] == [f"kb-{n:02d}" for n in range(1, len(heads) + 1)]
    assert {key for head in heads for key in head} == {"id", "title", "intents", "updated"}
    assert {intent for head in heads for intent in head["intents"]} == INTENTS - {"out_of_scope"}


def test_answers_point_to_articles_about_the_intent():
    answers = FRAMES["answers.csv"]
    heads = {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8").split("---\n")[1])
        for path in (HOME / "articles").glob("*.md")
    }
    assert len(answers) >= 300
    assert answers["reply"].is_unique
    gold = MESSAGES["gold_label"].reindex(answers["id"])
    fits = [
        intent in heads[article]["intents"]
        for intent, article in zip(gold, answers["article"], strict=True)
    ]
    assert sum(fits) / len(fits) >= 0.85


def test_the_traffic_is_later_in_order_and_its_labels_are_apart():
    times = pd.to_datetime(TRAFFIC["created_at"])
    assert len(TRAFFIC) >= 1000
    assert times.is_monotonic_increasing
    assert times.min() > MESSAGES["created_at"].max()
    assert "label" not in TRAFFIC.columns
    assert FRAMES["traffic_labels.csv"]["id"].tolist() == TRAFFIC["id"].tolist()


def test_the_card_counts_right():
    stated = re.findall(r"^\| `([\w.]+/?)` \| ([\d,]+) \|", (HOME / "README.md").read_text(), re.M)
    counted = {name: len(frame) for name, frame in FRAMES.items()}
    counted["articles/"] = len(list((HOME / "articles").glob("*.md")))
    counted["synthetic.csv"] = len(pd.read_csv(HOME / "synthetic.csv"))
    for name in ("behaviour.yaml", "labelling_functions.yaml"):
        counted[name] = len(yaml.safe_load((HOME / name).read_text()))
    assert {name: int(number.replace(",", "")) for name, number in stated} == counted


def test_the_last_two_months_are_different():
    late = MESSAGES["created_at"] >= SHIFT
    new = set(PLANTED.loc[PLANTED["kind"].str.startswith(("new_", "changed_")), "id"])
    share = MESSAGES.index[late].isin(new).mean()
    assert share >= 0.2
    assert not MESSAGES.loc[~late, "text"].str.contains("swiftlark|grow one", case=False).any()
    assert "pod_subscription" not in set(MESSAGES.loc[~late, "gold_label"])
    assert not MESSAGES.loc[late, "text"].str.contains("@parcelwing").any()


def test_simple_methods_leave_something_to_do():
    """On the verified labels of the committed run, which dvc.lock ties to this data."""
    evaluated = json.loads((ROOT / "reports" / "metrics" / "evaluate.json").read_text())
    for name, most in (("tfidf", 0.93), ("probe", 0.97)):
        assert 0.4 < evaluated["models"][name]["accuracy_gold"]["value"] <= most, name


def test_synthetic_rows_and_rules_are_about_the_intents():
    made = pd.read_csv(HOME / "synthetic.csv", dtype=str)
    intents = set(MESSAGES["gold_label"]) - {"out_of_scope"}
    assert made["label"].value_counts().to_dict() == dict.fromkeys(intents, 6)
    assert made["id"].is_unique
    assert not set(made["text"].str.lower()) & set(MESSAGES["text"].str.lower())
    rules = yaml.safe_load((HOME / "labelling_functions.yaml").read_text())
    assert {rule["label"] for rule in rules} == intents
    assert len({rule["name"] for rule in rules}) == len(rules) == 76


def test_behavioural_tests_are_about_the_intents():
    tests = yaml.safe_load((HOME / "behaviour.yaml").read_text())
    intents = set(MESSAGES["gold_label"]) - {"out_of_scope"}
    assert {test["label"] for test in tests if test["kind"] == "minimum"} == intents
    assert {test["kind"] for test in tests} == {"invariance", "direction", "minimum"}
    texts = [text for test in tests for text in test.get("texts", [])]
    assert len(set(texts)) == len(texts) == 4 * len(intents)
    assert not {text.lower() for text in texts} & set(MESSAGES["text"].str.lower())
