"""More plots; see plots_one.py."""
import words
from scenes import air, comfort, end, start, thanks

SKILLS = [("swim", "in the water"), ("whistle", "with a leaf"), ("skate", "on the ice"),
    ("bake bread", "with the dough"), ("draw a horse", "on paper"),
    ("skip rope", "with the rope"), ("play the flute", "on the flute"),
    ("catch a ball", "with the ball"), ("fly a kite", "with the kite"), ("read", "with a book"),
    ("row a boat", "in the boat"), ("play the drum", "on the drum"), ("dance", "in the hall"),
    ("paint a tree", "with a brush"), ("make pancakes", "with the pan"), ("dive", "in the lake"),
    ("climb a rope", "on the rope"), ("juggle", "with apples"), ("ride a bike", "on the bike"),
    ("tie a bow", "with a ribbon")]


def learning(w):
    start(w)
    w.v["s"], w.v["how"] = w.r.choice(SKILLS)
    w.say("[H] wanted to [s] {like|as well as} [F] [P], but could not.",
          "[F] could [s] [P], and [H] {watched|saw} [F.him] every @time.",
          "[H] {wanted|wished} to [s] with [F] more than [H.he] wanted @taste @food#.")
    w.say('[when], [H] said to [F], "I {want to|will} learn to [s] [P]."',
          "[when], [H] @went [toP] with [F], {to learn|and wanted} to [s].")
    w.say("{At first|The first time}, [H+] tried [how], but [H.he] fell over a @look @toy near "
          "[nP].",
          "{At first|The first time}, [H+] tried [how] [P], but @num @colour @bird# {laughed|flew "
          "away}.")
    w.say('"[F], I {can\'t do it|will never learn to [s]}!" {said|cried} [H] and threw down a '
          '@look @toy.',
          "[H] {was|felt} {very|so} @sad, kicked a @look stone and looked at [F].")
    w.para()
    comfort(w)
    w.say('"[H], I tried @num times [P] before I could [s]," said [F+] {and smiled|@softly}.',
          '"[H], {go slowly|do not hurry|sing a song} and try {again|once more}," said [E] [P].')
    w.say("So [H] {tried|practised} every @time [P], and [F] {helped|watched} with a @look @toy.",
          "So [F] helped [H] every @time [P], and on @day [H] was {better|a little better}.")
    air(w, 0.2)
    w.para()
    w.say("{At last|Then|And then}, one @weather @time, [H] could [s] {as well as|with} [F]!",
          "After @num {days|weeks}, [H+] {smiled at|looked at} [F] and could [s] {at last|all "
          "@time}!")
    w.say('"[F], {look|look at me|I can do it}!" {cried|called} [H], and [F] threw a @look @toy in '
          'the air.',
          "[F] threw a @look @toy into the air, and [H] {sang|danced|laughed} @gladly [P].")
    thanks(w)
    end(w, "Now [H] {showed|taught} @num {friends|little ones} [P] how to [s], and [F] helped "
           "@gladly.")


SMALL = """mouse rabbit kitten puppy lamb squirrel frog sparrow owl duck robin swan hedgehog mole
calf""".split()


