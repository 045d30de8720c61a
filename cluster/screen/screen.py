"""The door: a screen is loaded or made, and run over a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from actors.market.errors import UsageError
from actors.market.sessions import ist_date
from actors.writer.naming import day_of, near, several
from cluster.config.file import read_mapping
from cluster.config.mistakes import in_words
from cluster.config.section import Reading
from cluster.screen import ready
from cluster.screen.answer import Answer, NotScreened, in_order
from cluster.screen.drawing import Drawing, drawings
from cluster.screen.form import Names, ScreenForm
from cluster.screen.question import Question
from cluster.screen.screening import ask

#: So many matches are drawn, the best ones: each takes 20 kB of a page.
CHARTS = 100

if TYPE_CHECKING:
    from actors.writer.moment import AsOf
    from actors.writer.reading import Store


class Screen:
    """A question to every instrument of a store. Raises UsageError for one that cannot be asked."""

    def __init__(self, where: str | ScreenForm, **keys: Any) -> None:
        """`keys` are those of a screen's file, such as `timeframe="1day"`."""
        if not isinstance(where, ScreenForm):
            where = _checked({"where": where, **keys}, Path.cwd())
        self._form = where
        self._question = Question.of(where)

    @classmethod
    def load(cls, name: str | Path) -> Self:
        """A screen's file, or one of those that come with candlefleet, by its name."""
        path = ready.find(name)
        raw = read_mapping(path)
        try:
            return cls(
                _checked(
                    {"name": path.stem, **ready.described(path), **raw}, path.absolute().parent
                )
            )
        except UsageError as error:
            raise UsageError(str(error), str(path)) from None

    def __repr__(self) -> str:
        return f"<screen {self._form.name or ''} where {self._question.where}>"

    @property
    def name(self) -> str:
        """What it is called where people read of it."""
        return self._form.name or "the screen"

    @property
    def description(self) -> str | None:
        return self._form.description

    @property
    def question(self) -> Question:
        return self._question

    @property
    def form(self) -> ScreenForm:
        """As it was written down."""
        return self._form

    def as_dict(self) -> dict[str, Any]:
        """As it may be written into a file again; JSON's types only."""
        return _plain(self._form)

    def run(
        self,
        store: Store,
        *,
        on: date | str | None = None,
        as_of: AsOf | None = None,
        symbols: str | Iterable[str] | None = None,
        limit: int | None = None,
        now: datetime | None = None,
    ) -> Answer:
        """Ask it at the last bar of each instrument, or at the close of the day `on`.

        `as_of` is a version of the store or a moment, see `Store.at`; `symbols` and `limit` go over
        the screen's own. Raises UsageError also for a symbol that the store knows nothing of.
        """
        if limit is not None and limit < 1:
            raise UsageError(f"must be 1 or more, not {limit}", "limit")
        asked_at, day = now or datetime.now(UTC), day_of(on, "on")
        if day is not None and day > ist_date(asked_at):
            raise UsageError(f"{day} is in the future; nothing is known of it", "on")
        form = self._over(None if symbols is None else several(symbols, "symbols"), limit)
        listed = form.universe.symbols if form.universe else None
        seen = store if as_of is None else store.at(as_of)
        found = ask(self._question, seen, listed, day, form.max_age)
        if symbols is not None:
            _refuse_unknown(store, found.not_screened)
        matches = in_order(found.matches, ascending=form.order == "asc")
        return Answer(
            screen=_plain(form),
            store=store.uri,
            version=found.version,
            on=day,
            newest=found.newest,
            asked_at=asked_at,
            universe=found.universe,
            found=len(matches),
            matches=tuple(matches[: form.limit]),
            not_screened=tuple(found.not_screened),
        )

    def _over(self, symbols: tuple[str, ...] | None, limit: int | None) -> ScreenForm:
        """The form as it is asked, its names written out: a listing may say something else tomorrow."""
        form = self._form
        if symbols is None and form.universe:
            symbols = form.universe.names()
        universe = form.universe if symbols is None else Names.model_construct(symbols=symbols)
        return form.model_copy(update={"universe": universe, "limit": limit or form.limit})

    def drawings(self, store: Store, answer: Answer) -> list[Drawing]:
        """The last bars of the first matches, from the version that the answer is of."""
        keys = [match.instrument_key for match in answer.matches[:CHARTS]]
        then = store.at(answer.version)
        return [*drawings(self._question, then, keys, answer.on)]


def _plain(form: ScreenForm) -> dict[str, Any]:
    return form.model_dump(mode="json", exclude_defaults=True)


def _refuse_unknown(store: Store, not_screened: Iterable[NotScreened]) -> None:
    """A name on the command line that the store knows nothing of is a slip of the pen."""
    for each in not_screened:
        if not each.instrument_key:
            known = store.symbols()
            raise UsageError(
                f"the store knows no {each.symbol!r}{near(each.symbol, known)}", "symbols"
            )


def _checked(raw: Mapping[str, Any], folder: Path) -> ScreenForm:
    reading = Reading(folder, ist_date(datetime.now(UTC)))
    try:
        return ScreenForm.model_validate(dict(raw), context=reading)
    except ValidationError as error:
        raise UsageError("\n  ".join(in_words(error, ScreenForm, {}))) from None
