"""A report as people see it loads nothing from elsewhere and opens nothing but our own pages, whatever its texts hold."""

from html.parser import HTMLParser

import pytest

from app.ui import report
from core.runtime.agents import facts as F
from core.runtime.agents import proposals, prose

HOST = "https://evil.example"
HOSTILE = (
    f"![x]({HOST}/p.png)",
    f"[open]({HOST})",
    f"<img src={HOST}/p.png>",
    f"<a href='{HOST}'>x</a>",
    f'"><script src="{HOST}/x.js"></script>',
    f"<style>@import '{HOST}/x.css'</style>",
    f"<svg onload=fetch('{HOST}')>",
    f"![x][1]\n\n[1]: {HOST}/p.png",
    f"<{HOST}>",
    f"javascript:fetch('{HOST}')",
    f"url({HOST}/p.png)",
    "<!channel> <@U0TONY00001>",
)
OURS = ("/run?", "/deal?", "/pipeline", "/client?")
TAGS = frozenset(
    ["h3", "p", "ul", "ol", "li", "a", "strong", "table", "thead", "tbody", "tr", "th", "td", "div", "span", "b", "time", "small"]
)
LOADING = {"src", "srcset", "background", "poster", "data", "action", "formaction", "style", "onload", "onerror", "onclick"}


class Tags(HTMLParser):
    """Every tag and attribute of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def harmless(html: str) -> None:
    for tag, attributes in Tags(html).tags:
        assert tag in TAGS, tag
        assert not LOADING - {"style"} & set(attributes), (tag, attributes)
        assert "url(" not in (attributes.get("style") or "")
        assert (attributes.get("href") or "/run?").startswith(OURS), attributes


@pytest.mark.parametrize("text", HOSTILE)
def test_neither_the_prose_nor_a_fact_can_load_or_open_anything(text):
    fact = F.text("lab.deals.top", "Top deal", text, "lab.deals")
    written = f"## {text}\n{text} and [[lab.deals.top]].\n- **{text}** [[lab.deals.top]]\n1. [[lab.gone]] {text}"
    blocks = prose.blocks(written, [fact])
    harmless(report.html(blocks, 7))


@pytest.mark.parametrize("text", HOSTILE)
def test_rows_behind_a_fact_are_shown_as_text(text):
    harmless(report.rows_html([{"deal": text, text: "a column", "id": 4, "href": "/deal?deal=4"}]))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_a_text_from_outside_can_be_clicked_where_it_is_sent(text):
    fact = F.text("lab.deals.top", "Top deal", text, "lab.deals")
    sent = proposals.filled("Look at [[lab.deals.top]] today.", {fact.key: fact})
    assert "://" not in sent
    assert "evil.example/" not in sent
    assert "javascript:" not in sent


def test_the_check_itself_sees_a_link():
    with pytest.raises(AssertionError):
        harmless(f'<p><a href="{HOST}">x</a></p>')
    with pytest.raises(AssertionError):
        harmless(f'<img src="{HOST}">')
