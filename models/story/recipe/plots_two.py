"""More plots; see plots_one.py."""
import words
from plots_one import comfort, start, thanks


def new_friend(w):
    w.opening()
    w.detail(0.3)
    w.para()
    w.when()
    w.say("[H] {had|knew} {no one|nobody} to play with {[P]|since @season|after school|on {@day|"
          "@day}}, and {so|often} [H.he] was @sad.",
          "But [H] {was often|felt} {alone|@sad}, {because|for} {all the others|the big children|"
          "the other ones} {were busy|lived far away|played without [H.him]} {[P]|on {@day|@day}}.",
          "{But|Sadly,} [H] had just {come|moved} {[P]|from [nP]} and did not know one @trait "
          "{@animal|neighbour|child} {there|[P]} {[P]|yet}.")
    w.say("[when], [H] {saw|met|noticed} {someone new|a stranger} [P]: it was [F.a], {who {sat|"
          "stood} {all alone|by a @tree tree}|and [F.he] {held|carried} a [o]}.",
          "[when], [F.a] {moved in|came to live|arrived} @near, {with|carrying} a [o] and @num "
          "@looks {bags|boxes}.")
    w.say("[H] {wanted to say hello|wished to play}, but {felt|was} {a little|very} shy and {hid|"
          "stood|waited} {behind a @tree tree|behind a @looks {gate|wall|cart}|@sit}.",
          '"{Should I say hello|What shall I say|Will we be friends}?" thought [H] and {looked '
          "at [nP]|chewed a {leaf|straw}|waited @softly}.")
    w.detail(0.5)
    w.para()
    w.say('{At last|Then}, [H] {went up|walked over|stepped out} and said, "{Hello|Good day|Hi}! '
          '{I am|My name is} [H]. {Who are you|What is your name|What is your name, please}?"',
          '{At last|Then}, [H] {held out|offered} a @flavour @food and said, "{Would you like|Do '
          'you want} {some|a bite}? {I am|My name is} [H]."')
    w.say('"{I am|My name is} [F]," {said|answered|whispered} the [F.kind] {@softly|with a smile|'
          'and blushed}. "{I do not know anyone [P]|I have no friends @near|I was hoping for a '
          "friend like you, [H]|I am new [P]|I only know @num @animal# here|I miss my @animal "
          'friends}."')
    w.say('"{Do you like|Shall we play with|Would you like to hold} my [o]?" asked [F], {and '
          "soon they both laughed|and they sat down}.",
          "[F] {showed|lent} [H] the [o], and [H] {showed|told} [F] {the best @tree tree for "
          "climbing|where the @flower# grow|a secret place @hiding}.")
    w.say("{All|The whole} {day|afternoon|@time}, {they|[H] and [F]} @game and {then|later} "
          "@game {[P]|together}.",
          "{Soon|Before long}, [H] and [F] @game, and {nobody|no one} was {lonely|@sad} {any "
          "more|now}.")
    w.maybe(0.5, "{It turned out|They found out} that {both|they both} {liked|loved} {@joy|"
                 "@flavour @food#|@bug#|@colour @flower#} and {were afraid of|did not like} "
                 "{geese|thunder|onions|cold water|spinach|loud noises}.")
    w.lesson_end('"{Will you come|Can we play} again {tomorrow|on @day}?" asked [F], and [H] '
                 '{said yes {@softly|at once}|nodded|cried, "Of course!"}')


SKILLS = [
    ("swim", "in the water"),
    ("ride a bike", "on the bike"),
    ("whistle", "with the lips"),
    ("skate", "on the ice"),
    ("bake bread", "with the dough"),
    ("draw a horse", "on paper"),
    ("climb a rope", "on the rope"),
    ("skip with a rope", "with the rope"),
    ("tie a bow", "with the string"),
    ("play the flute", "on the flute"),
    ("knit a scarf", "with the wool"),
    ("catch a ball", "with the ball"),
    ("fly a kite", "with the kite"),
    ("juggle", "with the apples"),
    ("read a book", "with the letters"),
    ("row a boat", "with the oars"),
    ("do a cartwheel", "on the grass"),
    ("play the drum", "on the drum"),
    ("dance", "on tiptoe"),
    ("hop on one leg", "on one leg"),
    ("milk the goat", "with the pail"),
    ("count to a hundred", "with the numbers"),
    ("paint a tree", "with the brush"),
    ("walk on stilts", "on the stilts"),
    ("sew on a button", "with the needle"),
    ("make pancakes", "with the pan"),
    ("dive", "in the water"),
    ("spin a top", "with the top"),
]


