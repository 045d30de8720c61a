"""The page, as a browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import date
from html import unescape

import numpy as np
import pytest

from cluster import Screen, Store
from cluster.screen import files
from cluster.screen.drawing import BARS_DRAWN, on_prices
from cluster.screen.files import Form
from cluster.screen.page import page
from tests.cluster.screen.market import weekdays
from tests.cluster.screen.stored import key_of, stored, write
from tests.cluster.screen.test_screening import RISING, even

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
TRICKY = 'M&M </script><b>"'


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    uri = str(tmp_path_factory.mktemp("page") / "store")
    days = weekdays(200)
    starts = {"B": 100, TRICKY: 300, "A": 200}
    prices = {name: even(range(start, start + 200)) for name, start in starts.items()}
    write(uri, [stored(name, bars, days) for name, bars in prices.items()])
    write(uri, [stored("YOUNG", RISING, days[-3:])])
    screen = Screen(
        "close > SMA(close, 20) and RSI(14) > 50 and close > highest(high, 5)[2]",
        timeframe="1day",
        rank="close",
        show={"<rsi>": "RSI(14)"},
    )
    answer = screen.run(Store(uri))
    return screen, Store(uri), answer


def test_the_last_bars_of_each_match_are_drawn_with_what_prices_are_held_against(asked):
    """From the version that the answer is of; what is no price is not drawn among prices."""
    screen, store, answer = asked
    found = {each.instrument_key: each for each in screen.drawings(store, answer)}
    assert {*found} == {match.instrument_key for match in answer.matches}
    drawn = found[key_of("B")]
    assert drawn.columns["close"] == [float(n) for n in range(300 - BARS_DRAWN, 300)]
    assert {*drawn.lines} == {"SMA(close, 20)", "highest(high, 5)[2]"}
    np.testing.assert_allclose(
        drawn.lines["SMA(close, 20)"], np.array(drawn.columns["close"]) - 9.5
    )


def test_only_what_is_on_the_scale_of_prices_is_drawn():
    """Supertrend itself, not its direction; not the volume's average; each once."""
    where = (
        "SUPERTREND(10, 3).trend > 0 and close > SUPERTREND(10, 3).supertrend and high > EMA(9)[1]"
        " and volume > SMA(volume, 5) and MACD().macd > 0 and high_52w() > least(EMA(9), EMA(8))"
    )
    lines = on_prices(Screen(where, timeframe="1day").question)
    assert {str(line) for line in lines} == {
        *("SUPERTREND(10, 3).supertrend", "EMA(close, 9)[1]", "high_52w()"),
        *("EMA(close, 9)", "EMA(close, 8)"),
    }


def test_no_text_of_a_symbol_is_taken_for_markup(asked):
    screen, store, answer = asked
    written = page(answer, screen.drawings(store, answer))
    assert TRICKY not in written
    assert unescape(re.search(r"<h2>(M&amp;M.*?)</h2>", written)[1]) == TRICKY
    assert "&lt;rsi&gt;" in written


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed to look at the page with")
def test_a_browser_without_a_network_draws_the_charts_and_sorts_the_table(asked, tmp_path):
    screen, store, answer = asked
    out = tmp_path / "page.html"
    files.save(answer, Form.HTML, out, screen.drawings(store, answer))
    clicking = "<script>document.querySelectorAll('#matches th button')[0].click()</script></body>"
    out.write_text(out.read_text(encoding="utf-8").replace("</body>", clicking), encoding="utf-8")
    picture = tmp_path / "page.png"
    seen = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,1700"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}"),
            *("--virtual-time-budget=10000", f"--screenshot={picture}", "--dump-dom", out.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    rows = re.findall(r"<tr><td data-value=\"([^\"]*)\"", seen)
    assert [unescape(row) for row in rows] == ["A", "B", TRICKY]  # as sorted by the click
    assert [match.symbol for match in answer.matches] == [TRICKY, "A", "B"]  # as it came, by rank
    assert seen.count('class="main-svg"') >= 3
    assert 'data-title="Download plot as a PNG"' in seen
    assert 'data-title="Share chart' not in seen  # a button that sends it to Plotly's cloud
    assert seen.count('class="box"') == 3 * BARS_DRAWN
    assert str(date(2024, 10, 4)) in seen
    assert picture.read_bytes().startswith(b"\x89PNG")
