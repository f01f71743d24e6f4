"""What to do about a module that this host does not have."""

from __future__ import annotations

import sys

#: Packages that are not named like the module that they bring.
PACKAGES = {
    "Crypto": "pycryptodome",
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def this_python() -> str:
    return "Python %d.%d.%d (%s)" % (*sys.version_info[:3], sys.executable)


def advice(error: ModuleNotFoundError) -> str:
    """For a module that the user can do something about; else empty."""
    name = (error.name or "").partition(".")[0]
    if not name or name in sys.modules:
        return ""
    if name in getattr(sys, "stdlib_module_names", ()) or name in sys.builtin_module_names:
        return "It is a part of Python that %s on this host was built without." % this_python()
    return (
        "%s on this host does not have it. Install it there: %s -m pip install %s (or, if the module is "
        "your own, send its file to the working directory, or pass it by value)."
        % (this_python(), quoted(sys.executable), PACKAGES.get(name, name))
    )


def told(error: ModuleNotFoundError) -> str:
    """Its own text, and what to do."""
    text = str(error)
    more = advice(error)
    return "%s%s %s" % (text, "" if text.endswith(".") else ".", more) if more else text


def quoted(path: str) -> str:
    return "'%s'" % path.replace("'", "'\\''") if set(path) & set(" '\"\\$`&;()*?<>|#~!") else path