def helping(w):
    start(w)
    others = [a for a in SMALL if a not in (w.H.kind, w.F.kind)]
    w.pick("an", "@colour " + w.r.choice(others))
    w.pick("it", "@look {net|rope|ribbon|string|wire|chain|scarf|cloth|bag}")
    w.pick("leg", "{foot|leg|neck|tail|head|back}")
    w.pick("where", "@hiding")
    w.say("[when], [H] and [F] @game [P], when [H.he] {saw|found} a little [an] [where].",
          "[when], [H] @went [toP] with [F] and {saw|found} a little [an] [where].")
    w.say("A [it] was {tied|stuck} around its [leg], and [H] and [F] {were|felt} very @sad.",
          "[F] saw a [it] around its [leg], and [H] spoke to the [an] @softly [P].")
    w.say('"{Don\'t be afraid|Hold still}, little [an]," said [H+] and gave it a @taste @food.',
          '"[F], {can|how can} we help the [an] from [nP2]?" asked [H] and held out a @taste '
          '@food.')
    w.para()
    w.say("[F+] {ran|hurried} to {get|fetch} a @look {blanket|basket|cup|towel} from [E], and [H] "
          "stayed with the [an].",
          "[H] {sent|asked} [F+] to {get|fetch} [E], and [F] came back with a @look "
          "{basket|blanket|towel|cup}.")
    w.say("@softly, [H] {took|cut} the [it] off the [leg] of the [an], {and|while} [F] "
          "{sang|watched}.",
          "Then [H] {took|pulled} the [it] off its [leg], and [F] gave the [an] a @taste @food.")
    w.say("[H] and [F] {made|built} a @colour bed in a @look {box|basket|hat|bucket}, and [E] "
          "brought @taste @food#.",
          "[H] and [F] sang to the [an] near [nP2] and gave it a @taste @food.")
    w.maybe(0.4, '"[H] and [F], you are {good|kind} to the little [an]," said [E].')
    w.para()
    w.say("{On @day|One @weather @time}, the [an] was well, and [H] {took|brought} it [toP2] with "
          "[F].",
          "After @num days the [an] could {run|play|eat} again, and [H] {took|carried} it [toP2].")
    w.say('"{Goodbye|Farewell}, little [an]," said [H], and [F] waved a @look @toy.',
          "[H] and [F] waved, and from [nP2] it {looked back|turned around} at [H+].")
    w.maybe(0.6, "@num days later, [H] got a @colour @flower from the [an], and [F] got a @taste "
                 "@food.")
    end(w)


def rain(w):
    start(w)
    w.pick("plan", "a {picnic|ball game|boat trip|long walk|tea party|puppet show|snail "
                   "race|treasure hunt|dance|concert}")
    w.say("[when], [H] and [F] {planned|wanted to have} [plan] [P].",
          "[when], [H] {was|felt} @glad, {for|because} [F] and [E] had planned [plan] [P].")
    w.say("[H] {packed|brought} a @taste @food, and [F] {packed|brought} a [o].",
          "[F] and [H] {packed|filled} a @look {bag|basket} with @num @food# and a [o].")
    w.say("But when [H] and [F] {came|got} [toP], {it began to rain|a storm came|it rained and "
          "rained}.",
          "But {just then|soon} @colour clouds came from [nP2], and [H] and [F] got {wet|cold}.")
    w.say('"[F], {our day|our plan} is {spoiled|over}," said [H+] and put down the [o].',
          "[H+] {was|felt} @sad, looked at the [o] and did not want @taste @food#.")
    w.para()
    comfort(w, 0.3)
    w.pick("in", "{in|behind|near} the @look {barn|kitchen|attic|hall|shed|hut|tent|cellar}")
    w.say('"[H], {I know|wait}, we can {have [plan]|do it} [in]!" said [F].',
          '"[H], we will have [plan] [in]," said [F] and took the [o].')
    w.say("So [H] and [F] {put|laid} a @look {blanket|rug} [in] and {set|put} the [o] on it.",
          "So [F] {made|built} {an island|a ship|a cave|a castle} of @look "
          "{boxes|pillows|blankets}, and [H] put the [o] on top.")
    w.say("There [H] and [F] @game and ate @taste @food# {[in]|with [E]}.",
          "[E] {brought|gave} [H] and [F] @drink and @taste @food#, and they @game [in].")
    w.para()
    w.say("Later [H] and [F] saw {a rainbow|the sun} over [nP] and @went to [nP2].",
          "After the {rain|storm}, [H] and [F] {ran out|@went} [toP] and @game near [nP2].")
    w.say('"[F], this was {better than|as good as} @drink and @taste @food#," said [H] @gladly.',
          "[H+] {said|thought} that a {wet|@weather} @day with [F] and the [o] was the best of "
          "all.")
    end(w)


