"""Objects that can show themselves: matplotlib figures, and whatever has IPython's display methods."""

from __future__ import annotations

import sys

from ..values.codes import EXT_DISPLAY, Special
from .brief import loaded, short_repr, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Union

    Mime = Dict[str, Union[str, bytes]]

METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_latex_": "text/latex",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
}
BYTES = ("image/png", "image/jpeg")
#: Bytes of one form, and of the text forms of one result, which must fit into the tree of its document.
MAX_FORM, MAX_TEXT = 8 * 1024 * 1024, 8 * 1024 * 1024
#: What nobody defines; who has it all the same makes up attributes as they are asked for.
CANARY = "_ipython_canary_method_should_not_exist_"


def mime_of(subject: object) -> Optional[Mime]:
    """Its forms besides its repr, or None."""
    figure = loaded("matplotlib.figure", "Figure")
    if figure is not None and isinstance(subject, figure):
        image = draw(subject)
        return {"image/png": image} if image is not None else None
    # Classes have the methods of their instances.
    if isinstance(subject, type) or ask(subject, CANARY) is not None:
        return None
    forms: Dict[str, object] = {}
    bundle = ask(subject, "_repr_mimebundle_")
    if isinstance(bundle, dict):
        forms.update(bundle)
    for method, mime in METHODS.items():
        if mime not in forms:
            forms[mime] = ask(subject, method)
    result: Any = {mime: form for mime, form in forms.items() if fits(mime, form)}
    return result or None


def ask(subject: object, method: str) -> object:
    # A fault in how a result is shown must not cost the result.
    try:
        function = getattr(subject, method, None)
        if function is None or not callable(function):
            return function
        form = function()
    except Exception:
        return None
    # Metadata may come with it.
    return form[0] if isinstance(form, tuple) and len(form) == 2 else form


def fits(mime: object, form: object) -> bool:
    if mime not in METHODS.values():
        return False
    if not isinstance(form, bytes if mime in BYTES else str):
        return False
    return 0 < len(form) <= MAX_FORM


def has_image(mime: Optional[Mime]) -> bool:
    return mime is not None and any(name.startswith("image/") for name in mime)


def draw(figure: Any) -> Optional[bytes]:
    import io

    file = io.BytesIO()
    try:
        figure.savefig(file, format="png", bbox_inches="tight")
    except Exception as error:
        sys.stderr.write("The figure cannot be drawn: %s: %s\n" % (type(error).__name__, error))
        return None
    return file.getvalue()


def display(subject: object, mime: Optional[Mime] = None) -> Special:
    """A display object; `mime` if it is known already."""
    content = {"repr": short_repr(subject), "type": type_name(type(subject))}
    return Special(EXT_DISPLAY, {**content, "mime": mime_of(subject) if mime is None else mime})


class Showcase:
    """What a cell shows before its value."""

    def __init__(self) -> None:
        self.shown: List[Special] = []
        self._text = 0

    def show(self, *subjects: object, **options: object) -> None:
        """`display` of a cell. Options are IPython's; none of them matters here."""
        for subject in subjects:
            self.add(display(subject))

    def add(self, special: Special) -> None:
        forms = special.content["mime"] or {}
        texts = {name: len(form) for name, form in forms.items() if isinstance(form, str)}
        self._text += sum(texts.values())
        if self._text > MAX_TEXT:
            special.content["mime"] = {
                name: form for name, form in forms.items() if name not in texts
            } or None
        self.shown.append(special)

    def take_figures(self, value: object) -> None:
        """Every figure that is open, unless it is the value; then they are closed, as in any notebook."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        for number in pyplot.get_fignums():
            figure = pyplot.figure(number)
            if figure is not value:
                self.show(figure)
        pyplot.close("all")
