"""Removing HTML: only what is surely markup, everything, or nothing."""

import pytest

from mlm.data.texts.html_markup import has_escaped_tag, remove_html


@pytest.mark.parametrize(
    ("raw", "auto", "yes"),
    [
        ("one<br /><br>two<BR/>three", "one  two three", "one  two three"),
        ("a <i>very</i> good one", "a very good one", "a very good one"),
        ("<s>struck</s> words, price <u>low</u>", "struck words, price low", None),
        ("List<i> items and vector<b> too", "List<i> items and vector<b> too", None),
        ("if a<b and c>d then stop, 3 < 4 > 2", "if a<b and c>d then stop, 3 < 4 > 2", None),
        ('<a href="x">here</a> <font color=red>red', "here red", "here red"),
        ("one<p>two<hr>three", "one two three", "one two three"),
        ("junk? <b>WARNING: <b/> no", "junk? WARNING:  no", "junk? WARNING:  no"),
        ("fish &amp; chips &#39;here&#39;", "fish & chips 'here'", "fish & chips 'here'"),
        ("Use the &lt;br&gt; tag", "Use the &lt;br&gt; tag", "Use the   tag"),
        ("a &lt;br /&gt; b", "a &lt;br /&gt; b", "a   b"),
        ("Use &#60;i&#62; and &lt;T&gt;", "Use &#60;i&#62; and &lt;T&gt;", "Use  and <T>"),
        ("2 &lt; 3 &gt; 1", "2 < 3 > 1", "2 < 3 > 1"),
        ("AT&T, R&D; <grin>", "AT&T, R&D; <grin>", "AT&T, R&D; <grin>"),
    ],
)
def test_remove_html(raw, auto, yes):
    assert remove_html(raw, "auto") == auto
    assert remove_html(raw, "no") == raw
    if yes is not None:
        assert remove_html(raw, "yes") == yes


def test_tags_without_a_partner_are_removed_by_yes_alone():
    assert remove_html("vector<b> and Map<i>", "yes") == "vector and Map"
    assert remove_html("ends</i> here", "auto") == "ends</i> here"


def test_escaped_tags_are_found():
    assert has_escaped_tag("the &lt;br&gt; tag") and has_escaped_tag("a &#60;i&#62; b")
    assert not has_escaped_tag("2 &lt; 3 &gt; 1") and not has_escaped_tag("of type &lt;T&gt;")
