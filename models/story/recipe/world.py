"""The state of one story and the little grammar that turns it into sentences.

A template is text with {this|that} choices (they nest), @list words and [slots]:
[H] the hero's name, [H.he] [H.him] [H.his] pronouns, [H.kind] "fox", [H.a] "a fat fox";
[F] the friend, [E] the grown-up, [o] "red kite", [P] "in the quiet meadow", [toP] "to the ...".
Hero and friend never share a pronoun and grown-ups are always named, so no "he" is ambiguous.
"""
import random
import re

import words as W
from thesaurus import swap

LISTS = {
    "move": W.MOVE, "look": W.LOOK, "glad": W.GLAD, "sad": W.SAD, "afraid": W.AFRAID,
    "softly": W.SOFT,
    "gladly": "happily merrily cheerfully proudly gladly joyfully brightly".split(),
    "sadly": "sadly quietly slowly glumly unhappily softly bitterly".split(),
    "care": "carefully gently slowly softly patiently quietly".split(),
    "fearof": "afraid scared frightened terrified".split(),
    "fcol": "red blue yellow orange purple pink white golden".split(),
    "tbird": "sparrow robin crow blackbird pigeon wren magpie cuckoo thrush swallow finch "
             "lark".split(),
    "fruit": "apple pear plum peach cherry berry carrot tomato bean melon potato nut".split(),
    "across": "across the road|round the corner|over the hill|down the lane|"
              "just up the hill".split("|"),
    "sit": """on the grass|on a stone|by the wall|on a log|on the steps|by the path|on a bench|
in the clover|
on the fence|under a bush|at the edge of the path|in the shade|on a low wall|beside a puddle|
on an old box""".replace("\n", "").split("|"),
    "weather": W.WEATHERS, "time": W.TIMES, "day": W.DAYS, "colour": W.COLOURS,
    "hiding": W.HIDING, "bug": W.BUGS, "bird": W.BIRDS, "flower": W.FLOWERS, "tree": W.TREES,
    "game": W.GAMES, "joy": W.SMALL_JOYS, "season": W.MONTHSEASON, "flavour": W.FLAVOURS,
    "food": W.FOODS, "looks": W.LOOKS, "placelook": W.PLACE_LOOKS, "animal": W.ANIMALS,
    "alook": W.ANIMAL_LOOKS, "job": W.JOBS, "toy": W.TOYS, "sur": W.SURNAMES, "trait": W.TRAITS,
    "soft_place": """on the grass|on a stone|on the fence|on a root|in the bushes|near the path|
on a branch|by the wall|in the reeds|on a leaf|in the sun|in the shade|on the gate|
under the hedge|in the ditch|on a twig|beside a puddle|along the path|
in the clover""".replace("\n", "").split("|"),
    "num": "two three four five six seven eight nine ten".split(),
    "near": """next door|across the road|round the corner|over the hill|down the lane|
on the other side of the river|at the end of the street|behind the church|near the bridge|
up the hill""".replace("\n", "").split("|"),
}
BRACE = re.compile(r"\{([^{}]*)\}")
SLOT = re.compile(r"\[(\w+)(?:\.(\w+))?\]")
LIST = re.compile(r"@([a-z_]+)(#?)")
AN = re.compile(r"\b([Aa]) (?=(?:[aeioAEIO]|u(?!ni|se)|U(?!ni|se)|hon(?!ey))\w)")


ODD = {"mouse": "mice", "goose": "geese", "wolf": "wolves", "deer": "deer", "sheep": "sheep"}


def plural(x):
    head, _, last = x.rpartition(" ")
    if last in ODD:
        p = ODD[last]
    elif last.endswith(("s", "x", "ch", "sh", "tato", "mato")):
        p = last + "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        p = last[:-1] + "ies"
    else:
        p = last + "s"
    return (head + " " + p).strip()


BIRDS = "duck hen goose owl penguin parrot sparrow robin crow swan chick".split()