TASKS = [("feed the %s hens", "fed the hens"), ("water the %s beans", "watered the beans"),
         ("bring in the %s coats", "brought in the coats"), ("close the %s gate", "closed the "
                                                                                  "gate"),
         ("light the %s lamp", "lit the lamp"), ("fill the %s pail", "filled the pail"),
         ("sweep the %s steps", "swept the steps"), ("pick the %s pears", "picked the pears"),
         ("feed the %s rabbits", "fed the rabbits"), ("stir the %s soup", "stirred the soup"),
         ("wash the %s cups", "washed the cups"), ("brush the %s pony", "brushed the pony"),
         ("paint the %s fence", "painted the fence"), ("carry the %s logs", "carried the logs"),
         ("mend the %s sacks", "mended the sacks"), ("rake the %s leaves", "raked the leaves")]


def promise(w):
    start(w)
    t, done = w.r.choice(TASKS)
    c = w.r.choice(words.COLOURS)
    w.v.update(t=t % c, done=done.replace("the ", "the %s " % c))
    w.say('[when], [E] asked, "[H], {can you|will you} [t] {today|for me|before dark}?"',
          "[when], [E] @went [toP2] and {asked|told} [H] to [t].")
    w.say('"{Yes|Of course}, [E], {I promise|I will}," said [H+] and put {down|away} a @look @toy.',
          "[H+] promised it to [E] @gladly and {put down|put away} a @look @toy.")
    w.say("But {soon|then} [F] came {by|along} with a [o] and said, \"[H], come with me [toP]!\"",
          "But on the way, [H] met [F], who had a [o] and wanted to play [P].")
    w.say("[H] and [F] @game and @game [P], and [H] forgot {the promise|[E]}.",
          "[F] and [H] @game with the [o], and [H] {forgot|did not think of} [E] and the promise.")
    air(w, 0.3)
    w.para()
    w.say('Then a @colour @bird {called|sang}, and [H] {stopped|jumped up}. "[F], I must [t] for '
          '[E]!" [H.he] cried.',
          'At noon, [H] {put down|dropped} the [o]. "[F], I must go and [t] for [E]," [H.he] said.')
    w.say('"[H], {stay here|one more game} with the [o]," said [F+] and @game.',
          "It was hard for [H] to leave [F] and the [o] [P].")
    w.say('"[F], I gave my word to [E]," said [H] and {ran|hurried} home past [nP2].',
          "But [H+] {said goodbye to|left} [F] and {ran|hurried} home past [nP2].")
    w.say("{There|At home}, [H] [done] in @num minutes, and [E] was not back from [nP2] yet.",
          "{There|At home}, [H] [done] {@softly|at once} with a @look {cap|apron|scarf} and a "
          "@look {cup|rope|bag}.")
    w.maybe(0.5, "[F] came, too, and helped [H] with a @look {bag|rope|box} {@gladly|from [E]}.")
    w.para()
    w.say("When [E] came back from [nP2], [H] {got|was given} a @taste @food, and [F] got a @food.",
          '"[H], {well done|you kept your word|I can trust you}," said [E] and gave [H.him] {a '
          '@taste @food|a @look @toy}.')
    end(w)


NOISES = [("Tap, tap", "branch"), ("Scratch, scratch", "kitten"), ("Creak, creak", "door"),
    ("Drip, drop", "tap"), ("Rustle, rustle", "hedgehog"), ("Thump, thump", "puppy"),
    ("Squeak, squeak", "mouse"), ("Hoo, hoo", "owl"), ("Tick, tack", "clock"),
    ("Crunch, crunch", "goat"), ("Splash, splash", "duck"), ("Bump, bump", "hen")]


