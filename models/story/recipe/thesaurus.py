"""Groups of expressions that a story may exchange freely; one line is one group.

They are applied to finished sentences, longest expression first. Together with the word lists they
make sure that two stories hardly ever use the same twelve words in a row. A "!" in front of an
expression means that it is only put in, never replaced (it has other meanings, too).
"""
import re

GROUPS = """
did not know|had no idea|could not tell
wanted to|wished to|hoped to|longed to|!was eager to|!was keen to|meant to|would have liked to
began to|started to
tried again|had another try|!gave it another go|tried once more|!had one more go
just then|at that moment|right then|!that very moment|!all of a sudden
all at once|!in a flash|!all of a sudden|!without warning|!suddenly
at last|in the end|finally|!at long last|!after a good while
after a while|a little later|before long|by and by|!some time later|!a bit later|!in a little while
next day|!day after|!following day
first of all|to begin with|!at the start
that evening|that night|!later that evening|!at the end of the day|!when evening came|
!when night fell|!after sunset
when the stars came out|!under the first stars|!as the stars came out|!when the moon rose|
!when the sky grew dark
before bed|!before bedtime|!before going to bed|!before it was time to sleep
at supper|!at supper time|!over supper|!at the supper table|!after supper
from that day on|ever since then|!from then on|!since that day|!ever after
everyone|!everybody
nobody|no one
said that|!thought that|!felt sure that
friend|!friend|!pal|!playmate|!companion
good friend|!close friend|!great friend|!old friend
for a while|for a moment|!for a bit|!for some time
looked at|!gazed at|!stared at|!glanced at|!peered at
noticed|saw|!spotted
discovered|found|!came across
raced|dashed|rushed|hurried|ran|!sped
walked|wandered|strolled|!trotted|!strode|!stepped|!ambled
came by|came along|!passed by|!happened to pass|!turned up|!stopped by
jumped up|!sprang up|!leapt up
jumped|!leapt|!hopped|!bounced
smiled|!grinned|!beamed
laughed|giggled|!chuckled
clapped|cheered|!hooted|!whooped|!shouted hooray
sat down|!took a seat|!settled down|!had a seat|!plopped down
fell over|!toppled over|!tumbled down
fell apart|!came apart|!went to pieces
thought about|thought of|!had to think of|!kept thinking of|!could not forget
could not sleep|!lay awake|!could find no sleep|!could not close an eye|!was wide awake
fell asleep|!dropped off|!drifted off|!nodded off|!dozed off
dreamed of|!dreamt of|!dreamed about
was asleep|!was fast asleep|!was sound asleep
afraid|scared|frightened
too hard|!much too hard|!far too difficult
very much|!so much|!terribly|!a great deal
better than|nicer than|!finer than|!sweeter than
as good as|as nice as|as sweet as|!as fine as|!as lovely as
in the middle|!in the centre|!right in the middle
all day|!all day long|!the whole day|!from morning to evening
at home|!back at the house|!once home
on the way|!along the way|!halfway there
once more|!one more time|!yet again
until late|!until it was late|!long into the evening|!until bedtime
mended|fixed|!repaired|!patched up
happily|merrily|cheerfully|gladly|joyfully
gently|softly|carefully|tenderly
grew and grew|!grew ever bigger|!shot up|!grew bigger and bigger|!grew fast
every day|each day|!day after day
crying|weeping|sobbing|!in tears
up again|!up afresh|!up one more time
was keen to win|hoped to win|wanted to win|wished to win|!dreamed of winning
did not help|was no good|!was of no use|!helped little|!did no good
there were too many|the room had too many|!there were far too many|!it was full of
what do you think|do you know|!would you believe it|!guess what|!just think
it was hard to leave|it was not easy to leave|!how hard it was to leave|!nobody likes to leave|
!it was a pity to leave
looked out of the earth|peeked out of the earth|!broke through the soil|!rose from the ground|
!poked up out of the soil
deep breath|!long breath|!big breath|!slow breath
"""
MEMBERS = {}
for g in GROUPS.replace("|\n", "|").strip().splitlines():
    g = g.split("|")
    for x in g:
        if not x.startswith("!"):
            MEMBERS.setdefault(x, [y.strip("!") for y in g])
MEMBERS.update({"very": ["very", "so", "quite", "really", "truly", "rather"],
                "named": ["named", "called"], "put the": ["put the", "placed the", "set the"],
                "under": ["under", "beneath"], "next to": ["next to", "beside", "close to"],
                "beside": ["next to", "beside", "close to"]})
LONGEST = sorted(map(re.escape, MEMBERS), key=len, reverse=True)
FIND = re.compile(r"\b(%s)\b" % "|".join(LONGEST), re.I)
SPOKEN = {"said": "said said said said answered replied".split(),
          "cried": "cried shouted called exclaimed".split(),
          "whispered": "whispered murmured breathed".split(),
          "sighed": "sighed groaned moaned grumbled".split()}
SPOKEN.update({y: v for v in list(SPOKEN.values()) for y in v})
SPOKE = re.compile(r'(?<=[,!?]" )(%s)\b' % "|".join(SPOKEN))


def swap(s, r):
    def one(m):
        x = m.group(0)
        y = r.choice(MEMBERS[x.lower()])
        return y[0].upper() + y[1:] if x[0].isupper() else y
    return SPOKE.sub(lambda m: r.choice(SPOKEN[m.group(0)]), FIND.sub(one, s))