def learning(w):
    start(w)
    s, how = w.r.choice(SKILLS)
    w.v["s"], w.v["how"] = s, how
    w.say("[H] {wanted|wished|longed} to {learn to|be able to} [s], {just like [F]|but did not "
          "know how|more than {anything|@joy}}.",
          "{Everyone|Even [F]|[F] and all the others} could [s], but [H] {could not|did not know "
          "how}.")
    w.say("[when], [H] {went [toP]|stood [P]|got up early} {and began|to try|and tried {@softly|"
          "all alone}}.",
          '[when], [H] said to [F], "{Today|This @season|Now} I {will|want to} learn to [s]."')
    w.say("{The first time|At first}, [H] {tried|did [H.his] best} [how], but {{fell|sat} down "
          "{with a bump|@sit}|[H] did everything wrong|it was {too hard|no good}|@num {@bird#|"
          "@animal#} laughed}.")
    w.say("The second {time|try} {was no better|went even worse}: {[H] bumped [H.his] {nose|knee|"
          "elbow|head}|[H] got {wet|muddy|tangled}|it ended {@hiding|in a puddle}}.",
          '"{I can\'t do it|I will never learn it|It is too hard}!" {cried|sighed|groaned} [H] '
          "and {threw down a @looks {hat|cap|scarf}|stamped a foot|sat down @sit}.")
    w.detail(0.5)
    w.para()
    if w.r.random() < 0.5:
        comfort(w)
    w.say('"{Do you know|Shall I tell you a secret|Listen}," said {[F]|[E.obj]}, "{I fell|I '
          "tried|it took me} {@num times|a whole @season|@num weeks|@num days} {before I could "
          '[s]|to learn to [s]}."',
          '[E] {watched|saw it|came by} and said, "{Go slowly|Breathe slowly|Begin with a small '
          "part|Do not hurry|Sing while you try}, [H], and {try {again|a little} every {day|"
          '@time}|think of {a @bird|@joy|the wind}}."')
    w.say("{So|And so} [H] {tried|practised} {every @time|before breakfast|each day|after lunch} "
          "{[P]|@near}, {while|and} [F] {counted|clapped|watched|sat @sit}.",
          "[F] {stayed|helped} {with [H]|and showed [H] how} {every @time|each day|for a "
          "@weather week}, and {bit by bit|little by little|day by day} {it|things} {went|got} "
          "better.")
    w.maybe(0.5, "On @day [H] {almost did it|got a little {better|further}|did not fall at all}, "
                 "and on @day {it was {better|easier} still|[F] cheered}.")
    w.para()
    w.say("{Then|And then|At last}, one @weather {@time|day}, {it worked|something changed}: [H] "
          "could [s]!",
          "{After @num days|At last|One @weather {@time|day}}, [H] {took a deep breath|smiled|"
          "counted to @num|thought of a @trait @animal}, and {suddenly|all at once} [H] could [s]!")
    w.say('"{Look at me|I can do it|Look}, [F]!" {cried|shouted|called} [H], and {@num @bird# '
          "flew up|[F] {threw a @looks {hat|cap} in the air|danced @gladly|clapped}}.",
          "[F] {threw|tossed} a @looks {hat|cap|scarf} {in|into} the air, and [H] {laughed|did "
          "it again|showed everyone} {@gladly|@num times}.")
    w.lesson_end("{Now|After that} [H] {showed|taught} {the little ones|the smallest ones} {[P]|"
                 "@near} {how to|to} [s], {@softly|and was very patient}.")


HURTS = [
    ("had a thorn in its {foot|paw|leg}", "pulled out the thorn"),
    ("was caught in {a net|some string}", "cut it free"),
    ("had fallen out of its nest", "put it back in the nest"),
    ("was stuck in the mud", "pulled it out of the mud"),
    ("had a hurt {wing|leg}", "wrapped it in a soft cloth"),
    ("was lost and cold", "wrapped it in a warm scarf"),
    ("was trapped under a branch", "lifted the branch"),
    ("had lost its mother", "looked for its mother"),
    ("was thirsty and weak", "gave it water in a cup"),
]


