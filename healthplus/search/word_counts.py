"""Counts the directory's words, by which spellings are judged: after an import, and hourly in every app process."""

from __future__ import annotations

import asyncio
from pathlib import Path

from healthplus.database import Database, Transaction, load
from healthplus.search.vocabulary import VOCABULARY

_queries = load(Path(__file__).with_name("queries.sql"))

_LOOK_SECONDS = 600
_CURATED = sorted(word for word in VOCABULARY.words if len(word) > 1 and word.isascii() and word[0].isalpha())


async def learn_words(database: Database | Transaction) -> None:
    """Count all words now; takes seconds for hundreds of thousands of providers."""
    await database.execute(_queries.learn_words, _CURATED)


class WordLearning:
    """Sees to it that the words are counted at least hourly, by one process, and with this version's own words."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Count whenever it is due, forever."""
        while True:
            await self._database.execute(_queries.learn_stale_words, _CURATED)
            await asyncio.sleep(_LOOK_SECONDS)