def noise(w):
    start(w)
    w.v["snd"], src = w.r.choice(NOISES)
    w.pick("src", "a @look " + src)
    w.v.update(zip(("h1", "h2"), w.r.sample(words.HIDING, 2)))
    w.say('One @weather night, [H] woke up with a [o] in the bed [P]. "[snd]!" it {went|came} from '
          'near [nP2].',
          'One @weather night, [H] and [F] slept in a @look {tent|hut|room} [P]. "[snd]!" it went, '
          'and [H] woke up.')
    w.say('"[F], {is it|was that} a @colour {monster|dragon|giant|ghost}?" {asked|whispered} [H] '
          'and held a [o].',
          "[H+] was @afraid, held a [o] and {woke|called} [F] @softly.")
    w.say('"[H], {listen|be brave}, {we will|let us} look," said [F+] and took a @look '
          '{lamp|candle|lantern}.',
          "[F+] {took|lit} a @look {lamp|candle|lantern}, and [H] {took|held} the [o].")
    w.para()
    w.say("First [H] and [F] @looked [h1], but {found only|there was only} a @look @toy.",
          "First [F] @looked [h1], but [H] {saw|found} only a @colour @bug and a @look @toy.")
    w.say("Then [H] @looked [h2], but [F] {saw|found} only a @colour @bug and @num @flower#.",
          "Then [F] and [H] @looked [h2] and found {nothing but|only} @num @colour @flower#.")
    w.say('"[snd]!" it went near [nP], and [H] jumped behind [F] and dropped the [o].',
          '"[snd]!" it went, and [F] and [H] @looked near [nP].')
    w.para()
    w.say("[F] held up the light near [nP], and [H] saw [src] {with|and} a @taste @food!",
          "Then [H] saw it near [nP]: it was only [src], and [F] {laughed|smiled} @gladly.")
    w.say("[H] and [F] {laughed|giggled} about [src] and {talked|spoke} of @num @colour "
          "{monsters|dragons|giants|ghosts}.",
          '"[F], I thought of a @colour {monster|dragon|giant|ghost}, not [src]!" said [H+] '
          '@gladly.')
    w.say("Then [H] and [F] had @drink and {a @taste @food|@num @taste @food#} [P].",
          "[E] came with @drink and @taste @food#, and [H] and [F] told [E] about [src].")
    w.say("Soon [F] was asleep, and [H] dreamed of a @look @toy and {@colour @flower#|[nP]}.",
          "Soon [F] and [H] {slept|dreamed} near the [o], and [E] {put|laid} a @look blanket on "
          "them.")


PLANTS = """sunflower pumpkin bean rose carrot tulip melon turnip tomato apple pear cabbage poppy
cherry""".split()


def growing(w):
    start(w)
    w.pick("p", "@colour " + w.r.choice(PLANTS))
    w.say("[when], [E] gave [H] a seed of a [p] in a @look {box|bag|cup}.",
          "[when], [H] {found|got} a seed of a [p] [P2] and showed it to [F].")
    w.say("[H] {dug|made} a hole, and [F] put the [p] seed into it [P].",
          "[H] and [F] put the [p] seed in a @look {pot|tub|bucket|box} [P].")
    w.say("Every {@time|day} [H] @went [toP] to look, but [F] said the [p] was asleep.",
          "But [H] saw no [p] on @day and only a @colour @bug on @day.")
    w.say('"[F], {it|the [p]} will never grow," said [H+] and {looked at|sat down near} [nP].',
          "[H+] sat near [nP] with a @look @toy and sang to the [p].")
    w.para()
    w.say('"[H], {wait|be patient}, a [p] {needs|wants} sun and water," said {[F]|[E]} '
          '{@softly|[P]}.',
          "[F] {made|built} a @look fence for the [p], and [H] {chased away|sent off} @num @colour "
          "{hens|snails|goats}.")
    w.say("So [H] and [F] carried water in a @look {jug|can|pail} [toP] every @time and @game.",
          "So every @day [F] and [H] told the [p] about [nP2] and @game.")
    w.say("Then, one @weather @time, [H] and [F] saw a {tiny|small} leaf of the [p]!",
          'One @weather @time, [F] called, "[H], I see a leaf of the [p] [P]!"')
    w.para()
    w.say("[H] and [F] {watched|saw} the [p] grow [P] all @season with [E].",
          "Week by week [H] and [F] {saw|watched} the [p] {grow|get bigger} [P] and @game near it.")
    w.say("@num friends of [H] {came to see|looked at} the [p], and [F] gave them @taste @food#.",
          '"[H], {what a fine|I never saw such a} [p]!" said [E] and {gave|brought} [H.him] a '
          '@taste @food.')
    thanks(w)
    end(w, "[H] gave @num seeds of the [p] to [F] and @num to [E] [P2].")


