"""Parameters of papermill for notebooks in TypeScript: `papermill -p name value`.

papermill has no entry point for translators. It loads those for engines when it starts, so this module is registered as one.
"""

import json

from papermill.engines import NBClientEngine
from papermill.translators import Translator, papermill_translators


class TypeScriptTranslator(Translator):
    @classmethod
    def translate_str(cls, val):
        return json.dumps(val)

    @classmethod
    def translate_none(cls, val):
        return "null"

    @classmethod
    def translate_bool(cls, val):
        return "true" if val else "false"

    @classmethod
    def translate_int(cls, val):
        # Beyond it, numbers are not exact.
        return f"{val}n" if abs(val) > 2**53 - 1 else str(val)

    @classmethod
    def translate_float(cls, val):
        if val != val:
            return "NaN"
        if val in (float("inf"), float("-inf")):
            return "Infinity" if val > 0 else "-Infinity"
        return repr(val)

    @classmethod
    def translate_dict(cls, val):
        members = (f"{cls.translate_str(key)}: {cls.translate(value)}" for key, value in val.items())
        return "{" + ", ".join(members) + "}"

    @classmethod
    def translate_list(cls, val):
        return "[" + ", ".join(cls.translate(value) for value in val) + "]"

    @classmethod
    def comment(cls, cmt_str):
        return f"// {cmt_str}".strip()

    @classmethod
    def assign(cls, name, str_val):
        return f"let {name} = {str_val};"


for language in ("typescript", "lazycluster"):
    papermill_translators.register(language, TypeScriptTranslator)


class Engine(NBClientEngine):
    """papermill's own; nothing is different but its name."""
