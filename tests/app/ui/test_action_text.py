"""Text as it will leave: nothing hides in it, and nothing of it becomes markup of ours."""

import pytest

from app.ui import action_text


@pytest.mark.parametrize("char", ["\u202e", "\u200b", "\u2066", "\ufeff", "\u00ad", "\x00", "\x1b", "\u3164", "\u2028", "\ue000"])
def test_what_cannot_be_seen_is_shown_as_its_number(char):
    assert f"U+{ord(char):04X}" in action_text.visible(f"a{char}b")
    assert f"⟨U+{ord(char):04X}⟩" in action_text.flat(f"a{char}b")
    assert char not in action_text.slack(f"a{char}b")
    assert len(action_text.hidden(f"a{char}b{char}")) == 1


@pytest.mark.parametrize("text", ["plain", "tab\tline\nend", "👩‍💻 emoji", "naïve café 東京", "a@\u2060here"])
def test_honest_text_stays_as_it_is(text):
    assert action_text.hidden(text) == []


def test_slack_markup_becomes_what_slack_shows():
    assert action_text.slack("*a* _b_ ~c~ `d`") == "<b>a</b> <i>b</i> <s>c</s> <code>d</code>"
    assert action_text.slack("2*3*4 snake_case_name") == "2*3*4 snake_case_name"
    assert action_text.slack("&lt;script&gt;") == "&lt;script&gt;"
    assert "<script>" not in action_text.slack("<script>alert(1)</script> `<b>` ```<i>```")


def test_a_label_never_hides_where_a_link_leads():
    html = action_text.slack("<https://evil.example/x|our site>")
    assert "our site" in html
    assert "→ https://evil.example/x" in html
    assert "href" not in html  # nobody clicks on it while deciding


def test_calling_everybody_is_said():
    assert "notifies everybody there" in action_text.slack("<!channel> hello")
    assert "notifies" not in action_text.slack("channel hello")


def test_place_holders_in_a_text_are_only_text():
    assert action_text.slack("\x000\x00 `x` \x009\x00").count("<code>") == 1


def test_letters_of_other_scripts_in_an_address():
    assert action_text.scripts("dаve@company.example") == "It has Cyrillic letters, which can look like Latin ones."
    assert action_text.scripts("josé@company.example") is None


def test_an_html_part_is_read_as_its_reader_sees_it():
    html = "<head><title>t</title><style>p{}</style></head><p>Hi <b>Dana</b></p><ol><li>one</li><li>two</li></ol><a href='https://x.example'>go</a><img src=q>"  # noqa: E501
    said, links, images = action_text.from_html(html)
    assert action_text.same_words(said, "Hi Dana\n\n1. one\n2. two\ngo")
    assert not action_text.same_words(said, "Hi Dana\n\n1. one\n2. three\ngo")
    assert (links, images) == ([("go", "https://x.example")], ["q"])