def helping(w):
    start(w)
    small = """mouse bird duckling kitten puppy lamb rabbit hedgehog squirrel frog turtle fawn chick
    owl sparrow bat mole calf fox swan robin foal""".split()
    w.v["an"] = w.r.choice([a for a in small if a not in (w.H.kind, w.F.kind)])
    w.v["al"] = w.r.choice(words.ANIMAL_LOOKS)
    while w.v["al"] in ("little", "tiny", "small", "young"):
        w.v["al"] = w.r.choice(words.ANIMAL_LOOKS)
    birds = ("bird", "duckling", "chick", "owl", "sparrow", "swan", "robin")
    h, cure = w.r.choice([x for x in HURTS if "nest" not in x[0] or w.v["an"] in birds])
    if w.v["an"] not in birds:
        h = h.replace("{wing|leg}", "leg")
    else:
        h = h.replace("{foot|paw|leg}", "foot")
    if w.v["an"] == "bat":
        h = h.replace("{foot|paw|leg}", "foot")
    w.v["hurt"], w.v["cure"] = w.fill(h), cure
    w.say("[when], [H] {walked|was} [P] {and heard|when [H.he] heard} a {small|tiny|sad|weak} "
          "{cry|sound|voice} @hiding.",
          "[when], [H] and [F] @game [P], when {they|[H]} {heard|noticed} a {small|tiny|sad|"
          "weak} {cry|sound} @hiding.")
    w.say("{There was|It was|It came from} {a little|a small|a tiny} [al] [an] that [hurt].",
          "{A little|A small|A tiny} [al] [an] {sat|lay} there: it [hurt].")
    w.say('"{Don\'t be afraid|Poor little one|Hush, little [an]|Hold still}," {said|whispered} '
          '[H]. "{I will help you|We will help you|Nobody will hurt you}."',
          "The little [an] {shook|trembled} and {looked up|blinked} at [H] {with {round|sad|"
          "dark} eyes|@softly}.")
    w.detail(0.4)
    w.para()
    w.say("[H] {did not know|was not sure} what to do, so [F] {ran|hurried|went} to {fetch|get} "
          "{[E.obj]|a @looks {blanket|towel|cup|basket|scarf}}.",
          "[F] {ran|hurried} to get {a @looks {blanket|towel|cup|basket|scarf}|some {water|milk|"
          "straw|bread}}, {while|and} [H] {stayed|waited|sat} with the [an].")
    w.say("{Slowly|Gently|Carefully|Softly|Bravely|Patiently}, [H] [cure], {and|while} [F] {sang "
          "a song|held the [an]|stroked the [an]|watched}.",
          "{Then|So} [H] [cure], as {gently|softly|carefully} as {a nurse|a mother|falling snow|"
          "a feather}.")
    w.say("{They|The friends} {made|built} {a bed|a nest} of {straw|wool|leaves|moss} in a "
          "@looks {box|basket|hat|bucket} and {gave|fed} the [an] {bread|oats|milk|berries|water|"
          "seeds} {every @time|for @num days}.",
          "For @num days, the [an] {slept|lived|rested} in a @looks {box|basket|hat|bucket} {by "
          "the fire|under the window|in the barn}, and [H] {fed|watched|visited} it {each @time|"
          "@softly}.")
    w.maybe(0.4, '[E] {nodded|smiled} and said, "{Give it time|It will soon be well|You have '
                 '{good|kind} hands}, [H]."')
    w.para()
    w.say("{One @weather {@time|day}|Then one @time|On @day}, the [al] [an] {was well again|was "
          "strong again|could {run|move|eat} again}, and [H] {let it go|set it free|took it "
          "back} [P].",
          "{One @weather {@time|day}|Then one @time|On @day}, the [al] [an] {got|hopped|climbed} "
          "out of its {@colour|@looks} {bed|basket|box} and {looked|turned} {toward|to} [nP].")
    w.say('"{Goodbye|Farewell|Be well|Go well}, little [an]," said [H]{| and [F]}, {and was @sad '
          "and @glad {at once|together}|and waved {@softly|a @looks {hat|scarf|cap}}}.")
    w.maybe(0.8, "{@num days later|In @season|Some weeks later|After a long while}, the [al] "
                 "[an] came back {with|and brought} {a @colour @flower|a shiny {stone|button}|"
                 "@num {nuts|berries|little ones}|a {@colour|soft} feather} {for [H]|to say "
                 "thank you}.")
    w.lesson_end()


def weather_plan(w):
    start(w)
    w.v["bad"] = w.r.choice(["it began to rain",
        "a storm came", "the rain poured down", "it started to hail", "thick fog came",
                             "a wild wind blew",
                             "big drops fell", "dark clouds came and it rained"])
    w.v["plan"] = w.fill("{a picnic|a game of ball|a boat trip|a walk|a kite race|a tea party|a "
                         "swim|a puppet show|a snail race|a treasure hunt}")
    w.say("[when], [H] and [F] {planned|wanted|wished for} [plan] [P].",
          'All week, [H] had {waited for|talked about|dreamed of} [plan] [P] with [F].')
    w.say("[H] {packed|brought} a @flavour @food and a @looks {blanket|cushion|cup}, and [F] "
          "{packed|brought|carried} a [o] {and a @flavour @food|in a @looks {bag|basket}}.",
          "{They|The two friends} {filled|packed} a @looks {bag|basket} with {@num @food#|a "
          "@flavour @food} and a [o].")
    w.say("{But|Yet} just {then|as they {sat down|set out|began|arrived}}, [bad].",
          "{But|Oh dear,} when {they|[H]} {came|got} outside, [bad]." )
    w.say('"{Our|The} {day|plan|@time} is {spoiled|ruined|over}," {sighed|said|cried} [H] '
          "{@sadly|and {kicked a pebble|pulled a face|looked at the sky}}.",
          "[H] {was|felt} {very|so|quite} @sad and {pressed [H.his] nose to the window|stared at "
          "the {sky|clouds|puddles}|did not want @joy}.")
    w.detail(0.3)
    w.para()
    if w.r.random() < 0.4:
        comfort(w)
    w.say('"{Wait|I know|I have an idea}," said [F]. "We can {have [plan]|do it} {under the '
          "table|in the barn|in the kitchen|in the attic|on the stairs|in the hall|under the "
          'porch}!"',
          '"{Who needs|We do not need} the sun?" {said|laughed|asked} [F]. "{Come|Let us go} '
          '{under the table|into the barn|into the kitchen|into the attic}, and bring the [o]!"')
    w.say("{They|[H] and [F]} {spread|laid|hung} a @looks {blanket|sheet|rug} {over two chairs|"
          "on the floor|between the boxes}, {put|set} the [o] {in the middle|on a box}, and "
          "{called it|said it was} {the {sea|beach|island|forest}|[nP]}.",
          "{They|[H] and [F]} {made|built} {an island|a castle|a ship|a cave|a camp} of {chairs|"
          "boxes|pillows|blankets} and {put|hid} the [o] {inside|on top|in the middle}.")
    w.say("{Then|There} they @game and ate {@flavour @food#|@num @food#|@joy}, {while|and} the "
          "weather {roared|howled|went on} outside.",
          "[E] {came in with|brought them} @joy and {stayed|sat down|played along} {@softly|for "
          "@num games}.")
    w.para()
    w.say("{Later|By and by|At last}, the {sky over [nP]|air [P]|sky} {cleared|grew clear|turned "
          "@colour}, and {a rainbow|the sun|a @bird} {came out|could be seen} {over|behind|"
          "beyond} {[nP]|the @tree trees}.",
          "{When|Before long, when} the {clouds|clouds at last} {had gone|were gone}, {they|[H] "
          "and [F]} {jumped in the puddles|ran out [toP]|@game in the wet grass}.")
    w.say('"{This|That} was {better than|as good as|nicer than} {any sunny day|@joy|the first '
          'plan}," said [H], and [F] {agreed|nodded|laughed} {@softly|with a bit of @food}.',
          "[H] {laughed|said} that {bad weather|a spoiled plan|a @weather day} {can be|is "
          "sometimes} {the start of|the best part of} {@joy|[plan]|a good @day|a @trait story}, "
          "and [F] {drew|painted} {a picture|@num pictures} of the [o].")
    w.lesson_end()


