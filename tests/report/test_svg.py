"""Figures inside a page: their text is text, their ids are their own, and a dark page shows them."""

import base64
import io
import re
from collections import Counter

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread

from lstm_attn.report import figures, gradient_reach, inside_figures, length_generalisation, panel
from lstm_attn.report.svg import CARD, CONTRAST, KEPT, TAGS, Pictures, contrast, in_the_dark
from tests.report.reading_html import Page

HOSTILE = "</g><script>x('1')</script>\"&lt;"
POINTS = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.25, 0.75])


def draw(axes):
    panel.dots(axes, *POINTS, panel.COLORS[0])
    axes.plot(*POINTS, label=HOSTILE, gid='x" onload="alert(1)', url="javascript:alert(1)")
    axes.imshow(np.eye(3), extent=(1, 2, 0.2, 0.9), aspect="auto", interpolation="nearest")
    panel.reference(axes, "line", y=0.5)
    panel.log_scale(axes.xaxis)
    axes.set(xlabel=HOSTILE, xlim=(0.1, 5), ylim=(0, 1))


def drawn(pictures):
    return str(pictures.svg(panel.panel(HOSTILE, draw), HOSTILE))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two equal figures on one page: their text, and what a browser's parser makes of it."""
    pictures = Pictures()
    both = [drawn(pictures), drawn(pictures)]
    path = tmp_path_factory.mktemp("svg") / "page.html"
    path.write_text("".join(both))
    return both, Page(path), pictures


def test_a_figure_is_made_of_known_elements_alone(page):
    """Oracle: lists of what a drawing needs. Catches a script, a link, an event or an address that a
    name or an artist of matplotlib brings into the page."""
    _, found, _ = page
    kept = {*KEPT, "id", "class", "clip-path", "href", "viewbox", "role", "aria-label"}
    for tag, *names in found.elements:
        assert tag in {name.lower() for name in TAGS}
        assert set(names) <= kept
    for name, value in found.attributes:
        if name == "href":
            assert re.match(r"#f\d+-\d+$|data:image/png;base64,", value)


def test_a_map_is_a_picture_in_the_figure(page):
    """Oracle: the two values of a unit matrix are two colours. Catches an empty frame."""
    for text in page[0]:
        (picture,) = re.findall(r'<image [^>]*href="data:image/png;base64,([^"]+)"', text)
        pixels = imread(io.BytesIO(base64.b64decode(picture)))
        assert len(np.unique(pixels.reshape(-1, 4), axis=0)) == 2


def test_every_id_is_there_once_and_every_reference_stays_in_its_figure(page):
    """Catches two figures with the same ids, of which the second would show the marks of the first."""
    both, found, _ = page
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids)) >= 4
    for number, one in enumerate(both, 1):
        own = set(re.findall(r' id="([^"]+)"', one))
        referred = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', one)
        assert {name for pair in referred for name in pair if name} == own
        assert all(name.startswith(f"f{number}-") for name in own)


def test_the_same_figure_is_the_same_text(page):
    """Oracle: identity, but for the number of the figure. Catches the time of the drawing and chance
    in names."""
    first, second = page[0]
    assert first.replace("f1-", "f2-") == second
    assert not re.search(r"20\d\d-\d\d-\d\d", first)


def test_text_stays_text(page):
    """Oracle: the words put in. Catches letters drawn as outlines, which no search finds, and ticks
    in pieces."""
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", page[0][0])
    shown = Counter(texts)
    escaped = HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = escaped.replace('"', "&#34;").replace("'", "&#39;")
    assert shown[escaped] == 3  # title, label of the axis, legend
    assert {"line", "0.1", "1"} <= set(texts)


def test_points_are_where_their_numbers_are():
    """Oracle: the axes' own transformation of the points put in, 72 to an inch, y downward. Catches
    a transformation lost with the group that had it, and coordinates cut too short."""
    figure = panel.panel("", lambda axes: panel.dots(axes, *POINTS, panel.COLORS[0]))
    text = str(Pictures().svg(figure, ""))
    height = 72 * figure.get_size_inches()[1]
    want = figure.axes[0].transData.transform(np.transpose(POINTS)) * 72 / figure.dpi
    found = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)" class="s(\d+)"', text)
    of_dots = Counter(one[2] for one in found).most_common()
    (style,) = [style for style, count in of_dots if count == 3]
    places = np.array([one[:2] for one in found if one[2] == style], float)
    np.testing.assert_allclose(places, np.stack([want[:, 0], height - want[:, 1]], 1), atol=0.02)


def test_a_contrast_is_that_of_wcag():
    """Oracle: W3C's own examples. Catches a linear mean of the channels."""
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#ff0000", "#ffffff") == pytest.approx(4.0, abs=0.01)


# Each palette: the colours that one figure may have.
PALETTES = {
    "models": panel.COLORS,
    "cuts": tuple(inside_figures.CUT_COLORS.values()),
    "starts": tuple(to_hex(color) for color in gradient_reach.SHADES(np.linspace(0, 1, 5))),
    "parts of the time": tuple(figures.PART_COLORS.values()),
    "grounds": (panel.REFERENCE_COLOR, length_generalisation.SHADE, "#ffffff"),
}


@pytest.mark.parametrize("name", PALETTES)
def test_a_dark_page_shows_every_colour_of_a_palette(name):
    """Oracle: WCAG's contrast. A colour that stands out from a light page stands out from a dark one,
    and two colours of a palette stay two. Catches black on black, and shades that become one."""
    palette = PALETTES[name]
    dark = [in_the_dark(color) for color in palette]
    for color, shown in zip(palette, dark, strict=True):
        assert contrast(shown, CARD[1]) >= min(CONTRAST, contrast(color, CARD[0])) - 0.15
    channels = np.array([[int(one[at : at + 2], 16) for at in (1, 3, 5)] for one in dark])
    apart = np.abs(channels[:, None] - channels[None]).sum(axis=-1)
    assert apart[~np.eye(len(dark), dtype=bool)].min() >= 24


def test_every_colour_of_a_page_has_a_dark_one(page):
    """Catches a figure whose colours are written into its elements, where no page can change them."""
    both, _, pictures = page
    css = str(pictures.css())
    assert not re.search(r"#[0-9a-f]{6}\b", "".join(both))
    light, dark = re.findall(r":root\{([^}]*)\}", css)
    names = [set(re.findall(r"--c[0-9a-f]{6}(?=:)", part)) for part in (light, dark)]
    assert names[0] == names[1] == set(re.findall(r"var\((--c[0-9a-f]{6})\)", css))
    assert set(re.findall(r'class="([^"]*)"', "".join(both))) <= set(re.findall(r"\.(s\d+)\{", css))
