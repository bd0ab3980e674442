"""Our browser components: their files in frontend/, how the browser gets them, and how they are mounted.

Streamlit sends a component's script and styles along each time it is drawn. Ours are kept out of that: what is sent is a
line that imports one small bundle from /ui/, which the browser keeps for good under a name that carries its hash.
"""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from streamlit.components.v2 import component
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.types import ComponentRenderer

FRONTEND = Path(__file__).parent / "frontend"

_MARKUP: dict[str, str] = {
    "table": '<div class="w"></div>',
    "patch": "",
    "pulse": '<div class="p" role="status"></div>',
    "chrome": '<div class="c"></div>',
    "stop": "<i></i>",
    "search": '<div class="q"></div>',
    "steps": '<div class="g"></div>',
    "calendar": '<div class="cal"></div>',
}
"""Every component: the name of its script and styles in frontend/, and its markup."""
_NO_LOSS = frozenset({"find", "open", "text"})
_ENTRY = "export default function"
_renderers: dict[str, ComponentRenderer] = {}

# Streamlit takes one line that looks like a path for a path
_LOADER = """export default c=>
import(location.origin+%s).then(m=>m.mount(%s,c))
"""
_MOUNT = """
export function mount(name,c){const [fn,css]=PARTS[name],root=c.parentElement;
 if(css&&root.adoptedStyleSheets&&!root.adoptedStyleSheets.includes(css))root.adoptedStyleSheets.push(css);return fn(c)}
"""


@lru_cache(maxsize=32)
def source(name: str) -> str:
    """The text of a file in frontend/."""
    return (FRONTEND / name).read_text()


@lru_cache(maxsize=1)
def bundle() -> tuple[str, str]:
    """(address, text) of the one module with every component's script and styles in it."""
    parts = []
    for name in _MARKUP:
        script = source(f"{name}.js")
        if script.count(_ENTRY) != 1:
            raise ValueError(f"{name}.js must have one `{_ENTRY}`")
        styles = json.dumps(source(f"{name}.css")) if (FRONTEND / f"{name}.css").exists() else "null"
        parts.append(f"{name}:[(()=>{{{script.replace(_ENTRY, 'return function')}}})(),sheet({styles})]")
    text = (
        "const sheet=css=>{if(!css)return null;const s=new CSSStyleSheet();s.replaceSync(css);return s};\n"
        f"const PARTS={{{','.join(parts)}}};{_MOUNT}"
    )
    return f"/ui/kit.{hashlib.sha256(text.encode()).hexdigest()[:12]}.js", text


def renderer(name: str) -> ComponentRenderer:
    """The mounting command of one of our components."""
    full = f"ops_{name}"
    # a test app brings a manager of its own, so what is registered is asked each time
    if name not in _renderers or get_bidi_component_manager().get(full) is None:
        loader = _LOADER % (json.dumps(bundle()[0]), json.dumps(name))
        _renderers[name] = component(full, html=_MARKUP[name] or None, js=loader)
    return _renderers[name]


def sent(key: str, name: str) -> Any:
    """What the browser sent under `name`, for a component's callback; None when nothing.

    A page that is left in the same moment takes its components' state along, and the callbacks run all the same. What
    somebody asked for is lost then, and they are told; a thing only looked for or opened has no need to be.
    """
    if key in st.session_state:
        return getattr(st.session_state[key], name)
    if name not in _NO_LOSS:
        lost = "**That came just as the page changed, and nothing was done.** Please ask for it again."
        st.session_state.setdefault("_toasts", []).append((lost, "error"))
    return None


async def serve(request: Request) -> Response:
    """GET /ui/kit.{hash}.js. An old hash gets the bundle as it is now, but not for good."""
    if not request.path_params["file"].startswith("kit."):
        return PlainTextResponse("There is no such file.", 404)
    address, text = bundle()
    kept = "private, max-age=31536000, immutable" if request.url.path == address else "no-store"
    return Response(text, media_type="text/javascript", headers={"cache-control": kept})


routes = [Route("/ui/{file}", serve)]
"""For app/server.py."""
