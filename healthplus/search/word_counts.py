"""Count the directory's words, by which spellings are judged: after an import, and hourly in one app process."""

from __future__ import annotations

from pathlib import Path

from healthplus.database import Database, Transaction, load, repeat
from healthplus.search.vocabulary import VOCABULARY

_queries = load(Path(__file__).with_name("queries.sql"))

_CHECK_SECONDS = 600
# Nobody who types something else is taken to mean violence: `grape` is not corrected.
_MEANT = [phrase for phrase, meaning in VOCABULARY.phrases.items() if meaning.urgent not in {"violence", "child"}]
_WORDS = {word for phrase in (*_MEANT, *VOCABULARY.dropped) for word in phrase.split()}
_CURATED = sorted(word for word in _WORDS if len(word) > 1 and word.isascii() and word[0].isalpha())


async def count_words(database: Database | Transaction) -> None:
    """Count all words now; takes seconds for hundreds of thousands of providers."""
    await database.execute(_queries.count_words, _CURATED)


class WordCounter:
    """Counts the words at least hourly, in one process at a time, and when this version's own words are not counted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Count whenever a count is due, forever."""
        await repeat(
            self.count_if_due, _CHECK_SECONDS, "words could not be counted", self._database, name="word counts"
        )

    async def count_if_due(self) -> None:
        """Count unless that was done within the hour with this version's own words, or another process is counting."""
        await self._database.execute(_queries.count_words_if_due, _CURATED)
