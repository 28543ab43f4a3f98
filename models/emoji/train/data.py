#!/usr/bin/env python3
"""Emoji out of Debian's packages as a training set: pictures of 64 x 64 and what they may be called.

    apt-get install fonts-noto-color-emoji unicode-cldr-core unicode-data
    python3 data.py data.npz            needs fonttools, numpy, pillow

Pictures are the bitmaps in the font, on white. Names and keywords are CLDR's. An object that has one colour
also comes in others, "a green dog"; the combinations in HELD_OUT are left out, so that prompts can ask for
something that was never shown.
"""
import collections
import io
import json
import re
import sys
import xml.etree.ElementTree

import numpy
from fontTools.ttLib import TTFont
from PIL import Image

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
NAMES = "/usr/share/unicode/cldr/common/annotations/en.xml"
LIST = "/usr/share/unicode/emoji/emoji-test.txt"
SIDE = 64

# how often a picture of a group is drawn (everyday things: 1.5); groups and subgroups that are not here are left out
WEIGHTS = {"Animals & Nature": 0.2, "Food & Drink": 0.2, "Travel & Places": 0.04, "Activities": 0.03, "Objects": 0.03,
           "Smileys & Emotion": 0.03, "People & Body": 0.01, "geometric": 0.02}
NO_SUBGROUPS = {"family", "person-symbol", "place-map", "monkey-face", "hand-single-finger"}
# single pictures that say nothing: clocks, moons twice over, boards of one game, labels in Japanese
NO_CHARACTERS = {*map(chr, range(0x1F550, 0x1F568)), *"🌚🌛🌜🌝🀄🃏🎴💮🈁🎞📟📠🎚🎛🔘🗞🖇🗜🪪🏧🪧⛓🏷"}

# words that people would use and that CLDR gives to many pictures or to none
EVERYDAY = {"🚗": "car", "🛻": "pickup", "⛵": "boat", "📕": "book", "🎩": "hat", "❤": "heart", "🌙": "moon", "🌼": "flower",
            "⏰": "clock", "🏠": "house", "🌳": "tree", "🐟": "fish", "🚀": "rocket", "🍄": "mushroom", "🏍": "motorbike",
            "✈": "plane", "👟": "shoe", "👕": "shirt", "👖": "trousers", "🎈": "balloon", "☂": "umbrella", "🍰": "cake",
            "🧀": "cheese", "🍞": "bread", "☀": "sun", "☁": "cloud", "🔥": "fire", "📷": "camera", "📱": "phone",
            "💻": "computer", "🚂": "train", "⚽": "ball", "🎸": "guitar", "🍺": "beer", "☕": "coffee", "🙂": "face",
            "😢": "sad face", "😀": "happy face", "😡": "angry face", "🐦": "bird", "🦋": "butterfly", "⭐": "star",
            "💡": "lamp", "✏": "pencil", "🔨": "hammer", "🚌": "bus", "🚲": "bike", "🎂": "birthday cake", "🏰": "castle",
            "🍦": "ice cream", "👓": "glasses", "👑": "crown", "🔑": "key", "🎁": "present", "🥚": "egg", "🌹": "rose",
            "🪑": "chair", "🚪": "door", "👀": "eyes", "✋": "hand", "🍷": "wine", "🧸": "teddy", "🌈": "rainbow",
            "🍎": "apple", "🐈": "cat", "🐕": "dog", "🐘": "elephant", "🐖": "pig", "🐸": "frog", "🍌": "banana",
            "🥕": "carrot", "🌻": "sunflower", "🍕": "pizza", "🐄": "cow", "🐎": "horse", "🐇": "rabbit", "🐁": "mouse",
            "🐢": "turtle", "🐍": "snake", "🦁": "lion", "🐝": "bee", "🐞": "ladybird", "🍓": "strawberry", "🍇": "grapes",
            "🍋": "lemon", "🍐": "pear", "🍒": "cherries", "🍅": "tomato", "🍔": "burger", "🍟": "fries", "🐧": "penguin",
            "🐤": "chick", "🐙": "octopus", "🦆": "duck", "🐑": "sheep", "🐻": "bear", "🐒": "monkey", "🌵": "cactus",
            "🥛": "milk", "🍩": "doughnut", "🎻": "violin", "🥁": "drum", "🚁": "helicopter", "🚢": "ship", "✂": "scissors"}

# colour: hue in turns, saturation and value that an object's mean is moved to
COLOURS = {"red": (0.99, 0.80, 0.86), "orange": (0.075, 0.85, 0.97), "yellow": (0.14, 0.75, 0.98),
           "green": (0.33, 0.65, 0.68), "blue": (0.58, 0.75, 0.88), "purple": (0.77, 0.55, 0.72),
           "pink": (0.92, 0.42, 0.97), "black": (0.60, 0.08, 0.22)}