def promise(w):
    start(w)
    TASKS = [
        ("feed the hens", "the hens were hungry", "fed the hens"),
        ("water the tomatoes", "the tomatoes were dry", "watered the tomatoes"),
        ("watch the baby goat", "the baby goat was alone", "sat with the baby goat"),
        ("bring in the washing", "clouds were coming", "brought in the washing"),
        ("close the gate", "the gate was open", "closed the gate"),
        ("light the lamp", "the house was dark", "lit the lamp"),
        ("fetch water from the well", "the pail was empty", "fetched the water"),
        ("stir the soup", "the soup was almost burning", "stirred the soup"),
        ("walk the dog", "the dog was waiting at the door", "walked the dog"),
        ("sweep the steps", "the steps were full of leaves", "swept the steps"),
        ("pick the beans", "the beans were still on the poles", "picked the beans"),
        ("post a letter", "the letter lay in the bag", "posted the letter"),
        ("bring bread from the shop", "there was no bread for supper", "brought the bread"),
        ("feed the rabbits", "the rabbits were waiting", "fed the rabbits"),
        ("shut the hen house", "the hen house stood open", "shut the hen house"),
    ]
    t, st, done = w.r.choice(TASKS)
    w.v["t"], w.v["st"], w.v["done"] = t, st, done
    w.say('[when], [E] {said to|asked} [H], "{Will you|Can you|Could you} [t] {before dark|today|'
          'for me|while I am away}?"',
          "[when], [E] had to go [toP] and asked [H] to [t] {before dark|at {noon|@num o'clock}}.")
    w.say('"{Yes, I promise|I promise|Of course, I promise|You can count on me}," {said|'
          "answered} [H] {@softly|and {put down|picked up} a @looks @toy}.")
    w.say("But {soon|then|a little later}, [F] came {with a [o]|along with a [o]} and {asked|"
          'said}, "{Come|Let us go|Come with me} [toP], [H]!"',
          "{On the way|But on the way}, [H] met [F], who {had|was holding} a [o] and {wanted to|"
          "asked [H.him] to} play.")
    w.say("{They|The two} @game and @game, and {soon|before long} [H] {forgot|thought no more "
          "of} {the promise|what [H.he] had promised}.",
          "[H] {ran off|went along|played} with [F], and they @game {[P]|for hours}.")
    w.detail(0.6)
    w.para()
    w.say("{Then|Suddenly|All at once}, {a @bird {called|cried}|a bell rang|the sun {sank|went "
          "behind the @tree trees}|a cold wind blew}, and [H] {stood still|stopped|jumped up}: "
          '{"My promise!"|"Oh, I promised to [t]!"|"I forgot to [t]!"}',
          "When {a @bird {called|cried}|the bell rang|the sun sank}, [H] {remembered|thought of} "
          'the promise. "{I must go|I forgot to [t]|I promised to [t]}, [F]!" [H.he] cried.')
    w.say('"{Stay|But stay|Only one more game}," {said|begged} [F]. "{It is so nice here|It can '
          'wait|Nobody will know}."' ,
          "{It was hard|It was not easy} to leave the [o] and {the game|the fun}, and [F] looked "
          "@sad.")
    w.say('"{A promise is a promise|I gave my word|I said I would}," said [H], and [H.he] {ran|'
          "hurried|dashed|raced} {home|back} {as fast as {a hare|the wind|a train|a fox}|past "
          "the @tree trees|@softly}.",
          "[H] {shook [H.his] head|said goodbye} and {ran|hurried|dashed|raced} {as fast as {a "
          "hare|the wind|a train|a fox}|{over|through} {the field|the mud|the hedge}}.")
    w.say("{When [H] got there|At home|Back at the @looks gate|By the @looks door}, [st], but "
          "{[H] was not too late|[E] was not home yet|it was only @num o'clock|[E] had not seen "
          "it yet}, and [H] [done] {quickly|@care|in @num minutes|with red cheeks|like a busy "
          "@animal} {@softly|at once|with red cheeks}.")
    w.maybe(0.5, "{After a minute|A little later}, [F] came {too|after [H.him]} and helped [H]{| "
                 "for {a bite of @food|@joy}|, and the work was {soon done|fun|done @gladly}}.")
    w.para()
    w.say("{When|As soon as} [E] {came home|came back}, {everything was {in order|right}|all was "
          "well}, and [H] {was @glad|got {@joy|a @flavour @food|a @looks @toy}}.",
          '"{I can trust you|You kept your word|Well done}, [H]," said [E], and {gave|handed} '
          "[H.him] {a @flavour @food|@joy|a @looks @toy}.")
    w.lesson_end()


