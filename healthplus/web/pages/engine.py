"""Jinja, with less work for each call: a page has a thousand, of macros, of plain functions and of gettext."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from types import CodeType
from typing import Any

import jinja2
from jinja2.bccache import Bucket
from jinja2.runtime import Context, Macro
from markupsafe import Markup

from healthplus.database import Record
from healthplus.web.languages import Language

_KEPT_MAX = 5000


class _Context(Context):
    def call(self, called: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls. Jinja's own looks at each callable three times for what it wants to be passed."""
        if type(called) is not Macro and getattr(called, "jinja_pass_arg", None) is not None:
            return super().call(called, *args, **kwargs)
        kwargs.pop("_block_vars", None)
        kwargs.pop("_loop_vars", None)
        return called(*args, **kwargs)


class _Compiled(jinja2.BytecodeCache):
    """Templates compiled once for all environments, which differ in names alone: each takes about 10 ms."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _Compiled()


class Environment(jinja2.Environment):
    """The templates of one language, which escape what they show. `templates` are their texts, by name.

    `kept(macro)` is that macro, called once for the same arguments: for those whose result depends on nothing else.
    """

    context_class = _Context

    def __init__(self, templates: Mapping[str, str], language: Language, **names: object) -> None:
        super().__init__(
            loader=jinja2.DictLoader(templates),
            bytecode_cache=_COMPILED,
            extensions=["jinja2.ext.i18n"],
            autoescape=True,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self.policies["ext.i18n.trimmed"] = True
        self.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]
        self.globals.update(_gettext(language), kept=lru_cache(_KEPT_MAX), language=language, **names)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return `obj.attribute`. A row has columns instead, and what is not there takes long to miss."""
        if isinstance(obj, Record):
            try:
                return obj[attribute]
            except KeyError:
                pass
        return super().getattr(obj, attribute)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """Return the names that a template knows; no template of ours has names of its own to be kept apart."""
        return super().make_globals(d) if d else self.globals


def _gettext(language: Language) -> dict[str, Callable[..., Markup]]:
    """Return what gives messages in a language, as Jinja's do: formats, whose values are escaped."""

    @lru_cache(_KEPT_MAX)
    def known(text: str) -> Markup:
        return Markup(language.gettext(text))  # noqa: S704 - a message of ours

    @lru_cache(_KEPT_MAX)
    def without_values(text: str) -> Markup:
        return known(text) % {}

    def gettext(text: str, /, **values: object) -> Markup:
        return known(text) % values if values else without_values(text)

    def ngettext(one: str, many: str, number: int, /, **values: object) -> Markup:
        text = Markup(language.ngettext(one, many, number))  # noqa: S704 - a message of ours
        return text % ({"num": number} | values)

    return {"_": gettext, "gettext": gettext, "ngettext": ngettext}