COLOUR_WORDS = {*COLOURS, "white", "brown", "grey", "gray", "light", "dark"}
NO_COLOURS = {"Smileys & Emotion", "People & Body", "geometric"}
# pairs of colour and word that no caption may hold together
HELD_OUT = [("blue", "apple"), ("purple", "car"), ("pink", "elephant"), ("green", "pig"), ("blue", "banana"),
            ("red", "frog"), ("purple", "carrot")]


def emoji():
    """(character, group) of single characters, in the standard's order."""
    group = subgroup = None
    for line in open(LIST, encoding="utf-8"):
        if line.startswith("# group:"):
            group = line[8:].strip()
        elif line.startswith("# subgroup:"):
            subgroup = line[11:].strip()
        elif "; fully-qualified" in line:
            points = [p for p in line.split(";")[0].split() if p != "FE0F"]
            key = subgroup if subgroup in WEIGHTS else group
            character = chr(int(points[0], 16))
            if len(points) == 1 and key in WEIGHTS and subgroup not in NO_SUBGROUPS and character not in NO_CHARACTERS:
                yield character, key


def annotations():
    """Character to (name, keywords)."""
    names, keywords = {}, {}
    for node in xml.etree.ElementTree.parse(NAMES).iter("annotation"):
        if node.get("type") == "tts":
            names[node.get("cp")] = node.text
        else:
            keywords[node.get("cp")] = [k.strip() for k in node.text.split("|")]
    return {c: (plain(n), [plain(k) for k in keywords.get(c, [])]) for c, n in names.items()}


def plain(text):
    text = re.sub(r"[^a-z0-9 ]+", " ", text.lower().replace("’", "'").replace("'s", "s"))
    return " ".join(text.split())


