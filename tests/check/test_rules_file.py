"""Rules files are read strictly: what is not understood is refused, with its line and what was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.check.gate.expectations import Range
from glancetrace.check.gate.reading import parse_rules, read_rules
from glancetrace.check.gate.rules import ALL_RULES, EXPECTATIONS, find_rule
from glancetrace.check.gate.toml_places import find_places
from glancetrace.errors import UsageError

WHOLE = """
fail_on = "warning"
[capture]
files = ["a.pcap", "b.pcap"]
keylog = "keys.txt"
max_loss = "0.5 %"
max_undecrypted = 2
[ignore]
lookup-not-found = "clients do that"
gt020 = "and that"
[[image]]
name = "overcloud-*"
count = { min = 1, max = 3 }
statuses = ["queued", "saving", "active"]
forbidden = ["killed"]
max_duration = { saving = "30s" }
[images]
unexpected = false
[[call]]
operation = "image-upload"
count = 3
statements = 44
p95_duration = "1.5s"
[errors]
allow = [{ operation = "image-show", status = [404, "5xx"], max = 2 }]
[sql]
full_scan = false
[[sql.forbid]]
pattern = "^DELETE FROM images"
"""


def test_everything_is_taken() -> None:
    rules = parse_rules(WHOLE, "folder/rules.toml")
    assert rules.fail_on == "warning"
    assert rules.source.files == ("folder/a.pcap", "folder/b.pcap")
    assert rules.source.keylogs == ("folder/keys.txt",)
    assert (rules.quality.max_loss, rules.quality.max_undecrypted) == (0.005, 2)
    assert rules.ignored == {"lookup-not-found": "clients do that", ALL_RULES_BY_NUMBER["GT020"]: "and that"}
    (image,) = rules.images
    assert (image.line, image.count, image.max_duration) == (11, Range(1, 3), {"saving": 30_000_000_000})
    assert image.matches("1", "overcloud-full")
    assert not image.matches("1", None)
    (call,) = rules.calls
    assert (call.count, call.statements, call.p95_duration) == (Range(3, 3), Range(44, 44), 1_500_000_000)
    assert rules.allowed_errors[0].matches("image-show", "503")
    assert not rules.allowed_errors[0].matches("image-list", "404")
    assert (rules.full_scan_line, rules.autocommit_line) == (27, None)
    assert rules.forbidden_sql[0].line == 28


ALL_RULES_BY_NUMBER = {rule.number: name for name, rule in ALL_RULES.items()}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("fail_onn = 'error'", 1, ("fail_onn", "did you mean fail_on?")),
        ("\n[[image]]\nname = 'x'\nstatusses = ['active']", 4, ("image.statusses", "did you mean statuses?")),
        ("[[image]]\nname = 'x'\nstatuses = ['activ']", 3, ("'activ' is no status", "did you mean active?")),
        ("[[image]]\nname = 'x'\n[[image]]\nstatuses = ['active']", 3, ("says neither name nor id",)),
        ("[[image]]\nname = 'x'\nmax_duration = { saving = '3 weeks' }", 3, ("'3 weeks' is no duration",)),
        ("[[image]]\nname = 'x'\ncount = { min = 3, max = 1 }", 3, ("image.count",)),
        ("[[call]]\noperation = 'image-*'\ncount = -1", 3, ("call.count", "not negative")),
        (
            "[[call]]\noperation = 'image-uplaod'\ncount = 0",
            2,
            ("no operation is called", "did you mean image-upload?"),
        ),
        ("[[call]]\noperation = 'image-upload'\nservice = 'glnace'", 3, ("call.service", "glance or keystone")),
        ("[[call]]\noperation = 'image-upload'\n", 1, ("expects nothing of image-upload", "max_statements")),
        ("[[call]]\ncount = 1", 1, ("says no operation",)),
        ("[[call]]\noperation = 'image-*'\nstatements = 3\nmax_statements = 3", 4, ("exclude each other",)),
        ("[call]\noperation = 'image-*'", 1, ("no array of tables", "[[call]]")),
        ("[ignore]\nGT999 = 'x'", 2, ("GT999", "is no rule")),
        ("[ignore]\nimage-stuk = 'x'", 2, ("did you mean image-stuck?",)),
        ("[ignore]\nimage-stuck = ''", 2, ("lacks the reason",)),
        ("[errors]\nallow = [{ operation = 'image-*', status = 999 }]", 2, ("status codes",)),
        ("[capture]\nmax_loss = '2'", 2, ("a share",)),
        ("[sql]\n[[sql.forbid]]\npattern = '('", 3, ("no regular expression",)),
        ("[sql]\n[[sql.forbid]]\nreason = 'x'", 2, ("needs one of pattern and digest",)),
        ("fail_on = 'fatal'", 1, ("info or warning or error",)),
    ],
)
def test_mistakes_are_named_with_their_line(text: str, line: int, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rules(text, "rules.toml")
    assert caught.value.where == f"rules.toml: line {line}"
    for word in words:
        assert word in str(caught.value)


def test_what_is_no_toml_is_told(tmp_path: object) -> None:
    with pytest.raises(UsageError, match=r"is no TOML: .*line 1"):
        parse_rules("a = = b", "rules.toml")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_rules(f"{tmp_path}/none.toml")


KNOWN = {"fail_on", "capture", "ignore", "image", "images", "call", "errors", "sql"}


@given(st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda key: key not in KNOWN), st.integers())
def test_no_unknown_key_is_left_out_silently(key: str, value: int) -> None:
    for text, line in ((f"{key} = {value}", 1), (f"[sql]\n{key} = {value}", 2), (f"[capture]\n{key} = {value}", 2)):
        if key not in ("forbid", "files", "keylog", "rsa_key", "api_log", "port", "max_loss"):
            with pytest.raises(UsageError, match=rf"line {line}: (\w+\.)?{key}: is not known"):
                parse_rules(text, "rules.toml")


def test_places_know_arrays_and_skip_long_texts() -> None:
    places = find_places('a = """\nb = 1\n"""\n[[x]]\nc = 1\n[[x]]\n"d e" = 2\n[y.z]\nf.g = 1')
    assert places == {
        ("a",): 1, ("x", 0): 4, ("x", 0, "c"): 5, ("x", 1): 6, ("x", 1, "d e"): 7, ("y", "z"): 8,
        ("y", "z", "f", "g"): 9,
    }  # fmt: skip


def test_numbers_are_for_good() -> None:
    """A number that is out in the world stays with its rule: add new ones at the end, change none of these."""
    numbers = [rule.number for rule in ALL_RULES.values()]
    assert len(set(numbers)) == len(numbers)
    assert {name: ALL_RULES[name].number for name in ("image-stuck", "server-error", "capture-incomplete")} == {
        "image-stuck": "GT001", "server-error": "GT017", "capture-incomplete": "GT029",
    }  # fmt: skip
    assert [rule.number for rule in EXPECTATIONS.values()] == [f"GT{n}" for n in range(101, 113)]
    assert find_rule(" gt001 ") == find_rule("Image-Stuck") == ALL_RULES["image-stuck"]
    assert find_rule("GT000") is None
