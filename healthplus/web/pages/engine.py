"""Jinja, with less work for each call: a page has a thousand, of macros, of plain functions and of gettext."""

from __future__ import annotations

import contextlib
import marshal
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path
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


class Compiled(jinja2.BytecodeCache):
    """Templates compiled once for all environments, which differ in names alone: each takes about 10 ms.

    They are kept where Python keeps what it compiles, so that the next start need not wait for them.
    """

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType | None] = {}
        self._read: dict[tuple[str, str], CodeType | None] = {}
        self._is_new = False
        self._path = Path(cache_from_source(__file__)).with_suffix(".templates")
        # What a code hangs on besides the template's name and text, which it is kept by.
        self._made_by = MAGIC_NUMBER + jinja2.__version__.encode() + source_hash(Path(__file__).read_bytes())

    def load_bytecode(self, bucket: Bucket) -> None:
        key = bucket.key, bucket.checksum
        if key in self._read:  # what no template is any more stays behind
            self._codes[key] = self._read.pop(key)
        bucket.code = self._codes.get(key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key, bucket.checksum] = bucket.code
        self._is_new = True

    def read(self) -> None:
        """Take what an earlier start kept, if it was made by the same programs."""
        with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
            made_by, codes = marshal.loads(self._path.read_bytes())  # noqa: S302 - beside Python's own
            if made_by == self._made_by:
                self._read = codes

    def write(self) -> None:
        """Keep what was compiled, where Python may keep what it compiles."""
        if not self._is_new or sys.dont_write_bytecode:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            made = self._path.with_suffix(f".{os.getpid()}")
            made.write_bytes(marshal.dumps((self._made_by, self._codes)))
            made.replace(self._path)
            self._is_new = False


COMPILED = Compiled()


class Environment(jinja2.Environment):
    """The templates of one language, which escape what they show. `templates` are their texts, by name.

    `kept(macro)` is that macro, called once for the same arguments: for those whose result depends on nothing else.
    """

    context_class = _Context

    def __init__(self, templates: Mapping[str, str], language: Language, **names: object) -> None:
        super().__init__(
            loader=jinja2.DictLoader(templates),
            bytecode_cache=COMPILED,
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