def bitmaps():
    """A function from a character to its picture with alpha, or None."""
    font = TTFont(FONT)
    glyphs, cmap = font["CBDT"].strikeData[0], font.getBestCmap()

    def picture(character):
        glyph = glyphs.get(cmap.get(ord(character)))
        if glyph is None:
            return None
        image = Image.open(io.BytesIO(glyph.imageData)).convert("RGBA").convert("RGBa")
        scale = SIDE / max(image.size)
        image = image.resize([round(n * scale) for n in image.size], Image.LANCZOS)
        square = Image.new("RGBa", (SIDE, SIDE))
        square.paste(image, [(SIDE - n) // 2 for n in image.size])
        return numpy.asarray(square.convert("RGBA"), numpy.float32) / 255
    return picture


def to_hsv(rgb):
    low, high = rgb.min(-1), rgb.max(-1)
    span = numpy.maximum(high - low, 1e-6)
    r, g, b = numpy.moveaxis(rgb, -1, 0)
    hue = numpy.select([high == r, high == g], [(g - b) / span % 6, (b - r) / span + 2], (r - g) / span + 4)
    return hue / 6 % 1, (high - low) / numpy.maximum(high, 1e-6), high


def to_rgb(hue, saturation, value):
    k = (numpy.array([5, 3, 1]) + 6 * hue[..., None]) % 6
    return value[..., None] * (1 - saturation[..., None] * numpy.clip(numpy.minimum(k, 4 - k), 0, 1))


def away(hue, other):
    """Signed distance on the circle of hues."""
    return (hue - other + 0.5) % 1 - 0.5


class Paint:
    """What of a picture is its one colour, if it has one: a mask, and the colour's mean."""

    def __init__(self, rgba):
        self.alpha = rgba[..., 3]
        self.hsv = hue, saturation, value = to_hsv(rgba[..., :3])
        coloured = self.alpha * saturation * value
        bins = numpy.bincount((hue * 36).astype(int).ravel() % 36, coloured.ravel(), 36)
        peak = numpy.argmax(bins + numpy.roll(bins, 1) + numpy.roll(bins, -1))
        near = numpy.abs(away(hue, (peak + 0.5) / 36)) < 0.12
        self.mask = near & (saturation > 0.2) & (value > 0.15) & (self.alpha > 0.02)
        area = self.alpha.sum()
        self.is_single = (coloured[near].sum() > 0.7 * coloured.sum()
                          and self.alpha[self.mask].sum() > 0.4 * area)
        grey = (saturation < 0.25) & (value > 0.3) & (value < 0.9) & (self.alpha > 0.02)
        if not self.is_single and self.alpha[grey].sum() > 0.5 * area:
            self.mask, self.is_single = grey, True
        if self.is_single:
            weights = self.alpha[self.mask]
            self.peak = (peak + 0.5) / 36
            self.mean = [numpy.average(c[self.mask], weights=weights) for c in self.hsv]
            self.mean[0] = self.peak + numpy.average(away(hue[self.mask], self.peak), weights=weights)

    def colour(self):
        """The word for it, or None."""
        hue, saturation, value = self.mean[0] % 1, *self.mean[1:]
        if saturation < 0.2:
            return "grey" if value < 0.85 else "white"
        if value < 0.3:
            return "black"
        if 0.02 < hue < 0.12 and value < 0.75:
            return "brown"
        if (hue > 0.86 or hue < 0.02) and saturation < 0.55 and value > 0.7:
            return "pink"
        for limit, word in ((0.03, "red"), (0.11, "orange"), (0.19, "yellow"), (0.46, "green"), (0.7, "blue"),
                            (0.86, "purple"), (1.01, "red")):
            if hue < limit:
                return word

    def painted(self, word):
        """The picture in another colour."""
        hue, saturation, value = (c.copy() for c in self.hsv)
        m, target = self.mask, COLOURS[word]
        grey = self.mean[1] < 0.2
        hue[m] = (target[0] + (0 if grey else 0.4 * away(hue[m], self.mean[0]))) % 1
        saturation[m] = target[1] if grey else numpy.clip(saturation[m] * target[1] / self.mean[1], 0, 1)
        value[m] = numpy.clip(value[m] * target[2] / self.mean[2], 0, 1)
        return numpy.concatenate([to_rgb(hue, saturation, value), self.alpha[..., None]], -1)


def on_white(rgba):
    rgb = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
    return numpy.clip(rgb * 255 + 0.5, 0, 255).astype(numpy.uint8)


def article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def without_colours(name):
    return " ".join(w for w in name.split() if w not in COLOUR_WORDS)


def nouns_of(character, name, keywords, times):
    """What a picture may be called: its name, and keywords that few others have, with weights."""
    nouns = {name: 3.0}
    if character in EVERYDAY:
        nouns[EVERYDAY[character]] = 5.0
    for k in keywords:
        if k != name and times[k] <= 6 and len(k) > 2:
            nouns[k] = nouns.get(k, 0) + 2 / times[k] ** 2
    return nouns


def is_held_out(caption):
    words = {w.removesuffix("s") for w in caption.split()}
    return any(colour in words and word in words for colour, word in HELD_OUT)


def captions_of(nouns, colour, is_only):
    """Captions with weights. A picture that was painted over is never shown without its colour's word."""
    result = collections.Counter()
    for noun, weight in nouns.items():
        if is_only is False:
            result[article(noun)] += weight * 0.6
            result[noun] += weight * 0.4
        bare = without_colours(noun)
        if colour and bare:
            result[article(f"{colour} {bare}")] += weight * (1.0 if is_only else 0.4)
    return result


def main(path):
    notes, picture = annotations(), bitmaps()
    chosen = [(c, g, picture(c), *notes[c]) for c, g in emoji() if c in notes]
    chosen = [e for e in chosen if e[2] is not None]
    times = collections.Counter(k for e in chosen for k in {e[3], *e[4]})
    pictures, rows = [], []

    def add(rgba, character, name, weight, captions):
        captions = {k: round(v, 3) for k, v in captions.items() if not is_held_out(k)}
        pictures.append(on_white(rgba))
        rows.append({"character": character, "name": name, "weight": weight, "captions": captions})

    for character, group, rgba, name, keywords in chosen:
        nouns = nouns_of(character, name, keywords, times)
        paint = Paint(rgba) if group not in NO_COLOURS else None
        own = paint.colour() if paint and paint.is_single else None
        weight = 1.5 if character in EVERYDAY else WEIGHTS[group]
        add(rgba, character, name, weight, captions_of(nouns, own, False))
        others = [w for w in COLOURS if own and w != own
                  and not any(is_held_out(f"{w} {n}") for n in [*nouns, *keywords])]
        nouns = {without_colours(n): v for n, v in nouns.items() if without_colours(n)}
        for word in others:
            add(paint.painted(word), character, f"{word} {without_colours(name)}", weight * 0.4 / len(others),
                captions_of(nouns, word, True))
    numpy.savez_compressed(path, pictures=numpy.stack(pictures), rows=json.dumps(rows))
    print(f"{len(chosen)} emoji, {len(pictures)} pictures, {sum(len(r['captions']) for r in rows)} captions")


if __name__ == "__main__":
    main(sys.argv[1])