TAGS = [
    "in a {soft|small|low|clear|sweet|shy|deep|merry|tired|brave|quick|@trait} {voice|"
    "whisper}",
    "with a {little|big|shy|sad|brave|funny|quick|slow|warm|small} {smile|nod|sigh|grin|"
    "cough|sniff|yawn}",
    "and {scratched|rubbed|wrinkled|touched} [S.his] {nose|ear|head|chin|cheek}",
    "and looked {up|down|over} at a @looks @toy",
    "and {pointed|nodded|looked} at a {@trait|@alook} @tbird",
    "{after|before|between} {a bite|two bites|@num bites} of @flavour @food",
    "and {picked|smelled|touched} a @fcol @flower",
    "while @num @bug# {hummed|danced|went} {by|past}",
    "and {put|pushed|pulled} a @looks {hat|cap|scarf|bag|box} {away|aside|closer}",
    "from behind a @looks {box|basket|chair|curtain|door|wall}",
    "and {kicked|picked up|turned over} a @looks {stone|pebble|stick|leaf}",
    "as {kindly|softly|sweetly|quietly|warmly} as a {@trait|@alook} @animal",
    "and {counted|watched|waved to} @num {@tbird#|clouds|@bug#|@bird#}",
    "under the @weather sky",
    "{near|beside|under} a @looks {cart|gate|bench|wagon|tent|ladder}",
]

STARTS = [
    "With a {little|big|shy|brave|funny|quick|slow|warm|small|@trait} {smile|nod|sigh|skip|"
    "jump|hum|hop}",
    "While {a|one} {@trait|@alook|@colour} {@tbird|@bug|@animal} {sang|watched|slept|passed|"
    "looked on|hummed}",
    "Under the {@weather|@colour} sky",
    "Near a {@looks|@placelook} {cart|gate|bench|wagon|wall|ladder|well|fence|shed}",
    "In the {@weather|sweet} air",
    "As {quick|quiet|brave|busy|soft|light|merry|careful} as a {@trait|@alook} {@animal|@bug|"
    "@bird}",
    "After {a bite|a sip|a bowl|a spoonful} of {soup|milk|cocoa|porridge|honey|tea|@flavour "
    "jam}",
    "Beside a {tall|small|old|young|crooked|round} @tree tree",
    "Before @num {minutes|breaths|heartbeats|bird songs} {had passed|were over}",
    "Among the @fcol @flower#",
    "With a @flavour @food in {one hand|a bag|a pocket}",
    "Humming {a @trait song|a song about @animal#|a song about @food#}",
    "Thinking of {@flavour @food#|a @looks @toy|@fcol @flower#}",
]

BEATS = [
    "[S] {scratched|rubbed|wrinkled|touched} [S.his] {nose|ear|head|chin|cheek} and {counted|"
    "watched} @num {@tbird#|clouds|@bug#|@bird#}",
    "[S] {hummed|sang} a {@trait|merry|sad|silly|short|long} song about {@animal#|@flavour "
    "@food#|@bug#|@tbird#|the @season}",
    "[S] {waved to|nodded at|smiled at|looked at|winked at} a {@trait|@alook} {@animal|"
    "@tbird}",
    "[S] {picked up|found|turned over|stepped over} a @looks {stone|pebble|stick|leaf|"
    "feather|nut|shell}",
    "[S] {thought of|dreamed of|wished for} {@flavour @food#|a @looks @toy|@fcol @flower#|"
    "@joy}",
    "@flavour @food# would {be nice|taste good|help} now, [S] thought",
    "[S] {ate|nibbled|dropped} a @flavour @food",
    "[S] {picked|smelled|sniffed at|jumped over} a @fcol @flower",
]
ADJ = """little big old new small wide tall nice fine warm cool green red blue white brown grey
yellow pretty lovely clean dusty shiny round long broad narrow wooden simple crooked bright dark
quiet cosy funny strange soft""".split()
HOW = [x.replace("_",
    " ") for x in """softly slowly quietly gently calmly quickly bravely carefully shyly proudly
lightly at_once for_a_while for_a_moment a_little once_more in_the_sun in_the_shade""".split()]
NOUN = re.compile(
    r"\b([Aa]|[Tt]he|his|her|my|your) (door|window|house|path|box|wall|table|bed|river|"
    r"sky|tree|hole|pot|bush|bench|basket|bag|blanket|chair|floor|roof|gate|fence|road|"
    r"lane|stone|log|puddle|leaf|clock|lamp|light|cup|hat|scarf|pillow|curtain|stairs|"
    r"corner|rug|cart|barrel|well|ditch|shed|hedge|nest|reeds|clover|grass|mud|hay|boot|"
    r"branch|twig|voice|sound|noise|room|kitchen|hall|attic|barn|seed|game|song|story|"
    r"prize|race|plan|day|promise|shop|money|coins|shopkeeper|bread|soup|cake|pie|crowd|"
    r"line|bridge|field|hill|hills|sea|village|market|pocket|ground|garden|air|wind|moon|"
    r"stars|trees|bushes|picture|present|gift|friend|heart|nose|head|knee|smile|nap|plate|"
    r"shelf|steps|step|yard|cave|castle)\b")