def race(w):
    start(w)
    w.pick("k", "{running|swimming|sack|sled|boat|hopping|cart|kite|spoon}")
    w.say("[when], [E] {gave|put up} a [o] as the prize of a [k] race [P].",
          "[when], [E] {called|invited} [H] and [F] to a [k] race for a [o].")
    w.say('"[F], I {want|hope} to win the [o]," said [H+] {@gladly|and put on a @look scarf}.',
          "[H+] {wanted|hoped} to win the [o], and so did [F] {and @num others|in a @look cap}.")
    w.say('"[H], [F], {one, two, three|ready, steady}, go!" {cried|called} [E], and they @went '
          'past [nP].',
          "[E] waved a @colour flag, and [H] and [F] @went off past [nP].")
    w.para()
    w.say("Soon [H] was {first|in front} near [nP2], and [F] was close behind [H.him] with @num "
          "@animal#.",
          "At first [H] was {last|slow}, but then [H.he] passed [F] near [nP2].")
    w.say('Then [F] fell over a @look @toy and cried, "[H], my foot!"',
          "But then [H] saw [F] fall into {a puddle|a ditch|a bush} near a @look @toy.")
    w.say('"If I help [F], I will lose the [o]," thought [H+] and looked at [F.him].',
          "[H+] {looked|glanced} at the [o] and then back at [F].")
    w.say("So [H] {forgot|left} the [o], {ran|went} back to [F] and helped [F.him] up near [nP].",
          '"[F], {I am here|come with me}," said [H+] and gave [F.him] a @look @toy and a @food.')
    w.para()
    w.say("{Together|Side by side}, [H] and [F] came in last, but @num @animal# from [nP2] "
          "{clapped|cheered}.",
          "{Together|Side by side}, [H] and [F] {walked|went} [toP] and were last, but [E] "
          "{clapped|cheered}.")
    w.say('"[H], {here|there} is a @look @toy for {your kindness|good friends}," said [E].',
          '"[H], {you helped|you were good to} [F], {so|and now} the [o] is {yours|for you}," said '
          '[E].')
    thanks(w, "F", "H")
    end(w)


FEARS = words.split("""the dark|thunder|deep water|high places|barking dogs|bees|old cellars|
narrow bridges|big geese|the wind|spiders|fog""")


def fear(w):
    start(w)
    w.v["fear"] = w.r.choice(FEARS)
    w.say("But [H+] was @afraid of [fear], and only [F] {knew|had heard} about it.",
          "[H+] was @afraid of [fear], but not of @colour @bug# or @colour @bird#.")
    w.say('[when], [F] said, "[H], {come|please come} with me [toP]!"',
          "[when], [H] and [F] @went [toP] with a [o].")
    w.say('"[F], I {cannot|can\'t} go [toP]," said [H]. "I am @afraid of [fear]."',
          "Near [nP2], [H] stopped with a @look @toy, {for|because} [H.he] was @afraid of [fear], "
          "and [F] saw it.")
    w.para()
    comfort(w, 0.3)
    w.say('"[H], I was @afraid of @colour @bug# once," said [F], "but [E] helped me with @drink."',
          '"[H], {take|hold} this [o], it {helps me to be|makes me} brave," said [F] @softly.',
          '"[H], {think of|sing about} @taste @food# and count to @num," said [F+] @softly.')
    air(w, 0.3)
    w.say("[H] counted to @num, held the [o] and {thought of|looked at} [F], and {went|walked} on "
          "past [nP].",
          "{Then|At last} [H] {thought of|sang about} @taste @food# and {went|walked} on past [nP] "
          "with [F].")
    w.say("And [F] and [H] {saw|found} only a @look @toy and a @colour @bug near [nP].",
          "And what did [H] and [F] {find|see}? Only @num @colour @flower# and a @look @toy!")
    w.para()
    w.say('"[F], {I did it|I am brave|I am not afraid}!" {cried|called} [H], and [F] gave [H.him] '
          'a @taste @food.',
          "[H] {felt|was} as {brave|strong|tall} as a @colour {lion|bear|king|giant}, and [F] "
          "{danced|sang} [P].")
    thanks(w)
    end(w, "After that, [H+] was {not|hardly} @afraid of [fear], and [F] and [H] @game [P].")