def noise(w):
    start(w)
    SRC = [
        ("a kitten", "a kitten that wanted to come in"),
        ("a loose shutter", "a shutter that was loose"),
        ("an owl", "an owl on a branch"),
        ("a hedgehog", "a hedgehog in the dry leaves"),
        ("a mouse", "a mouse with a nut"),
        ("a tap", "a tap that dripped into a pan"),
        ("a frog", "a frog in the bucket"),
        ("a branch", "a branch that scratched the window"),
        ("a puppy", "a puppy under the steps"),
        ("a goat", "a goat eating the curtain"),
        ("a clock", "an old clock in a box"),
        ("a squirrel", "a squirrel with a walnut"),
        ("a duck", "a duck in the bath tub"),
        ("a hen", "a hen that had lost her way"),
    ]
    SOUND = """Tap, tap|Scratch, scratch|Creak, creak|Bump, bump|Drip, drop|
Rattle, rattle|Thump, thump|Squeak, squeak|Tick, tack|Hoo, hoo|Rustle, rustle|
Knock, knock""".replace("\n", "").split("|")
    w.v["src"] = w.r.choice(SRC)[1]
    w.v["snd"] = w.r.choice(SOUND)
    w.v["wh"] = w.fill("@hiding")
    w.say("One @weather night, [H] {lay in bed|could not sleep|woke up} {and heard|because of} a "
          '{strange|funny|queer|odd} {noise|sound}. "[snd]!" {it went|it said} {@softly|in the '
          "dark}.",
          '"[snd]!" {What was that?|Something made a {strange|funny|odd} {noise|sound}.} It was '
          "a @weather night, and [H] {sat up|listened} in bed.")
    w.say('"{Is it a {monster|dragon|giant|ghost|wolf}|Who is there|What can it be}?" {whispered|'
          "thought} [H] and {pulled up the @looks blanket|hid under the pillow|held a [o] tight}.",
          "[H] was @afraid and {pulled|drew} the @looks blanket {over|up to} [H.his] {nose|ears|"
          "chin}.")
    w.detail(0.2)
    w.para()
    w.say("[H] {called|woke|ran to} [F], who {was staying with [H] for the night|lived in the "
          '@colour house next door|slept under a @looks blanket}, and {whispered|said}, "{Do you '
          "hear it|Can you hear that noise|Is that a @animal or a @animal|Who makes such a "
          '@trait noise}, [F]?"',
          "{Luckily|By luck}, [F] was {staying with [H] for the night|there with a @looks "
          "blanket}, and {heard|had heard} {it|the noise} {too|as well} {from under a @looks "
          'blanket|in a dream of @food#|while [H] listened}: "[snd]!"')
    w.say('"{Let us go and see|We will look together|I am @afraid, too, but let us look}," said '
          "[F] and {took|lit} a @looks {lamp|candle|lantern}.")
    w.say("{Step by step|Hand in hand|On tiptoe}, they {went|crept|tiptoed} {down the stairs|"
          "along the hall|across the yard|through the kitchen}, and {the floor creaked|the moon "
          "shone {@softly|in}|a @looks @toy fell down}.")
    w.say("{First|At first} they looked @hiding and {found|saw} {a @looks @toy|only {dust|a sock|"
          "a @bug}}.",
          "[H] {peeked|looked} @hiding, but {there was only|[H.he] saw only} {a @looks @toy|a "
          "@colour @bug|an old {boot|sock}}.")
    w.para()
    w.say('{Then|At last}, "[snd]!" it {came|went} again, {right|quite} {near|close}. [F] held '
          "up the {light|lamp}, and there [F] saw it: [src]!",
          "{Then|At last}, {they looked|[F] shone the light} [wh], and {what did [H] see|what "
          "did [F] see|what did [H] and [F] find}? {It was|Only} [src]!")
    w.say("[H] {laughed|giggled} {so hard|so much} that {[H.he] had to sit down|[F] laughed, too|"
          "[H.his] tummy hurt}.",
          '"{So that was it|And I thought of {monsters|dragons|giants|ghosts}|What a @trait '
          'noise}, [F]!" {laughed|cried|giggled} [H], and [F] {laughed, too|yawned|giggled '
          "@softly}.")
    w.say("{They|The two} {drank|had} {hot milk|cocoa|tea|warm milk} {and told [E.obj] all about "
          "it|by the @looks lamp|with @num {biscuits|cookies}} and went back to bed.",
          "[E] came {down|in} wearing a @looks {cap|gown|scarf}, and {they|everyone} had @joy "
          "{in the middle of the night|before bed}.")
    w.maybe(0.7, '{Now|After that}, when [H] heard "[snd]" at night, [H.he] {only smiled|turned '
                 "over and slept|thought of [src]}.",
            "{Soon|Before long}, [H] {slept|was asleep} and dreamed of {a @looks @toy|@flavour "
            "@food#|@colour @flower#|@num @bird#}.")
    w.maybe(0.2, "The end.")


