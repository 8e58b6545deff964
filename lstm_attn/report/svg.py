"""Figures as SVG inside a page: text stays text, and colours follow the light or dark page."""

import colorsys
import io
import re
from collections.abc import Sequence
from xml.etree import ElementTree

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

# All that a figure of ours needs; whatever else is in the SVG is left out.
TAGS = ("svg", "g", "path", "use", "text", "tspan", "image", "defs", "clipPath", "rect")
KEPT = ("d", "x", "y", "width", "height", "transform", "opacity")
PROPERTIES = (
    "fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity",
    "stroke-dasharray", "stroke-dashoffset", "stroke-linejoin", "stroke-linecap", "opacity",
    "font-size", "font-weight", "font-style", "text-anchor", "white-space", "image-rendering",
)  # fmt: skip
PLAIN = re.compile(r"[\w.,#% +-]+")  # a value that ends neither a declaration nor an attribute
PICTURE = re.compile(r"data:image/png;base64,[\w+/=]+")
REFERENCE = re.compile(r"(?:^|url\()#([^)]+)")
COLOR = re.compile(r"#[0-9a-f]{6}")
INK, CARD = ("#1c2430", "#e6e9ee"), ("#ffffff", "#1b222c")  # on a light page, on a dark one
CONTRAST = 3.0  # the least of a line against its ground (WCAG 2.1, 1.4.11)
GREY = 0.13  # the largest distance of a grey's channels
LEAST_LIGHTNESS = 0.4  # of a colour on a dark page


class Pictures:
    """The figures of one page.

    They share the page's styles: a class for each style, a variable for each colour. The ids of a
    figure begin with its number, so that no two elements of the page have the same.
    """

    def __init__(self) -> None:
        self._count = 0
        self._classes: dict[str, str] = {}
        self._colors: dict[str, str] = {}

    def svg(self, figure: Figure, alt: str) -> Markup:
        """The figure as an element of the page, with its text for readers who can't see it."""
        buffer = io.StringIO()
        with rc_context({"svg.fonttype": "none"}):
            figure.savefig(buffer, format="svg")
        self._count += 1
        root = ElementTree.fromstring(buffer.getvalue())
        size = {"viewBox": root.get("viewBox", ""), "role": "img", "aria-label": alt}
        inside = "".join(map(_Writer(self, f"f{self._count}-", root).written, root))
        return Markup("{}{}</svg>").format(_tag("svg", size), Markup(inside))

    def color(self, color: str) -> str:
        """The colour, such as #0072b2, as a value in CSS that a dark page changes."""
        color = color.lower()
        return f"var({self._colors.setdefault(color, f'--c{color[1:]}')})"

    def style(self, declarations: str) -> str:
        """The class of a style as matplotlib writes it."""
        pairs = [part.split(":", 1) for part in declarations.split(";") if ":" in part]
        kept = ";".join(
            f"{name.strip()}:{COLOR.sub(lambda match: self.color(match[0]), value.strip())}"
            for name, value in pairs
            if name.strip() in PROPERTIES and PLAIN.fullmatch(value)
        )
        return self._classes.setdefault(kept, f"s{len(self._classes)}") if kept else ""

    def css(self) -> Markup:
        """The rules of all classes and colours so far."""
        light = ";".join(f"{name}:{color}" for color, name in self._colors.items())
        dark = ";".join(f"{name}:{in_the_dark(color)}" for color, name in self._colors.items())
        rules = "\n".join(f".{name}{{{style}}}" for style, name in self._classes.items())
        return Markup(
            f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
            + rules
        )


class _Writer:
    """Writes the elements of one figure."""

    def __init__(self, pictures: Pictures, prefix: str, root: ElementTree.Element) -> None:
        self._pictures = pictures
        values = [value for element in root.iter() for value in element.attrib.values()]
        referred = [name for value in values for name in REFERENCE.findall(value)]
        names = enumerate(dict.fromkeys(referred))
        self._ids = {name: f"{prefix}{number}" for number, name in names}

    def written(self, element: ElementTree.Element) -> Markup:
        tag = element.tag.rpartition("}")[2]
        if tag not in TAGS:
            return Markup("")
        attributes = self._attributes(element)
        inside = escape((element.text or "").strip("\n") if tag in ("text", "tspan") else "")
        inside += Markup("").join(map(self.written, element))
        if tag in ("g", "defs") and not inside:
            return Markup("")
        if tag == "g" and not attributes:
            return inside
        return _tag(tag, attributes) + inside + Markup(f"</{tag}>")

    def _attributes(self, element: ElementTree.Element) -> dict[str, str]:
        kept = {}
        for name, value in element.attrib.items():
            name = name.rpartition("}")[2]
            if name in KEPT:
                kept[name] = _short(value, digits=4 if name == "transform" else 2)
            elif name == "id" and value in self._ids:
                kept["id"] = self._ids[value]
            elif name == "clip-path":
                kept[name] = f"url(#{self._ids[value[5:-1]]})"
            elif name == "href" and value.startswith("#"):
                kept[name] = f"#{self._ids[value[1:]]}"
            elif name == "href" and PICTURE.fullmatch(picture := "".join(value.split())):
                kept[name] = picture
            elif name == "style" and (of_style := self._pictures.style(value)):
                kept["class"] = of_style
        if re.match(r"rotate\(-?0[ )]", kept.get("transform", "")):
            del kept["transform"]
        return kept


def in_the_dark(color: str) -> str:
    """The colour as a dark page shows it: a grey in the same place between ground and ink, another
    colour as it is if it stands out from the ground, else with its lightness turned round."""
    rgb = to_rgb(color)
    if max(rgb) - min(rgb) < GREY:
        ink, card = to_rgb(INK[1]), to_rgb(CARD[1])
        grey = sum(rgb) / 3
        return _hex([ink[i] + grey * (card[i] - ink[i]) for i in range(3)])
    if contrast(color, CARD[1]) >= CONTRAST:
        return color
    hue, lightness, saturation = colorsys.rgb_to_hls(*rgb)
    return _hex(colorsys.hls_to_rgb(hue, max(1 - lightness, LEAST_LIGHTNESS), saturation))


def contrast(first: str, second: str) -> float:
    """The ratio of the luminances of two colours, 1 to 21, as WCAG 2.1 defines it."""
    darker, lighter = sorted(map(_luminance, (first, second)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _hex(rgb: Sequence[float]) -> str:
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in rgb)


def _short(value: str, digits: int) -> str:
    """Numbers with so many digits after the point, and single blanks."""
    short = re.sub(r"-?\d+\.\d+", lambda match: f"{round(float(match[0]), digits):g}", value)
    return re.sub(r"\s+", " ", short).strip()


def _tag(name: str, attributes: dict[str, str]) -> Markup:
    return Markup("<{}{}>").format(
        name, Markup("").join(Markup(' {}="{}"').format(*pair) for pair in attributes.items())
    )
