"""The state of one story, and the little grammar that turns it into sentences.

A template is text with {this|that} choices (they nest), @list words and [slots]:
[H] the hero's name, [H.he] [H.him] [H.his] pronouns, [H.kind] "fox", [H.a] "a small fox";
[F] the friend, [E] the grown-up, [o] "red kite", [P] "in the quiet meadow", [toP] "to the ...".
Hero and friend never share a pronoun or a first letter and grown-ups are always named, so that no
"he" is ambiguous. A sentence names people, thing and place again and again: it is what makes twelve
words in a row hardly ever come twice, and what a small model can learn to keep straight.
"""
import random
import re

import words as W

LISTS = {
    "colour": W.COLOURS, "look": W.LOOKS, "toy": W.TOYS, "food": W.FOODS, "taste": W.TASTES,
    "drink": W.DRINKS, "hiding": W.HIDING, "bug": W.BUGS, "bird": W.BIRDS, "flower": W.FLOWERS,
    "tree": W.TREES, "smell": W.SMELLS, "weather": W.WEATHERS, "day": W.DAYS, "season": W.SEASONS,
    "num": W.NUMS, "game": W.GAMES, "hobby": W.HOBBIES, "glad": W.GLAD, "sad": W.SAD,
    "afraid": W.AFRAID, "softly": W.SOFTLY, "gladly": W.GLADLY, "went": W.WENT,
    "looked": W.LOOKED, "trait": W.TRAITS, "alook": W.ALOOKS, "animal": W.ANIMALS,
    "time": ["morning", "afternoon", "evening"],
}
BRACE = re.compile(r"\{([^{}]*)\}")
SLOT = re.compile(r"\[(\w+)(?:\.(\w+)|(\+))?\]")
LIST = re.compile(r"@([a-z]+)(#?)")
AN = re.compile(r"\b([Aa]) (?=[aeio]|u(?!ni|se)|hon(?!ey))")
START = re.compile(r'(^"?|[.!?] "?|\." "?)([a-z])')
ODD = {"mouse": "mice", "goose": "geese", "puppy": "puppies", "pony": "ponies"}


def plural(x):
    head, _, last = x.rpartition(" ")
    if last in ODD:
        p = ODD[last]
    elif last.endswith(("s", "x", "ch", "sh", "ato")):
        p = last + "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        p = last[:-1] + "ies"
    else:
        p = last + "s"
    return (head + " " + p).strip()


class Who:
    def __init__(self, name, male, kind, look, other=""):
        self.name, self.male, self.kind, self.look, self.other = name, male, kind, look, other
        self.animal = kind not in ("boy", "girl")

    def form(self, f):
        m = self.male
        return {None: self.name, "he": "he" if m else "she", "him": "him" if m else "her",
                "his": "his" if m else "her", "kind": self.kind, "look": self.look,
                "intro": "%s %s" % (self.look, self.kind) if self.animal else
                         "%s and %s %s" % (self.look, self.other, self.kind),
                "+": "%s the %s" % (self.name, self.kind) if self.animal else
                     "%s %s" % (self.look, self.name),
                "a": "a %s %s" % (self.look, self.kind)}[f]


class World:
    def __init__(self, seed):
        self.r = r = random.Random(seed)
        self.paras, self.cur, self.v = [], [], {}
        male = r.random() < 0.5
        self.H, self.F = self.who(male, ""), None
        self.F = self.who(not male, self.H.name[0])
        self.E = Who("%s %s" % (r.choice(W.TITLES), r.choice(W.SURNAMES)), None, "neighbour", "")
        self.toy(r.choice(W.TOYS))
        self.place("P")
        self.place("P2")

    def who(self, male, letter):
        r = self.r
        name = r.choice([n for n in (W.BOYS if male else W.GIRLS) if n[0] != letter])
        if self.animals if letter else r.random() < 0.5:
            self.animals = True
            kind = r.choice([a for a in W.ANIMALS if not letter or a != self.H.kind])
            return Who(name, male, kind, r.choice(W.ALOOKS))
        self.animals = False
        return Who(name, male, "boy" if male else "girl", *r.sample(W.TRAITS, 2))

    def toy(self, noun):
        self.v["on"] = noun
        self.v["o"] = self.r.choice(W.LOOKS) + " " + noun

    def place(self, key):
        prep, noun = self.r.choice(W.PLACES)
        while key == "P2" and noun.split()[-1] == self.v["nP"].split()[-1]:
            prep, noun = self.r.choice(W.PLACES)
        np = "the %s %s" % (self.r.choice(W.PLOOKS), noun)
        self.v.update({key: prep + " " + np, "to" + key: "to " + np, "n" + key: np})

    def pick(self, key, template):
        """Chooses something once; [key] is the same from then on."""
        self.v[key] = self.fill(template)

    def slot(self, m):
        k, f, more = m.groups()
        return getattr(self, k).form(more or f) if k in "HFE" else self.v[k]

    def word(self, m):
        x = self.r.choice(LISTS[m.group(1)])
        return plural(x) if m.group(2) else x

    def fill(self, t):
        old = None
        while old != t:
            old = t
            t = BRACE.sub(lambda m: self.r.choice(m.group(1).split("|")), t)
            t = LIST.sub(self.word, SLOT.sub(self.slot, t))
        return t

    def say(self, *options):
        """Adds one of the options as a sentence."""
        s = re.sub(r"\s+", " ", self.fill(self.r.choice(options))).strip()
        s = AN.sub(lambda m: m.group(1) + "n ", s)
        self.cur.append(START.sub(lambda m: m.group(1) + m.group(2).upper(), s))

    def maybe(self, p, *options):
        if self.r.random() < p:
            self.say(*options)

    def para(self):
        if self.cur:
            self.paras.append(" ".join(self.cur))
            self.cur = []

    def text(self):
        self.para()
        return "\n".join(self.paras)