def growing(w):
    start(w)
    PL = [
        ("sunflower", "as tall as the house"),
        ("pumpkin", "as big as a cart"),
        ("apple tree", "full of red apples"),
        ("bean", "up to the roof"),
        ("strawberry", "full of sweet berries"),
        ("rose", "full of pink roses"),
        ("carrot", "as long as an arm"),
        ("cherry tree", "full of cherries"),
        ("tulip", "as bright as a lamp"),
        ("melon", "as round as the moon"),
        ("turnip", "as big as a chair"),
        ("tomato", "full of red tomatoes"),
        ("pear tree", "full of yellow pears"),
        ("pea", "full of green pods"),
        ("cabbage", "as big as a drum"),
    ]
    p, big = w.r.choice(PL)
    w.v["p"], w.v["big"] = p, big
    w.say("[when], [E] gave [H] {a|one} {tiny|small|little|brown|round} [p] seed {in a @looks "
          '{box|bag|cup}|and said, "{Look after it|Take good care of it}, [H]."}.',
          "[when], [H] {found|bought} a {tiny|small|little|brown|round} [p] seed {[P]|@hiding|at "
          "the market}.")
    w.say("[H] {dug|made} a {small|deep} hole {[P]|beside the {gate|wall|shed}|near a @tree "
          "tree} and {put|laid|dropped} the seed into it {@care|like a @alook @animal in a bed}.",
          "[H] {planted|put} {it|the seed} in a @looks {pot|tub|bucket|box} and {gave it water|"
          "watered it} {every @time|from a @looks {cup|jug|can}}.")
    w.say("{Every {day|@time}|Each {day|@time}}, [H] {looked|went to look}, but {no [p] {came up|"
          "showed}|there was only a @colour @bug|[H.he] saw @num @colour @bug# and no [p]|the "
          "[p] slept on} {for @num days|in the @weather air|under a @looks {stone|leaf}}.")
    w.say('"{It will never grow|Nothing happens|It is asleep|Is it dead}," {said|sighed} [H].',
          '"{Grow|Please grow|Wake up}, little seed," {said|sang|begged} [H] and {sat|lay down} '
          "beside it {with a [o]|@softly}.")
    w.detail(0.4)
    w.para()
    w.say('"{You must wait|Good things take time|Give it sun and water}," said {[F]|[E.obj]}, '
          '"{seeds|plants} {need time|are slow|sleep long}, like {children|@tbird#|bread|eggs}."')
    w.say("[F] {built|made} a {little|@colour} fence of {sticks|stones|shells} around it, and "
          "[H] {chased away|sent away} {a @trait goat|the hens|@num snails|a greedy crow}.",
          "{They|The friends} {pulled out the weeds|carried water} {@softly|in a @looks {pail|"
          "jug|can}} and {sang to it|told it {stories|jokes}} {each @time|on {@day|@day}}.")
    w.say("{Then|And then|At last}, one @weather @time, {there was|[H] saw|up came} a {tiny|"
          "small} green {leaf|shoot|point}!",
          "{Then|And then|At last}, after a @weather night, the first {green|pale green|bright "
          "green} {leaf|shoot} of [H]'s [p] {looked out|peeked out}, and [H] {danced {@gladly|"
          "around it}|called [F]|told @num @bird#|sang to it}.")
    w.para()
    w.say("All {summer|spring} long the [p] {grew|grew and grew}, {in @weather and @weather "
          "weather|day and night}, until [H]'s [p] was [big]{| and @num @bird# sat on it| and "
          "gave shade to a @trait @animal| and [F] came to measure it}.",
          "{Week by week|Day by day}, the [p] {grew taller|grew and grew|stretched up} {in the "
          "@weather air|[P]}, until [H]'s [p] was [big].")
    w.say("@num {@bird#|@bug#|@animal#} came to {see it|sit in its shade|look at the [p]}, and "
          "[F] {took off a @looks {hat|cap|scarf}|clapped {@gladly|for joy}}.",
          '"{I never saw|Nobody {[P]|@near} has|Not even [F] has} such a [p]," said [E], and '
          "{shook [H.his] [H.hand]|patted [H] on the head|smiled @softly}.")
    w.say("[H] gave {some|@num} seeds to {[F]|everyone {[P]|@near}}, and {next @season|next "
          "year} {[P] there would|there would} be more for the {@animal#|@tbird#}.")
    w.lesson_end()