VERB = re.compile(
    r"\b(smiled|laughed|nodded|waited|sat down|stopped|listened|worked|clapped|cheered|"
    r"sang|danced|hummed|giggled|looked up|walked|played)\b(?=[.,]| and)")
HE = re.compile(r"(\b(?:and|but|that|because|when|so|while|until|then|as|yet|how|since|for) )"
                r"(he|she)\b")
AND = re.compile(
    r"((?:,|but|\w) (?:and|but) )((?:was|felt|could|went|ran|looked|sat|stood|lay|put|"
    r"took|began|said|thought|tried|hid|held|carried|brought|gave|dreamed|hurried|came|"
    r"smiled|laughed|fell|turned|waited|[a-z]{3,}ed) )")
THEY = re.compile(r"(?<!all )\b([Tt]hey|[Tt]he two friends|[Tt]he friends|[Tt]he two)\b"
                  r"(?! (?:first|second|all|both))")
STOP = re.compile(r'([.!?,]?)"([.,])(?!\w)')  # a full stop stands inside the quotation marks
START = re.compile(r'(^"?|[.!?] "?|\." "?)([a-z])')
SPEAK = ("said|cried|asked|answered|laughed|whispered|shouted|called|sighed|groaned|giggled|"
         "thought|begged")


class Who:
    def __init__(self, name, male, kind, look=None):
        self.name, self.male, self.kind, self.look = name, male, kind, look
        self.trait = look or "little"

    def form(self, f):
        m = self.male
        return {None: self.name, "he": "he" if m else "she", "him": "him" if m else "her",
                "his": "his" if m else "her",
                "kind": self.kind, "obj": self.name,
                "trait": self.trait,
                "hand": "hand" if self.kind in ("boy", "girl") else
                        "wing" if self.kind in BIRDS else "paw",
                "a": ("a " + self.look + " " if self.look else "a ") + self.kind}[f]


def people(r, male):
    return Who(r.choice(W.BOYS if male else W.GIRLS), male, "boy" if male else "girl")


def animal(r, male, not_kind=()):
    kind = r.choice([a for a in W.ANIMALS if a not in not_kind and (a != "hen" or not male)])
    name = r.choice(W.PETNAMES if r.random() < 0.7 else (W.BOYS if male else W.GIRLS))
    return Who(name, male, kind, r.choice(W.ANIMAL_LOOKS))


