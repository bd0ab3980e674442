"""Our browser components: their files in frontend/ are read once, and registered with the running Streamlit."""

from functools import lru_cache
from pathlib import Path

from streamlit.components.v2 import component
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.types import ComponentRenderer

FRONTEND = Path(__file__).parent / "frontend"

# name: (script, styles, markup)
_COMPONENTS: dict[str, tuple[str, str | None, str | None]] = {
    "ops_table": ("table.js", "table.css", '<div class="w"></div>'),
    "ops_patch": ("patch.js", None, None),
    "ops_pulse": ("pulse.js", "pulse.css", '<div class="p" role="status"></div>'),
    "ops_chrome": ("chrome.js", "chrome.css", '<div class="c"></div>'),
    "ops_steps": ("steps.js", "steps.css", '<div class="g"></div>'),
    "ops_calendar": ("calendar.js", "calendar.css", '<div class="cal"></div>'),
}
_renderers: dict[str, ComponentRenderer] = {}


@lru_cache(maxsize=32)
def source(name: str) -> str:
    """The text of a file in frontend/."""
    return (FRONTEND / name).read_text()


def renderer(name: str) -> ComponentRenderer:
    """The mounting command of one of our components."""
    # a test app brings a manager of its own, so what is registered is asked each time
    if name not in _renderers or get_bidi_component_manager().get(name) is None:
        js, css, markup = _COMPONENTS[name]
        _renderers[name] = component(name, html=markup, css=source(css) if css else None, js=source(js))
    return _renderers[name]