def race(w):
    start(w)
    w.v["k"] = w.r.choice("running|swimming|sack|snail|sled|boat|hopping|wheelbarrow|kite|"
                          "scooter|egg-and-spoon|cart".split("|"))
    w.say("[when], there was a {big|great|yearly} [k] race [P], and the prize was a [o].",
          "[when], [E] {held|called everyone to} a [k] race [P]. {The prize was|First prize was} "
          "a [o].")
    w.say("[H] {wanted|hoped|wished} to win {more than @joy|very much}, and so did [F].",
          '"{I will win|I want to win|I shall be first}," {said|laughed} [H] {@gladly|to [F]|and '
          "tied a @looks {scarf|ribbon} on}.")
    w.say("@num {others|@animal#|children} {stood in line|were there, too|came to race}, and "
          "{even|also} {a @trait @animal|the @job} {came|watched|looked on}.")
    w.detail(0.4)
    w.say('"{One, two, three, go|Ready, steady, go}!" {cried|called|shouted} [E], and {off they '
          "went|away they flew} {past the @tree trees|in a cloud of dust}.")
    w.para()
    w.say("[H] {was|got} {in front|first|ahead} {at once|soon|by the {gate|bridge|@tree tree}}, "
          "{faster than|like} {the wind|a hare|a train}.",
          "At first [H] was {slow|behind|last}, but {then|near the {gate|bridge|@tree tree}} "
          "[H.he] {passed|overtook} {@num others|a @trait @animal|one after another}.")
    w.say("{But|Then} {behind [H.him]|on the way|near the end}, [F] {fell over|tripped on} {a "
          '{root|stone|log|bucket|rope}|a @looks @toy} and {cried|called} out, "{Ouch|Help|My '
          'foot|Oh no}!"',
          "{But|Then} {a cry came|[H] heard a cry}: [F] had fallen into a {ditch|puddle|bush} "
          "{and {called for [H]|cried for [E]|could not get up alone}|with a sore {knee|foot|"
          "toe}}.")
    w.say("[H] {could see|saw} the {end|finish|winning line}, {but|and the prize shone, but} "
          "{[F] was {crying|hurt}|[F] needed help}.",
          '"{If I help [F], I will not win|The [o] will be lost|What shall I do for [F]}," '
          "thought [H], {but only for a moment|and looked back at [F]}.")
    w.say("So [H] {turned|ran|went} back, {helped [F] up|pulled [F] out|took [F] by the "
          "[F.hand]}, and {wrapped|tied} a @looks {scarf|cloth|ribbon} around [F.his] {foot|knee|"
          "leg}.")
    w.para()
    w.say("{Together|Side by side|Arm in arm} they {walked|limped|hopped} to the {end|finish}, "
          "and {came|were} {last|the very last|after @num others}, but {everyone|@num @animal#|"
          "the @job|@num @trait @animal#} {cheered|clapped} for {them|[H] and [F]}.",
          "[H] and [F] crossed the line {last|after a @trait @animal}, {arm in arm|side by side|"
          "laughing}, and the {@job|@animal#|@bird#} {cheered|clapped} {loudest|most} for [F].")
    w.say('"{There is|We have|Here is|I have} a {second|special|@looks} prize for {kindness|a '
          'good heart|[H]|@trait friends}," said [E], and {gave|handed} [H] {@joy|a @looks @toy|'
          "a @flavour @food}.",
          '{The winner|A @trait @animal who had won} {came|walked} up and said, "{You should '
          'have|Please share} the [o], [H]{."|. You are the best of us."}')
    thanks(w, "F", "H")
    w.lesson_end()


def asleep(w):
    start(w)
    w.say("One @weather night, [H] {could not|just could not} sleep, {though|and} {the moon was "
          "{high|bright}|it was {very |}late|@joy had not helped}.",
          '"I {can\'t|cannot} sleep," said [H] {one @weather night|on {@day|a @weather} night}, '
          "{and got up|and lit a @looks {lamp|candle}|and looked out at [nP]}.")
    w.say("The {@looks|@looks} {bed|pillow|blanket} was too {hot|hard|soft|warm|flat|lumpy}, {a "
          "@bird {called|hooted}|the {clock|floor|wind} was too loud|the [o] {was in the way|"
          "fell on the floor}}, and [H] {heard|saw|counted} too many {shadows|@bug#|@bird#}.")
    w.say("[H] {counted|tried counting} @num {@animal#|@bird#|stars|sheep}, but {that did not "
          "help|that made [H] hungry for @food#|the @animal# only made [H] laugh}.",
          "[H] {lay|tried lying} {on one side|on [H.his] back|upside down|under the bed|like a "
          "@animal|on a @looks rug}, but {that did not help|it was no good|[H] only thought of "
          "@food#}.")
    w.maybe(0.6, "[H.he] {drank|had} {a cup of water|warm milk|@joy} and {hugged|held} the [o], "
                 "but {both eyes|[H.his] eyes} {stayed|were} wide open.")
    w.para()
    w.say("{So|Then} [H] {called|went to|woke} [F], who {was awake, too|opened one eye|lived "
          'next door}, and {asked|said}, "{How do you fall asleep|What helps you to sleep}, [F]?"',
          "Then [H] heard {a @looks {stone|stick|nut} tap|a @bird knock|a @trait cough} at the "
          "{window|door}: it was [F], {who could not sleep, either|with a @looks {lamp|blanket|"
          "pillow}}.")
    w.say('"I think of {a @looks @toy|@flavour @food#|@num @colour @bug#|[nP]}," said [F], "and '
          "{then|soon} I {float|fly|sail} over {the hills|the sea|the roofs} with {a @bird|@num "
          '@bird#}."',
          '"{Let us tell a story|I will sing you a song|I will tell you a story}," said [F], '
          '"{about|of} {a @looks @toy|a @trait @animal|a @animal and a @bird} {that|which} '
          '{lived [P]|went [toP]}."')
    w.say("[F] {sang|hummed|talked|whispered} {@softly|low}, {of|about} {@colour @flower#|the "
          "stars over [nP]|ships|@num sleepy @animal#}, {and outside {the rain fell|the wind "
          "grew still|a @bird sang}|while the {lamp|moon} shone}.")
    w.detail(0.4)
    w.para()
    w.say("{Soon|Bit by bit|Little by little}, [H.his] eyes {grew heavy|began to close} {[P]|"
          "like {doors|flowers|two @looks doors}|over a @looks picture book|under the @looks "
          "blanket}, and {the [o] slipped from [H.his] [H.hand]|[H.he] yawned @num times|[H.he] "
          "{smiled|sighed} @softly}.")
    w.say("{Then|And then} [H] {was asleep|slept} {as deep as {the sea|a well}|like a {stone|"
          "baby|bear}}, and dreamed of {a @looks @toy|@flavour @food#|@colour @flower#|[nP]}.")
    w.say("And [F]? [F] {slept|was asleep|snored @softly} {already|too|on the rug|under the "
          "@looks blanket}.",
          '{In the morning|When the sun came up}, [H] {said|told [F]}, "{I dreamed of|I saw} {a '
          '@looks @toy|a @trait @animal|[nP]}{."|, and you were there."}')
    w.maybe(0.3, "Good night.", "The end.")