class World:
    def __init__(self, seed):
        self.r = r = random.Random(seed)
        self.paras, self.cur, self.recent = [], [], []
        male = r.random() < 0.5
        self.animals = r.random() < 0.45
        if self.animals:
            self.H = animal(r, male)
            self.F = animal(r, not male, (self.H.kind,))
        else:
            self.H, self.F = people(r, male), people(r, not male)
            if r.random() < 0.15:
                self.F = animal(r, not male)
        while self.F.name == self.H.name:
            self.F.name = r.choice(W.PETNAMES if self.F.kind not in ("boy", "girl") else
                                   (W.BOYS if self.F.male else W.GIRLS))
        if r.random() < 0.45:
            em = r.random() < 0.5
            kin = r.choice(W.ELDERS_M if em else W.ELDERS_F)
            kn = r.choice(W.BOYS if em else W.GIRLS)
            self.E = Who(kin.capitalize() + " " + kn, em, kin)
            self.E.kin = True
        else:
            em = r.random() < 0.5
            if r.random() < 0.3:
                n = "Farmer " + r.choice(W.SURNAMES)
            elif r.random() < 0.4:
                n = "Old " if r.random() < 0.4 else ""
                n += ("Mr. " if em else "Mrs. ") + r.choice(W.SURNAMES)
            else:
                n = "Mr. " if em else "Mrs. "
                n += r.choice(W.SURNAMES) + " the " + r.choice(W.JOBS)
            self.E = Who(n, em, "neighbour")
            self.E.kin = False
        self.H.trait, self.F.trait = r.sample(W.TRAITS, 2)
        self.toy(r.choice(W.TOYS))
        self.place()
        self.v = {}

    def toy(self, noun, look=None):
        self.obj = (look or self.r.choice(W.LOOKS)) + " " + noun
        self.noun = noun

    def place(self, key=""):
        prep, np = self.r.choice(W.PLACES)
        while key and np.split()[-1] == self.P[1].split()[-1]:
            prep, np = self.r.choice(W.PLACES)
        if self.r.random() < 0.6 and len(np.split()) == 2:
            np = "the " + self.r.choice(W.PLACE_LOOKS) + " " + np.split()[1]
        setattr(self, "P" + key, (prep, np))

    def slot(self, m):
        k, f = m.group(1), m.group(2)
        if k in ("H", "F", "E", "S"):
            return getattr(self, k).form(f)
        if k == "o":
            return self.obj
        if k == "on":
            return self.noun
        if k in ("P", "P2"):
            return " ".join(getattr(self, k))
        if k in ("toP", "toP2"):
            return "to " + getattr(self, k[2:])[1]
        if k in ("nP", "nP2"):
            return getattr(self, k[1:])[1]
        return self.v[k]

    def word(self, m):
        x = self.r.choice(LISTS[m.group(1)]).replace("_", " ")
        return plural(x) if m.group(2) else x

    def fill(self, t):
        while True:
            u = BRACE.sub(lambda m: self.r.choice(m.group(1).split("|")), t)
            u = SLOT.sub(self.slot, u)
            u = LIST.sub(self.word, u)
            if u == t:
                return u
            t = u

    def say(self, *options):
        """Adds one of the options; choices made lately in this story are not made again."""
        t = self.r.choice([o for o in options if o not in self.recent] or options)
        self.recent.append(t)
        s = re.sub(r"\s+", " ", self.fill(t)).strip()
        s = swap(s, self.r)
        s = self.vary(s)
        s = AN.sub(lambda m: m.group(1) + "n ", s)
        s = STOP.sub(lambda m: (m.group(1).strip(",") or m.group(2)) + '"', s)
        s = START.sub(lambda m: m.group(1) + m.group(2).upper(), s)
        self.cur.append(s)
        if self.paras and s[-1] in ".!":
            self.beat(0.12)

    def vary(self, s):
        """Little turns that any sentence may take: they keep twelve words from coming twice."""
        r, seen = self.r, " ".join(self.paras + self.cur)
        for who in (self.H, self.F):  # a speaker does something while speaking
            if r.random() < 0.8:
                tag = self.fill_for(who, r.choice(TAGS))
                s = re.sub(r'([,!?]" (?:%s) %s)(?=[.])' % (SPEAK, who.name),
                           lambda m: m.group(1) + " " + tag, s, count=1)
        for who in (self.H, self.F):  # "little Tom", "kind Tom", "the kind boy"
            if who.name in seen and r.random() < 0.15:
                other = r.choice([who.trait + " " + who.name, who.trait + " " + who.name,
                                  "the " + who.trait + " " + who.kind])
                parts = s.split('"')
                k = r.randrange(0, len(parts), 2)
                parts[k] = re.sub(r"\b%s\b" % who.name, other, parts[k], count=1)
                s = '"'.join(parts)
        s = self.enrich(s)
        m = re.match(r"(%s|%s) (?!and)" % (self.H.name, self.F.name), s)
        if m and '"' not in s:
            again = m.group(1) + " "
            s = AND.sub(lambda x: x.group(1) + (again if r.random() < 0.35 else "") + x.group(2),
                        s, count=1)
        name = s.startswith((self.H.name + " ", self.F.name + " "))
        if r.random() < 0.3 and (name or re.match(r"(They|The two|He|She) ", s)):
            s = self.fill(r.choice(STARTS)) + ", " + (s if name else s[0].lower() + s[1:])
        return s

    def enrich(self, s):
        r, H, F = self.r, self.H.name, self.F.name
        both = F in " ".join(self.paras + self.cur) + s
        out = s.split('"')
        for k, part in enumerate(out):
            if k % 2:  # speech: call the other one by name
                follow = out[k + 1] if k + 1 < len(out) else ""
                m = re.match(r" (?:%s) ([\w-]+)" % SPEAK, follow)
                to = F if m and m.group(1) == H else H if m and m.group(1) == F else None
                if to and both and H not in part and F not in part and r.random() < 0.8:
                    if r.random() < 0.25:
                        keep = re.match(r"I\b|I'", part)
                        part = to + ", " + (part if keep else part[0].lower() + part[1:])
                    else:
                        part = re.sub(r"([,.!?])$", lambda m: ", " + to + m.group(1), part)
                part = NOUN.sub(lambda m: self.adjective(m, 0.25), part)
            else:
                part = HE.sub(lambda m: self.named(m, both), part)
                part = NOUN.sub(lambda m: self.adjective(m, 0.4), part)
                part = VERB.sub(lambda m: m.group(0) + self.how(), part)
                if both:
                    part = THEY.sub(
                        lambda m: self.pair() if r.random() < 0.75 else m.group(0), part)
            out[k] = part
        return '"'.join(out)

    def how(self):
        return " " + self.r.choice(HOW) if self.r.random() < 0.3 else ""

    def named(self, m, both):
        who = self.H if self.H.male == (m.group(2).lower() == "he") else self.F
        if (who is self.F and not both) or self.r.random() < 0.5:
            return m.group(0)
        return m.group(1) + self.r.choice([who.name, who.name, who.trait + " " + who.name,
                                           "the " + who.trait + " " + who.kind])

    def pair(self):
        a, b = self.H, self.F
        if self.r.random() < 0.4:
            a, b = b, a
        t = self.r.choice(["%s and %s", "%s and %s", "%s and %s",
                           a.trait + " %s and %s", "%s and " + b.trait + " %s"])
        return t % (a.name, b.name)

    def adjective(self, m, p):
        new = self.r.choice(ADJ) + " " if self.r.random() < p else ""
        return m.group(1) + " " + new + m.group(2)

    def fill_for(self, who, t):
        self.S = who
        return self.fill(t)

    def beat(self, p):
        if self.r.random() < p:
            seen = " ".join(self.paras + self.cur)
            who = self.r.choice([x for x in (self.H, self.F) if x.name in seen])
            s = self.fill_for(who, self.r.choice(BEATS)) + "."
            self.cur.append(AN.sub(lambda m: m.group(1) + "n ", s[0].upper() + s[1:]))

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

    # ---- scenes that many stories share ----

    def opening(self):
        r = self.r
        w, child = self.H, self.H.kind in ("boy", "girl")
        if child:
            self.v["who"] = "{a|a little|a [H.trait]|a [H.trait]} %s {called|named} [H]" % w.kind
        else:
            self.v["who"] = "{a %s|a %s|a [H.trait] little} %s {called|named} [H]" % (
                w.look, w.look, w.kind)
        home = r.choice(W.HOMES if child or r.random() < 0.3 else W.DENS)
        if r.random() < 0.35 and home in W.HOMES:
            home += self.fill(" with {a @colour {door|roof|gate|chimney}|@num @colour {windows|"
                              "steps|rooms}}")
        self.v["home"] = home
        self.v["kin"] = (self.E.name if self.E.kin else
                         "[H.his] " + r.choice(W.ELDERS_F + W.ELDERS_M))
        self.say("Once upon a time there {was|lived} [who].",
                 "Once upon a time there {was|lived} [who].",
                 "Once upon a time there was [who], who lived in [home] {with [kin]|[P]|@across "
                 "from [F] the [F.kind]|@across from {Mr.|Mrs.} @sur the @job}.",
                 "Once upon a time, in [home] [P], {there lived|lived} [who].",
                 "Once upon a time [who] lived in [home] [P].",
                 "{Long ago|Once|Not so long ago}, [P], there {was|lived} [who].",
                 "There was once [who], who lived in [home] {[P]|@across from {Mr.|Mrs.} @sur "
                 "the @job}.",
                 "[who] lived in [home] [P].", "In [home] [P] lived [who].",
                 "One @weather {@day|@time}, [who] {woke up early|looked out of the window|sat "
                 "[P]|went [toP]}.")
        if r.random() < 0.55:
            likes = ("[H] {loved to|liked to} {sing|dance|dig|swim|climb|hop|play|nap|splash|"
                     "explore} "
                     "{[P]|when it was @weather|on @weather {mornings|evenings}|all @season}."
                     if self.animals else
                     "[H] {loved to|liked to|was always glad to} {sing|dance|paint|read|dig|swim|"
                     "climb|whistle|hop|bake|draw|play|laugh|help|explore} {[P]|with @num other "
                     "{children|friends}|when it was @weather|on @weather {mornings|evenings}|"
                     "all @season}.")
            r.random()  # a draw that the published corpus was made with
            self.say(likes,
                     "Everyone {[P]|@near|in the village} {knew|said} that [H] was {very|so|"
                     "quite|really} @trait.",
                     "Most of all, [H] liked {@joy and @joy|@flavour @food# and @joy}.",
                     "[H.his] {best|dearest|oldest} friend was [F.a] {called|named} [F].")

    def friend(self):
        """Names the friend before the friend acts."""
        if self.F.name not in " ".join(self.paras + self.cur):
            self.say("[H.his] {best|good|dear} friend was [F.a] {called|named} [F].",
                     "[F], [F.a], lived {@near in a @looks house|close by in a @colour house|"
                     "[P]}, and {they|the two} {were friends|often played together|shared {all|"
                     "many} secrets}.",
                     "{Every @day|On most days|After breakfast}, [H] {played|walked|met up} with "
                     "[F.a] {called|named} [F].",
                     "[H] had a {good|dear|true|@trait} friend, [F.a] {called|named} [F].")

    def detail(self, p=0.6):
        self.maybe(p,
            "{A|One} @colour @bug {sat|slept|crawled|hummed|rested} @soft_place.",
            "{A|One} {little|fat|@trait} @tbird {sang|hopped|called|rested|chirped} @soft_place.",
            "@num {little|fat|@colour} {@bird#|@bug#} {sat|danced|played|rested} @soft_place.",
            "The {@tree|@tree} trees {were full of @tbird#|shook in the wind|smelled {sweet|"
            "fresh}|stood {very still|in a row}} [P].",
            "{Far away|Somewhere|Not far off|@near}, a {dog barked|bell rang|door creaked|goat "
            "bleated|hen clucked|cart rattled|boy whistled|cow mooed|baby laughed|donkey "
            "brayed}{| @softly}.",
            "The {air|wind|path|grass} smelled of {@flower#|{warm|fresh} bread|rain|honey|pine|"
            "apples|smoke|hay}.",
            "@fcol @flower# {grew|nodded|opened} {along the path|by the wall|near a @tree tree|"
            "beside the {gate|pond|well}}.",
            "The sky {was|turned} @colour, {and|while} the {clouds|shadows} {looked like {sheep|"
            "ships|pillows|mountains}|drifted by @softly|were very {small|big|long}}.",
            "A {soft|cold|warm|strong|@weather} wind {blew|came} {from the {hills|sea|north|"
            "west}|over the {fields|roofs|hedge}|through the @tree trees}.")

    def when(self):
        self.v["when"] = self.r.choice(["One @weather @time", "One @day @time", "One @weather @day",
                                       "One @season @time", "On a @weather @season day",
                                       "One day in @season", "Early one @weather @time",
                                       "Late one @day", "One @weather day", "One day"])

    def lesson_end(self, *extra):
        self.para()
        self.say(*extra,
            "{That evening|That night|Before bed|At supper|When the stars came out}, [H] {had|"
            "shared|enjoyed} @joy {with [F]|by the {fire|window|lamp}|and told {everyone|the "
            "{moon|stars|cat}} about the [o]}."
            if self.v.get("obj_end") else
            "{That evening|That night|Before bed|At supper|When the stars came out}, [H] {had|"
            "shared|enjoyed} @joy {with [F]|by the {fire|window|lamp}|and {sang|smiled|hummed} "
            "@gladly}.",
            "[H] and [F] {@game|@game} until {the sun went down|it grew dark|supper|the moon "
            "rose|it was time for @joy}.",
            "[H] {fell asleep|went to bed|curled up} {that night|at last|under a @looks blanket} "
            "and dreamed of {a @looks @toy|@flavour @food#|@colour @flower#|[nP]}.",
            "{And so|From that day on|After that|Ever since then}, [H] and [F] {@game|met [P]|"
            "shared @joy} {every @day|each @time|all through the @season|whenever it was "
            "@weather}.",
            "[H] {laughed|smiled|was @glad|felt @glad}, because the {whole|long} {day|@time} "
            "{had been|was} {full of {fun|@trait friends|surprises|@looks things|@joy and songs} "
            "for [H]|better than @joy for [F]|as {sweet|good|nice} as @joy}.",
            "[F] {gave [H] a hug|held [H.his] hand|smiled at [H]}, and {they|the two friends} "
            "{went|walked|ran} home {@softly|{through|across} the @weather {fields|lanes|"
            "evening}|to eat @joy}.")
        self.maybe(0.25, "It had been a {good|lovely|wonderful|very good|fine} {day|@day} [P].",
                   "{And that was|That was} the {end|story} of {[H]|[F]} and the [o]."
                   if self.v.get("obj_end") else
                   "{Now|And now|After all that} [H] was {very|truly|so} @glad.",
                   "The end.")