def wish(w):
    start(w)
    w.v["obj_end"] = True
    w.say("[when], [H] saw a [o] in the {window|shop} of {the @job|Mr. @sur|Mrs. @sur} and "
          "{wanted|wished for} it {very much|more than @joy}.",
          "[when], [H] {went|walked} past the {market|shop}, and there was a [o], {the {finest|"
          "prettiest} {[P]|in the world}|as {bright|fine} as the moon}.")
    w.say('"It {costs|is} @num {coins|pennies}," said the shopkeeper, but [H] had {only one|none|'
          "no money}.")
    w.say('"{I will work for it|I shall earn it|I can work}," said [H] {@softly|to [F]}.',
          "So [H] {made up [H.his] mind|decided} to {work|earn money} for the [o].")
    w.detail(0.3)
    w.para()
    w.v["d1"], w.v["d2"] = w.r.sample(words.DAYS, 2)
    w.v["w1"] = w.fill("{swept the floor|washed the windows|picked @num baskets of @fruit#|"
                       "carried water|fed the @animal#|pulled weeds|painted the fence|chopped "
                       "carrots|raked the leaves|brushed the donkey}")
    w.v["w2"] = w.fill("{held the ladder|washed @num bottles|picked @num baskets of @fruit#|"
                       "carried letters|watched the {baby|goats|geese}|shelled peas|polished "
                       "shoes|shovelled snow|stacked the wood|stirred the jam}")
    w.say("On [d1], [H] [w1] for {[E.obj]|the @job|Mrs. @sur}, and {got|earned} {a coin|a penny|"
          "@num pennies|@num coins}.")
    w.say("On [d2], {[H] and [F]|[H]} [w2] {for {the @job|Mr. @sur}|@near|[P]}, and that "
          "{brought|gave} {@num more|another coin|a few pennies|@num coins}.")
    w.maybe(0.6, "It was {hard|hot|long} work, {and|but} [F] {brought|shared} {@joy|a @flavour "
                 "@food|@num @food#} and {sang|told jokes|helped} {@softly|until {noon|evening}}.")
    w.say("{At last|After @num days|In the end}, [H] had enough {coins|money} in a @looks {bag|"
          "box|jar|purse} and [F] {ran|hurried} {along|with [H.him]} to {get|buy} the [o].")
    w.para()
    if w.r.random() < 0.5:
        w.say("{But on the way|Yet on the way}, [H] {met|saw} [F], who was {crying|very @sad}: "
              "{[F.his] @toy had broken|[F.his] {mother|father|brother} was ill|there was no "
              "{food|bread} at home}.")
        w.say("[H] {looked|thought}, and {then|after a moment} {gave [F] the coins|bought bread "
              'and @flavour @food# for [F]|held out the coins}. "{You need it more|Friends come '
              'first|Take it}, [F]," [H.he] said.')
        w.say("{The next|Next} {day|morning}, there was {a @looks {box|parcel|bag}|something "
              "@colour} at the door of [H]: {inside was|it was} the [o], {from the shopkeeper, "
              'who had {seen|heard} everything|with a {letter|note} from [E.obj]: "For a kind '
              'heart"}.')
    else:
        w.say("The shopkeeper {smiled|laughed|nodded} and put the [o] into [H.his] arms, {tied "
              'with a @colour ribbon|and added a @flavour @food|and said, "Well done"}.')
        w.say("[H] {carried|took} the [o] {home|[toP]} {like {an egg|a baby|a king's crown}|"
              "@softly}, and [F] {was the first to|could} {hold|try|play with} it.")
    w.lesson_end()
